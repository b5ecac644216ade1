/** What runtimed is told of a Runtime Server that comes, goes, and comes back; and of one that is there and says nothing. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Server, ServerCredentials } from '@grpc/grpc-js';
import { expect } from 'chai';
import {
  elementAt,
  filter,
  firstValueFrom,
  map,
  NEVER,
  of,
  ReplaySubject,
  Subject,
  type Subscription,
  take,
  toArray,
} from 'rxjs';

import { grpcTarget, listenGrpc } from '../../../src/io/address.js';
import { RuntimeServerClient } from '../../../src/io/runtime-server/client.js';
import { serverEvents } from '../../../src/io/runtime-server/events.js';
import { micros } from '../../../src/model/time.js';
import { type RuntimeServer, RuntimeService } from '../../../src/proto/gen/executor.js';

describe('events of a Runtime Server', () => {
  let folder: string;
  let client: RuntimeServerClient;
  let server: Server | undefined;
  let events: Subscription;
  /** Kinds of all that was told. */
  let told$: ReplaySubject<string>;
  /** Each time it is asked whether a process listens. */
  let looks$: Subject<void>;
  /** Whether a process listens, as the events are told. */
  let isThere: boolean;
  const address = (): Readonly<{ kind: 'Unix'; path: string }> => ({ kind: 'Unix', path: join(folder, 's') });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'krt-events-'));
    client = new RuntimeServerClient(grpcTarget(address()));
    told$ = new ReplaySubject();
    isThere = false;
    looks$ = new Subject();
    events = serverEvents(client, {
      isListening: () => {
        looks$.next();
        return Promise.resolve(isThere);
      },
      cursors: () => [],
      cursor: (id) => ({ id, stdoutOffset: 0, stderrOffset: 0 }),
      executed$: NEVER,
      pressure$: of(false),
      now: () => micros(0),
    })
      .pipe(
        map((event) => (event.kind === 'Health' ? `Health ${event.healthy}` : event.kind)),
        // One that is unhealthy says so at each try.
        filter((kind) => kind !== 'Health false'),
      )
      .subscribe(told$);
  });
  afterEach(() => {
    events.unsubscribe();
    client.close();
    server?.forceShutdown();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (): Promise<void> => {
    server = new Server();
    const handlers: Partial<RuntimeServer> = {
      health: (_call, reply) => reply(null, { healthy: true, message: '' }),
      watch: (call) => {
        call.write({ id: '', timeMicros: 0, event: { $case: 'synced', value: {} } });
      },
    };
    server.addService(RuntimeService, handlers as RuntimeServer);
    await listenGrpc(server, address(), ServerCredentials.createInsecure());
  };
  const first = (count: number): Promise<string[]> => firstValueFrom(told$.pipe(take(count), toArray()));

  it('say that nobody listens, once each time, and what follows when somebody does', async () => {
    expect(await first(1)).to.deep.equal(['Gone']);
    for (const life of [1, 2]) {
      await start();
      isThere = true;
      const opened = (await first(5 * life - 1)).slice(-3);
      expect(opened.sort()).to.deep.equal(['Health true', 'Opened', 'Synced']);
      isThere = false;
      server?.forceShutdown();
      expect((await first(5 * life + 1)).slice(-2)).to.deep.equal(['Down', 'Gone']);
      await firstValueFrom(looks$.pipe(elementAt(2)));
    }
  });

  it('do not say so of one that is there and does not answer', async () => {
    expect(await first(1)).to.deep.equal(['Gone']);
    isThere = true;
    for (const life of [1, 2]) {
      await start();
      expect((await first(4 * life)).slice(-3).sort()).to.deep.equal(['Health true', 'Opened', 'Synced']);
      server?.forceShutdown();
      expect((await first(4 * life + 1)).at(-1)).to.equal('Down');
    }
  });
});
