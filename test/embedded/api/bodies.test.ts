/**
 * Bodies that the API server is sent: too large, endless, slow, compressed, in pieces; and what it says about bad ones:
 *
 * - it takes no more than its limit of a body, and closes the connection of who goes on;
 * - who sends slowly is cut off, and holds nobody up;
 * - a body in any pieces is the same body;
 * - values of variables, data of Secrets, scripts and tokens are in no answer, warning or log record about a bad request.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';

import bunyan from 'bunyan';
import { expect } from 'chai';
import fc from 'fast-check';
import * as yaml from 'js-yaml';

import { type ApiServer, startApiServer } from '../../../src/embedded/api/server.js';
import { aRun, type Body, connect, type Target } from '../../conformance/target.js';

const MAX = 3 * 1024 * 1024;
const SLOW_MS = 400;
const RUNS = '/apis/kruntimes.io/v1alpha1/namespaces/default/runs';
const SECRETS = '/api/v1/namespaces/default/secrets';

/** A piece of it is as bad as all of it. */
const MARK = 'tok3n';
const SECRET = `${MARK}-${MARK}-${MARK}`;

describe('bodies', () => {
  let folder: string;
  let server: ApiServer;
  let target: Pick<Target, 'call' | 'close'>;
  const log = new bunyan.RingBuffer({ limit: 10_000 });
  const begin = async (limits: Readonly<{ requestTimeoutMs?: number }> = {}): Promise<void> => {
    folder = mkdtempSync(join(tmpdir(), 'krt-bodies-'));
    server = await startApiServer({
      dataDir: folder,
      ...limits,
      log: bunyan.createLogger({
        name: 'api',
        serializers: bunyan.stdSerializers,
        streams: [{ level: 'trace', type: 'raw', stream: log }],
      }),
    });
    target = connect(server.url, server.adminToken, server.caPem);
  };
  const end = async (): Promise<void> => {
    await target.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  before(() => begin());
  after(end);

  const isWell = async (): Promise<void> => {
    const { code } = await target.call('POST', `${RUNS}?dryRun=All`, aRun('well'));
    expect(code).to.equal(201);
  };
  const dial = async (): Promise<TLSSocket> => {
    const { hostname, port } = new URL(server.url);
    const socket = connectTls({
      host: hostname,
      port: Number(port),
      ca: server.caPem,
      servername: 'localhost',
    });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  };
  const head = (method: string, path: string, ...lines: ReadonlyArray<string>): string =>
    [
      `${method} ${path} HTTP/1.1`,
      'Host: localhost',
      `Authorization: Bearer ${server.adminToken}`,
      'Content-Type: application/json',
      ...lines,
      '',
      '',
    ].join('\r\n');
  const drained = (socket: TLSSocket): Promise<void> =>
    new Promise((resolve) => socket.once('drain', resolve));
  /** All that is answered until the server closes. */
  const said = (socket: TLSSocket): Promise<string> =>
    new Promise((resolve) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      socket.once('close', () => resolve(text));
    });

  it('refuses one that is too large with 413, at its limit and not below', async () => {
    const filler = (bytes: number): Body => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'large' },
      data: { a: 'x'.repeat(bytes) },
    });
    const around = JSON.stringify(filler(0)).length;
    const path = '/api/v1/namespaces/default/configmaps?dryRun=All';
    const over = await target.call('POST', path, filler(MAX - around + 1));
    expect(over.code).to.equal(413);
    expect((await target.call('POST', path, filler(MAX - around))).code).to.not.equal(413);
    await isWell();
  });

  it('takes no more of an endless one than its limit, and closes the connection', async () => {
    const socket = await dial();
    const answered = said(socket);
    socket.write(head('POST', RUNS, 'Transfer-Encoding: chunked'));
    const piece = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    let sent = 0;
    const closed = once(socket, 'close');
    while (!socket.destroyed && sent < 400 * piece.length) {
      sent += piece.length;
      if (!socket.write(piece)) await Promise.race([drained(socket), closed]);
    }
    expect(await answered).to.match(/^HTTP\/1.1 413 [\s\S]*connection: close/i);
    // What lies between is what the two kernels hold.
    expect(sent).to.be.lessThan(20 * 1024 * 1024);
    await isWell();
  });

  it('does not unpack what is compressed', async () => {
    const packed = gzipSync(JSON.stringify(aRun('packed')));
    const socket = await dial();
    const answered = said(socket);
    socket.write(
      head('POST', RUNS, 'Content-Encoding: gzip', `Content-Length: ${packed.length}`, 'Connection: close'),
    );
    socket.write(packed);
    // Unpacked it would be a Run.
    expect(await answered).to.match(/^HTTP\/1.1 400 /);
    await isWell();
  });

  it('cuts off who sends slowly, body or headers, and serves others meanwhile', async () => {
    // On a server of its own: with so short a limit a busy machine is slow, too.
    await end();
    await begin({ requestTimeoutMs: SLOW_MS });
    const slowly = async (first: string, rest: string): Promise<string> => {
      const socket = await dial();
      const answered = said(socket);
      socket.write(first);
      for (const letter of rest) {
        if (socket.destroyed) break;
        socket.write(letter);
        await pause(20);
      }
      return answered;
    };
    const body = JSON.stringify(aRun('slow')).padEnd(2_000);
    const cut = [
      slowly(head('POST', RUNS, `Content-Length: ${body.length}`), body),
      slowly('GET /version HTTP/1.1\r\n', 'X-Slow: '.padEnd(2_000, 'x')),
    ];
    // Who is held up by the machine for that long is cut off as well, and asks again.
    const codeOf = async (...asked: Parameters<Target['call']>): Promise<number> => {
      for (let tries = 1; ; tries += 1) {
        const code = await target.call(...asked).then(
          (answer) => answer.code,
          () => 408,
        );
        if (code !== 408 || tries === 10) return code;
      }
    };
    expect(await codeOf('POST', `${RUNS}?dryRun=All`, aRun('well'))).to.equal(201);
    for (const answer of await Promise.all(cut)) expect(answer).to.match(/^(HTTP\/1.1 408 |$)/);
    expect(await codeOf('GET', `${RUNS}/slow`), 'half a body is no body').to.equal(404);
    await end();
    await begin();
  });

  it('reads a body in whatever pieces it comes', async () => {
    const text = Buffer.from(JSON.stringify(aRun('pieces', { env: { A: 'ä💥' } })));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(text.length), { maxLength: 8 }),
        fc.boolean(),
        async (cuts, isChunked) => {
          const ends = [...cuts, text.length].sort((a, b) => a - b);
          const pieces = ends
            .map((end, i) => text.subarray(ends[i - 1] ?? 0, end))
            .filter(({ length }) => length);
          const socket = await dial();
          const answered = said(socket);
          const how = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${text.length}`;
          socket.write(head('POST', `${RUNS}?dryRun=All`, how, 'Connection: close'));
          for (const piece of pieces) {
            if (isChunked) socket.write(`${piece.length.toString(16)}\r\n`);
            socket.write(piece);
            if (isChunked) socket.write('\r\n');
            await new Promise(setImmediate);
          }
          if (isChunked) socket.write('0\r\n\r\n');
          expect(await answered).to.match(/^HTTP\/1.1 201 /);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('keeps values, data, scripts and tokens out of what it says about a bad request', async () => {
    const secretive = fc.constantFrom<readonly [string, Body]>(
      [RUNS, aRun('r', { env: { A: SECRET, B: SECRET }, source: { inline: SECRET }, entrypoint: 'script' })],
      [SECRETS, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { a: SECRET } }],
      [SECRETS, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { a: SECRET } }],
    );
    /** Damage around the secret: what is wrong is told, and the secret is not. */
    const damage = fc.constantFrom<(body: Body) => void>(
      (body) => delete body.kind,
      (body) => delete body.apiVersion,
      (body) => delete body.metadata,
      (body) => {
        body.kind = 'Other';
      },
      (body) => {
        body.metadata.name = 'NOT a name';
      },
      (body) => {
        body.spec = [body.spec];
      },
      (body) => {
        if (body.spec) body.spec.unknown = { env: body.spec.env };
      },
      (body) => {
        if (body.spec) body.spec.env = [SECRET];
      },
      (body) => {
        if (body.spec) body.spec.env = { 'not a name': SECRET };
      },
      (body) => {
        if (body.spec) body.spec.env = { KRUNTIME_X: SECRET };
      },
      (body) => {
        if (body.spec) body.spec.env = { A: { b: SECRET } };
      },
      (body) => {
        if (body.spec) body.spec.env = { A: SECRET.repeat(20_000) };
      },
      (body) => {
        if (body.spec) body.spec.source = { inline: SECRET, repoURL: 'https://a/b' };
      },
      (body) => {
        if (body.data) body.data = { a: { b: SECRET } };
      },
      (body) => {
        if (body.data) body.data = SECRET;
      },
      (body) => {
        if (body.stringData) body.stringData = [SECRET];
      },
    );
    const spoil = fc.oneof(
      fc.constant(undefined),
      fc.record({
        at: fc.double({ min: 0, max: 0.999, noNaN: true }),
        put: fc.constantFrom('', '}', '"', '\n', 'x', '\\', ','),
      }),
    );
    await fc.assert(
      fc.asyncProperty(
        secretive,
        damage,
        spoil,
        fc.constantFrom('POST', 'PUT', 'PATCH'),
        fc.constantFrom('application/json', 'application/yaml', 'application/merge-patch+json', 'text/plain'),
        fc.constantFrom('Strict', 'Warn'),
        fc.boolean(),
        async ([path, whole], break_, where, method, type, validation, hasToken) => {
          const body = structuredClone(whole);
          break_(body);
          const good = type === 'application/yaml' ? yaml.dump(body) : JSON.stringify(body);
          const at = Math.floor((where?.at ?? 0) * good.length);
          const text = where === undefined ? good : good.slice(0, at) + where.put + good.slice(at + 1);
          const url = `${path}${method === 'POST' ? '' : '/r'}?fieldValidation=${validation}&fieldManager=t&dryRun=All`;
          const reply = await target.call(method, url, text, {
            type,
            ...(hasToken ? {} : { token: SECRET }),
          });
          if (reply.code < 400) return;
          expect(reply.code).to.be.lessThan(500);
          const told = JSON.stringify([reply.body, reply.headers]);
          expect(told, `${method} ${url} ${type} ${text.slice(0, 500)}`).to.not.contain(MARK);
        },
      ),
      { numRuns: 600 * Number(process.env.FUZZ ?? 1) },
    );
    expect(JSON.stringify(log.records)).to.not.contain(MARK);
    expect(JSON.stringify(log.records)).to.not.contain(server.adminToken);
  });
});
