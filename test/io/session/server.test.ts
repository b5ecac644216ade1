import {
  ChannelCredentials,
  Client,
  type ClientDuplexStream,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';

import { createAuthority, issueCertificate } from '../../../src/io/session/certificates.js';
import { type PodIdentity, type SessionServer, serveSessions } from '../../../src/io/session/server.js';
import type { PodUid, RunUid } from '../../../src/model/ids.js';
import type { SessionEvent } from '../../../src/model/session.js';
import { FromOperator, FromRuntimed, type Hello, SessionsService } from '../../../src/proto/gen/session.js';
import { standStill } from '../../support/stand-still.js';

const p1 = 'uid-p1' as PodUid;
const p2 = 'uid-p2' as PodUid;
const identities: Readonly<Record<string, PodIdentity>> = {
  one: { namespace: 'default', podName: 'p1', podUid: p1 },
  two: { namespace: 'default', podName: 'p2', podUid: p2 },
};
const hello = (podUid: string, overrides: Partial<Hello> = {}): FromRuntimed => ({
  message: {
    $case: 'hello',
    value: {
      podName: 'p1',
      podUid,
      runtime: 'bash',
      version: '1',
      held: [],
      healthy: true,
      healthMessage: '',
      draining: false,
      artifactStore: '',
      ...overrides,
    },
  },
});
const beat: FromRuntimed = {
  message: { $case: 'beat', value: { healthy: false, healthMessage: 'down', draining: true } },
};

/** What arrives, one by one; each wait ends with the test. */
class Inbox<A> {
  readonly #items: A[] = [];
  #wake: () => void = () => undefined;
  readonly put = (item: A): void => {
    this.#items.push(item);
    this.#wake();
  };
  async next(): Promise<A> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) return item;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

type Caller = Readonly<{
  stream: ClientDuplexStream<Buffer, FromOperator>;
  inbox: Inbox<FromOperator | ServiceError>;
  send: (message: FromRuntimed) => void;
  sendBytes: (bytes: Buffer) => void;
  /** The status the call ended with, what came before it skipped. */
  end: () => Promise<ServiceError>;
}>;

describe('serveSessions', () => {
  let authority: Awaited<ReturnType<typeof createAuthority>>;
  let server: SessionServer;
  let events: Inbox<SessionEvent>;
  let isLeading: boolean;
  let asked: (
    token: string,
  ) => Promise<E.Either<{ kind: 'Unauthorized' | 'Unavailable'; message: string }, PodIdentity>>;
  const clients: Client[] = [];

  const start = async (beatIntervalMs = 60_000): Promise<void> => {
    const { certificate, privateKey } = await issueCertificate(authority, ['localhost', '127.0.0.1']);
    events = new Inbox();
    isLeading = true;
    asked = async (token) => {
      const identity = identities[token];
      return identity
        ? E.right(identity)
        : E.left({ kind: 'Unauthorized', message: 'the token is not valid' });
    };
    server = await serveSessions({
      address: { kind: 'Tcp', host: '127.0.0.1', port: 0 },
      certificate,
      privateKey,
      authenticate: (token) => asked(token),
      isAccepting: () => isLeading,
      beatIntervalMs,
    });
    server.port.events$.subscribe(events.put);
  };

  const dial = (token: string | undefined): Caller => {
    const client = new Client(
      `127.0.0.1:${server.tcpPort}`,
      ChannelCredentials.createSsl(Buffer.from(authority.certificate)),
      { 'grpc.use_local_subchannel_pool': 1, 'grpc.ssl_target_name_override': 'localhost' },
    );
    clients.push(client);
    const metadata = new Metadata();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    const stream = client.makeBidiStreamRequest(
      SessionsService.connect.path,
      (bytes: Buffer) => bytes,
      (bytes) => FromOperator.decode(bytes),
      metadata,
    );
    const inbox = new Inbox<FromOperator | ServiceError>();
    stream.on('data', inbox.put);
    stream.on('error', inbox.put);
    const sendBytes = (bytes: Buffer): void => {
      stream.write(bytes);
    };
    return {
      stream,
      inbox,
      sendBytes,
      send: (message) => sendBytes(Buffer.from(FromRuntimed.encode(message).finish())),
      end: async () => {
        for (;;) {
          const item = await inbox.next();
          if (item instanceof Error) return item;
        }
      },
    };
  };
  const opened = async (token: string, uid: PodUid): Promise<Caller> => {
    const caller = dial(token);
    caller.send(hello(uid));
    expect(await caller.inbox.next()).to.have.nested.property('message.$case', 'welcome');
    expect(await events.next()).to.include({ kind: 'Opened' });
    return caller;
  };

  before(async () => {
    authority = await createAuthority();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await server.close();
  });

  it('opens a session for the pod that the token stands for, and says what it holds', async () => {
    await start();
    const caller = dial('one');
    caller.send(
      hello(p1, {
        held: [
          { runName: 'a', runUid: '6a2f41a3-c54c-4ce8-9d4d-1f1a5c9a9a01', attempt: 2 },
          { runName: 'bad', runUid: '', attempt: 1 },
          { runName: 'bad', runUid: '6a2f41a3-c54c-4ce8-9d4d-1f1a5c9a9a02', attempt: 0 },
        ],
      }),
    );
    const event = await events.next();
    expect(event).to.deep.include({ kind: 'Opened' });
    expect(event.kind === 'Opened' && event.session).to.deep.include({
      podUid: p1,
      podKey: 'default/p1',
      healthy: true,
      held: [{ runName: 'a', runUid: '6a2f41a3-c54c-4ce8-9d4d-1f1a5c9a9a01', attempt: 2 }],
    });
  });

  const refusals: ReadonlyArray<readonly [string, string | undefined, FromRuntimed, status]> = [
    ['no token', undefined, hello(p1), status.UNAUTHENTICATED],
    ['a token that is not valid', 'three', hello(p1), status.UNAUTHENTICATED],
    ['a token of another pod', 'two', hello(p1), status.PERMISSION_DENIED],
    ['another first message than Hello', 'one', beat, status.FAILED_PRECONDITION],
  ];
  for (const [what, token, message, code] of refusals)
    it(`refuses ${what}`, async () => {
      await start();
      const caller = dial(token);
      caller.send(message);
      expect((await caller.end()).code).to.equal(code);
      await opened('two', p2);
    });

  it('asks to come back where the token cannot be reviewed now, or another operator leads', async () => {
    await start();
    asked = async () => E.left({ kind: 'Unavailable', message: 'the api is away' });
    const early = dial('one');
    early.send(hello(p1));
    expect((await early.end()).code).to.equal(status.UNAVAILABLE);
    isLeading = false;
    expect((await dial('one').end()).code).to.equal(status.UNAVAILABLE);
  });

  it('replaces a session by a newer one of the same pod', async () => {
    await start();
    const older = await opened('one', p1);
    const newer = dial('one');
    newer.send(hello(p1));
    expect((await older.end()).code).to.equal(status.ABORTED);
    expect(await events.next()).to.include({ kind: 'Closed', podUid: p1 });
    expect(await events.next()).to.include({ kind: 'Opened' });
    expect(server.port.drain(p1)).to.equal(true);
    await newer.inbox.next();
    expect(await newer.inbox.next()).to.have.nested.property('message.$case', 'drain');
  });

  it('tells of beats and refusals, and of its end, once', async () => {
    await start();
    const caller = await opened('one', p1);
    caller.send(beat);
    expect(await events.next()).to.deep.equal({
      kind: 'Changed',
      podUid: p1,
      healthy: false,
      healthMessage: 'down',
      draining: true,
    });
    const attempt = { runName: 'a', runUid: '6a2f41a3-c54c-4ce8-9d4d-1f1a5c9a9a01', attempt: 1 };
    caller.send({ message: { $case: 'refused', value: { attempt, reason: '', message: 'full' } } });
    expect(await events.next()).to.deep.include({ kind: 'Refused', podUid: p1, attempt, reason: 'Refused' });
    caller.stream.cancel();
    expect(await events.next()).to.include({ kind: 'Closed', podUid: p1 });
    expect(server.port.drain(p1), 'sent to nobody').to.equal(false);
    await opened('two', p2);
  });

  it('ends a session that is silent for three beats, and a call that never becomes one', async () => {
    await start(20);
    const silent = dial('one');
    silent.send(hello(p1));
    const mute = dial('two');
    expect((await silent.end()).code).to.equal(status.DEADLINE_EXCEEDED);
    expect((await mute.end()).code).to.equal(status.DEADLINE_EXCEEDED);
    expect(await events.next()).to.include({ kind: 'Opened' });
    expect(await events.next()).to.include({ kind: 'Closed', podUid: p1 });
  });

  it('does not take its own standing still for the silence of a pod', async () => {
    const beatMs = 200;
    await start(beatMs);
    const caller = await opened('one', p1);
    caller.send(beat);
    // The beat is in the socket, unread, when the process stands still for longer than three.
    setImmediate(standStill, 3.5 * beatMs);
    expect(await events.next()).to.include({ kind: 'Changed', podUid: p1 });
    expect(await caller.inbox.next()).to.have.nested.property('message.$case', 'beat');
  });

  it('ends all sessions when it no longer leads, and takes no message after that', async () => {
    await start();
    const caller = await opened('one', p1);
    isLeading = false;
    server.closeSessions('another operator leads');
    expect((await caller.end()).code).to.equal(status.UNAVAILABLE);
    expect(await events.next()).to.include({ kind: 'Closed', podUid: p1 });
  });

  it('tells of the Runs there are in parts that no message limit stops, the last of them known as such', async () => {
    await start();
    const caller = await opened('one', p1);
    const uids = Array.from({ length: 120_001 }, (_, n) => String(n).padStart(36, '0') as RunUid);
    for (const known of [uids, []]) {
      expect(server.port.sweepLogs(p1, 's', 'i', known)).to.equal(true);
      const told: string[] = [];
      for (let more = true; more; ) {
        const message = (await caller.inbox.next()) as FromOperator;
        if (message.message?.$case !== 'sweepLogs') continue;
        const { value } = message.message;
        expect(value).to.include({ store: 's', installation: 'i' });
        told.push(...value.runUids);
        more = value.more;
      }
      expect(told).to.deep.equal(known);
    }
    expect(server.port.sweepLogs(p2, 's', 'i', [])).to.equal(false);
  });

  it('takes whose logs a pod keeps, and tells it which of the Runs are gone, however many', async () => {
    await start();
    const caller = await opened('one', p1);
    const uids = Array.from({ length: 10_001 }, (_, n) => String(n).padStart(36, '0') as RunUid);
    caller.send({ message: { $case: 'keptLogs', value: { runUids: [...uids, ''] } } });
    expect(await events.next()).to.deep.equal({ kind: 'KeptLogs', podUid: p1, runs: uids });
    expect(server.port.forgetLogs(p1, uids)).to.equal(true);
    const told: string[] = [];
    while (told.length < uids.length) {
      const message = (await caller.inbox.next()) as FromOperator;
      if (message.message?.$case === 'forgetLogs') told.push(...message.message.value.runUids);
    }
    expect(told).to.deep.equal(uids);
    expect(server.port.forgetLogs(p2, uids)).to.equal(false);
  });

  it('survives any bytes, before and after Hello, and serves the other pods on', async () => {
    await start();
    const neighbour = await opened('two', p2);
    const good = Buffer.from(FromRuntimed.encode(hello(p1)).finish());
    const damaged = fc
      .tuple(fc.nat(good.length - 1), fc.uint8Array({ minLength: 1, maxLength: 6 }))
      .map(([at, bytes]) => Buffer.concat([good.subarray(0, at), Buffer.from(bytes), good.subarray(at + 1)]));
    const bytes = fc.oneof(
      damaged,
      fc.uint8Array({ maxLength: 40 }).map((raw) => Buffer.from(raw)),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(bytes, { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        async (messages, isOpen) => {
          const caller = dial('one');
          if (isOpen) caller.send(hello(p1));
          for (const message of messages) caller.sendBytes(message);
          caller.stream.end();
          await new Promise((resolve) => caller.stream.once('status', resolve));
        },
      ),
      { numRuns: 60 },
    );
    expect(
      server.port.cancel(
        p2,
        { runName: 'a', runUid: '6a2f41a3-c54c-4ce8-9d4d-1f1a5c9a9a01' as never, attempt: 1 },
        'Timeout',
      ),
    ).to.equal(true);
    // After the beats of as long as that took.
    const said: string[] = [];
    while (said.at(-1) !== 'cancel') {
      const item = await neighbour.inbox.next();
      if (item instanceof Error) throw item;
      said.push(item.message?.$case ?? 'nothing');
    }
    expect(said.filter((each) => each !== 'beat')).to.deep.equal(['cancel']);
  });
});
