import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';

import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { concat, firstValueFrom, lastValueFrom, NEVER, of, take, tap, toArray } from 'rxjs';

import { listenGrpc, parseAddress } from '../../../src/io/address.js';
import { afterInput } from '../../../src/io/clock.js';
import { createAuthority, issueCertificate } from '../../../src/io/session/certificates.js';
import { dialOperator } from '../../../src/io/session/client.js';
import { type FromOperator, type FromRuntimed, SessionsService } from '../../../src/proto/gen/session.js';
import { keepSession } from '../../../streams/sidecar/session.js';
import { healthy, quietSession } from '../../support/quiet-session.js';
import { standStill } from '../../support/stand-still.js';

type Stream = ServerDuplexStream<FromRuntimed, FromOperator>;

const beat: FromRuntimed = {
  message: { $case: 'beat', value: { healthy: true, healthMessage: '', draining: false } },
};

describe('dialOperator', () => {
  let folder: string;
  let server: Server | undefined;
  const streams: Stream[] = [];

  /** Serves sessions with the given behaviour. */
  const serve = async (connect: (stream: Stream) => void): Promise<string> => {
    const serving = new Server();
    server = serving;
    serving.addService(SessionsService, {
      connect: (stream: Stream) => {
        streams.push(stream);
        connect(stream);
      },
    });
    const address = parseAddress(`unix:${join(folder, 'operator.sock')}`);
    if (E.isLeft(address)) throw new Error(address.left);
    await listenGrpc(serving, address.right, ServerCredentials.createInsecure());
    return `unix:${join(folder, 'operator.sock')}`;
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'krt-session-'));
    await writeFile(join(folder, 'token'), 'first\n');
  });

  afterEach(async () => {
    streams.length = 0;
    server?.forceShutdown();
    server = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  it('carries messages both ways until the operator ends the call', async () => {
    const url = await serve((stream) => {
      stream.on('data', (message: FromRuntimed) => {
        stream.write({ message: message.message?.$case === 'beat' ? message.message : undefined });
        stream.end();
      });
    });
    const dial = dialOperator({ url, ca: '', tokenFile: join(folder, 'token') });
    expect(await lastValueFrom(dial(concat(of(beat), NEVER)).pipe(toArray()))).to.deep.equal([beat]);
  });

  it('knows an operator by its address, of which its certificate has to be, and asks it for no name that is an address', async () => {
    const authority = await createAuthority();
    const names: string[] = [];
    const warnings: string[] = [];
    const warn = ({ message }: Error): void => void warnings.push(message);
    process.on('warning', warn);
    const dialled = async (name: string): Promise<unknown> => {
      const { certificate, privateKey } = await issueCertificate(authority, [name]);
      const accepted: Socket[] = [];
      const serving = createTlsServer(
        {
          cert: certificate,
          key: privateKey,
          ALPNProtocols: ['h2'],
          SNICallback: (asked, done) => {
            names.push(asked);
            done(null);
          },
        },
        // Who does not trust the certificate says nothing to whoever has it.
        (socket) => {
          accepted.push(socket);
          socket.on('error', () => undefined).once('data', () => serving.emit('trusted'));
        },
      ).listen(0, '127.0.0.1');
      await once(serving, 'listening');
      const { port } = serving.address() as AddressInfo;
      const url = `https://127.0.0.1:${port}`;
      const dial = dialOperator({ url, ca: authority.certificate, tokenFile: join(folder, 'token') });
      const session = dial(NEVER).subscribe({ error: (error) => serving.emit('refused', error) });
      try {
        return await Promise.race([
          once(serving, 'trusted').then(() => 'trusted'),
          once(serving, 'refused').then(([error]) => error.message),
        ]);
      } finally {
        session.unsubscribe();
        for (const socket of accepted) socket.destroy();
        serving.close();
      }
    };
    try {
      expect(await dialled('127.0.0.1')).to.equal('trusted');
      expect(await dialled('127.0.0.2')).to.match(/IP: 127\.0\.0\.1 is not in the cert's list: 127\.0\.0\.2/);
      expect(names).to.deep.equal(Array(2).fill('operator.kruntimes.invalid'));
      expect(warnings).to.deep.equal([]);
    } finally {
      process.off('warning', warn);
    }
  });

  it('reads its token at each dial, and makes a connection of its own for each', async () => {
    const url = await serve((stream) => stream.write({ message: { $case: 'drain', value: {} } }));
    const dial = dialOperator({ url, ca: '', tokenFile: join(folder, 'token') });
    await firstValueFrom(dial(NEVER));
    await writeFile(join(folder, 'token'), 'second');
    const other = firstValueFrom(dial(NEVER));
    await other;
    expect(streams.map((stream) => stream.metadata.get('authorization')[0])).to.deep.equal([
      'Bearer first',
      'Bearer second',
    ]);
  });

  it('errors with what the operator says when it refuses, and when there is none', async () => {
    const url = await serve((stream) => stream.emit('error', { code: 14, details: 'not the leader' }));
    const dial = dialOperator({ url, ca: '', tokenFile: join(folder, 'token') });
    const reason = (error: Error): string => error.message;
    expect(await lastValueFrom(dial(NEVER)).catch(reason)).to.equal(`the operator at ${url}: not the leader`);
    const nowhere = dialOperator({ url: 'unix:/nowhere.sock', ca: '', tokenFile: join(folder, 'token') });
    expect(await lastValueFrom(nowhere(NEVER)).catch(reason)).to.contain('unix:/nowhere.sock');
    const tokenless = dialOperator({ url, ca: '', tokenFile: join(folder, 'none') });
    expect(await lastValueFrom(tokenless(NEVER)).catch(reason)).to.contain('ENOENT');
  });

  it('dials no more once a dial has failed, so that no connection is left when the operator is back', async () => {
    let dials = 0;
    const refusing = createServer((socket) => {
      dials += 1;
      socket.on('error', () => undefined).destroy();
    }).listen(join(folder, 'refusing.sock'));
    try {
      const url = `unix:${join(folder, 'refusing.sock')}`;
      const dial = dialOperator({ url, ca: '', tokenFile: join(folder, 'token') });
      await lastValueFrom(dial(NEVER)).catch(() => undefined);
      expect(dials).to.equal(1);
      // Longer than the pause after which grpc-js would try again: 1 s, and a fifth more or less.
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(dials).to.equal(1);
    } finally {
      refusing.close();
    }
  });

  it('is no reason to take its own standing still for the silence of the operator', async () => {
    const beatMs = 200;
    const url = await serve((stream) => {
      stream.once('data', () =>
        stream.write({ message: { $case: 'welcome', value: { beatIntervalMillis: beatMs } } }),
      );
    });
    const session = keepSession(dialOperator({ url, ca: '', tokenFile: join(folder, 'token') }), {
      ...quietSession,
      clock: afterInput,
    });
    const events = session.pipe(
      tap(({ kind }) => {
        if (kind !== 'Opened') return;
        // The beat is in the socket, unread, when the process stands still for longer than three.
        for (const stream of streams) stream.write({ message: { $case: 'beat', value: healthy } });
        setImmediate(() => {
          standStill(3.5 * beatMs);
          setImmediate(() => {
            for (const stream of streams) stream.write({ message: { $case: 'drain', value: {} } });
          });
        });
      }),
      take(2),
      toArray(),
    );
    expect(await lastValueFrom(events)).to.deep.equal([{ kind: 'Opened' }, { kind: 'Drain' }]);
  });

  it('ends the call when it is unsubscribed', async () => {
    let over: () => void = () => undefined;
    const cancelled = new Promise<void>((resolve) => {
      over = resolve;
    });
    const url = await serve((stream) => {
      stream.on('cancelled', over);
      stream.write({ message: { $case: 'drain', value: {} } });
    });
    await firstValueFrom(dialOperator({ url, ca: '', tokenFile: join(folder, 'token') })(NEVER));
    await cancelled;
  });
});
