import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createHttp, type Server } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { createServer as createTcp, type Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { expect } from 'chai';

import { askProbe, type ProbeTarget } from '../../../src/embedded/kubelet/ask-probe.js';
import type { Probe } from '../../../src/embedded/kubelet/pod.js';
import { MARKER, markedProcesses } from '../../../src/embedded/kubelet/sweep.js';
import { aContainer } from './pod-builder.js';

let folder: string;
let servers: TcpServer[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'krt-probe-'));
});
afterEach(() => {
  for (const server of servers) server.close();
  servers = [];
  rmSync(folder, { recursive: true, force: true });
});

const listen = <S extends TcpServer | Server>(server: S, port: number): Promise<S> =>
  new Promise((resolve) => {
    servers.push(server);
    server.listen(join(folder, `${port}.sock`), () => resolve(server));
  });

const ask = (probe: Probe) => {
  const target: ProbeTarget = {
    container: aContainer('main'),
    address: (port) => (port === 'nameless' ? undefined : { path: join(folder, `${port}.sock`) }),
    variables: new Map([
      ['PATH', process.env.PATH ?? '/usr/bin:/bin'],
      [MARKER, `probe-test/${process.pid}`],
    ]),
    workingDir: folder,
    rewrite: (word) => word,
  };
  // Only against waiting for ever, unless a test is about it.
  return askProbe({ timeoutSeconds: 60, ...probe }, target);
};

describe('askProbe', () => {
  it('takes 2xx and 3xx for a yes, and says what else it got', async () => {
    await listen(
      createHttp((request, response) => {
        response.statusCode = Number(request.url?.slice(1));
        response.end();
      }),
      80,
    );
    const get = (path: string) => ask({ httpGet: { port: 80, path } });
    expect(await get('/204')).to.deep.equal({ ok: true });
    expect(await get('/302')).to.deep.equal({ ok: true });
    expect(await get('/500')).to.deep.equal({ ok: false, message: 'HTTP probe failed with statuscode: 500' });
    expect((await ask({ httpGet: { port: 81 } })).message).to.contain('ENOENT');
    expect(await ask({ httpGet: { port: 'nameless' } })).to.deep.equal({
      ok: false,
      message: 'no port is named nameless',
    });
  });

  it('gives up on an answer that does not come', async () => {
    await listen(
      createHttp(() => undefined),
      80,
    );
    expect((await ask({ httpGet: { port: 80 }, timeoutSeconds: 1 })).message).to.contain('no answer in time');
  });

  it('connects for tcpSocket', async () => {
    await listen(
      createTcp((socket) => socket.on('error', () => undefined).end()),
      80,
    );
    expect(await ask({ tcpSocket: { port: 80 } })).to.deep.equal({ ok: true });
    expect((await ask({ tcpSocket: { port: 81 } })).ok).to.equal(false);
  });

  it('asks the gRPC health service, and for the service named', async () => {
    const server = createHttp2();
    server.on('stream', (stream) => {
      const body: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => body.push(chunk));
      stream.on('end', () => {
        const isServing = Buffer.concat(body).toString().includes('good');
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.end(Buffer.from([0, 0, 0, 0, 2, 8, isServing ? 1 : 2]));
      });
    });
    await listen(server, 80);
    expect(await ask({ grpc: { port: 80, service: 'good' } })).to.deep.equal({ ok: true });
    expect((await ask({ grpc: { port: 80, service: 'bad' } })).message).to.contain('service unhealthy');
  });

  it('runs a command, and ends all of one that takes too long', async () => {
    expect(await ask({ exec: { command: ['/bin/sh', '-c', 'exit 0'] } })).to.deep.equal({ ok: true });
    expect(await ask({ exec: { command: ['/bin/sh', '-c', 'echo why; exit 3'] } })).to.deep.equal({
      ok: false,
      message: 'why',
    });
    const slow = await ask({
      exec: { command: ['/bin/sh', '-c', 'setsid sleep 1000 >/dev/null 2>&1 & sleep 1000'] },
      timeoutSeconds: 1,
    });
    expect(slow).to.deep.equal({ ok: false, message: 'command timed out' });
    // Killed they are; how soon a process that was killed is gone is the kernel's business.
    const left = (): readonly number[] => markedProcesses({ prefix: `probe-test/${process.pid}` });
    const untilMs = Date.now() + 60_000;
    while (left().length > 0 && Date.now() < untilMs) await pause(5);
    expect(left()).to.deep.equal([]);
  });
});
