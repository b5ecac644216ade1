/**
 * A Runtime Server that answers any bytes, and one that is sent any bytes.
 *
 * - each call of runtimed's ends in one answer or one failure, and the next call is served
 * - the events go on after a stream of any messages: Down once for each Opened, and what comes after is told
 * - the Bash Runtime Server answers or refuses any request, and runs the next script
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  credentials,
  Client as GrpcClient,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom, NEVER, of, takeWhile, toArray } from 'rxjs';

import { grpcTarget, listenGrpc } from '../../../src/io/address.js';
import { RuntimeServerClient } from '../../../src/io/runtime-server/client.js';
import { serverEvents } from '../../../src/io/runtime-server/events.js';
import { micros } from '../../../src/model/time.js';
import {
  EndCause,
  ExecuteRequest,
  HealthResponse,
  RuntimeService,
  WatchEvent,
} from '../../../src/proto/gen/executor.js';
import { startHarness } from '../../runtimes/bash/harness.js';

const asItIs = (bytes: Buffer): Buffer => bytes;
/** The same calls, whose messages are bytes. */
const rawService = Object.fromEntries(
  Object.entries(RuntimeService).map(([name, call]) => [
    name,
    {
      ...call,
      requestSerialize: asItIs,
      requestDeserialize: asItIs,
      responseSerialize: asItIs,
      responseDeserialize: asItIs,
    },
  ]),
) as ServiceDefinition;

const eventBytes = (event: Partial<WatchEvent>): Buffer =>
  Buffer.from(WatchEvent.encode(WatchEvent.fromPartial(event)).finish());
const exited = eventBytes({
  id: 'a',
  timeMicros: 1,
  event: {
    $case: 'exited',
    value: {
      code: 3,
      signal: 0,
      cause: EndCause.END_CAUSE_EXITED,
      errorMessage: '',
      stdoutBytes: 0,
      stderrBytes: 0,
      stdoutDropped: 0,
      stderrDropped: 0,
    },
  },
});
const request = Buffer.from(
  ExecuteRequest.encode(
    ExecuteRequest.fromPartial({
      id: 'x',
      args: ['true'],
      env: { A: 'b' },
      workingDir: 'w',
      timeoutSeconds: 5,
    }),
  ).finish(),
);

/** Any bytes, mostly those of a message in which some were changed. */
const near = (good: Buffer): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc
      .tuple(fc.nat(good.length - 1), fc.uint8Array({ minLength: 1, maxLength: 10 }))
      .map(([at, bytes]) => Buffer.concat([good.subarray(0, at), Buffer.from(bytes), good.subarray(at + 1)])),
    fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    fc.constant(good),
  );

describe('a Runtime Server that answers any bytes', () => {
  let folder: string;
  let server: Server;
  let client: RuntimeServerClient;
  let answerBytes: Buffer;
  /** Of each Watch, one after the other; the last one stays open. */
  let streams: Buffer[][];
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'krt-bytes-'));
    answerBytes = Buffer.alloc(0);
    streams = [];
    const unary = (_call: unknown, respond: sendUnaryData<Buffer>): void => respond(null, answerBytes);
    const handlers: UntypedServiceImplementation = {
      ...Object.fromEntries(
        Object.entries(RuntimeService).flatMap(([name, { requestStream }]) =>
          requestStream ? [] : [[name, unary]],
        ),
      ),
      health: (_call: unknown, respond: sendUnaryData<Buffer>) =>
        respond(null, Buffer.from(HealthResponse.encode({ healthy: true, message: '' }).finish())),
      watch: (call: ServerWritableStream<Buffer, Buffer>) => {
        const messages = streams.shift() ?? [];
        for (const message of messages) call.write(message);
        if (streams.length > 0) call.end();
      },
    };
    server = new Server();
    server.addService(rawService, handlers);
    const address = { kind: 'Unix', path: join(folder, 's') } as const;
    await listenGrpc(server, address, ServerCredentials.createInsecure());
    client = new RuntimeServerClient(grpcTarget(address));
  });
  afterEach(() => {
    client.close();
    server.forceShutdown();
    rmSync(folder, { recursive: true, force: true });
  });

  it('gives each call one answer or one failure, and serves the next', async () => {
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(near(exited), async (bytes) => {
        answerBytes = bytes;
        for (const call of [() => client.status('a'), () => client.list(), () => client.cancel('a')]) {
          const answers = await firstValueFrom(call().pipe(toArray()));
          expect(answers).to.have.length(1);
          seen.add(answers.map((each) => each._tag).join());
        }
        answerBytes = Buffer.alloc(0);
        expect(E.isRight(await firstValueFrom(client.list()))).to.equal(true);
      }),
      { numRuns: 100 },
    );
    expect([...seen].sort()).to.deep.equal(['Left', 'Right']);
  });

  it('tells what comes after a stream of any messages', async () => {
    const end = eventBytes({ id: 'after', timeMicros: 1, event: { $case: 'started', value: { pid: 1 } } });
    await fc.assert(
      fc.asyncProperty(fc.array(near(exited), { minLength: 1, maxLength: 4 }), async (messages) => {
        streams = [messages, [end]];
        const events = await firstValueFrom(
          serverEvents(client, {
            isListening: () => Promise.resolve(true),
            cursors: () => [],
            cursor: (id) => ({ id, stdoutOffset: 0, stderrOffset: 0 }),
            executed$: NEVER,
            pressure$: of(false),
            now: () => micros(1_000_000),
          }).pipe(
            takeWhile((event) => event.kind !== 'Started' || event.id !== 'after', true),
            toArray(),
          ),
        );
        const turns = events.map(({ kind }) => kind).filter((kind) => kind === 'Opened' || kind === 'Down');
        expect(turns.at(-1)).to.equal('Opened');
        for (const [at, kind] of turns.entries()) expect(kind).to.equal(at % 2 === 0 ? 'Opened' : 'Down');
        for (const event of events) if ('at' in event) expect(Number.isSafeInteger(event.at)).to.equal(true);
      }),
      { numRuns: 25 },
    );
  });
});

describe('a Bash Runtime Server that is sent any bytes', () => {
  it('answers or refuses, and runs the next script', async () => {
    const harness = await startHarness();
    const raw = new GrpcClient(grpcTarget(harness.server.address), credentials.createInsecure());
    try {
      const codes = new Set<number>();
      const calls = Object.values(RuntimeService).filter(({ responseStream }) => !responseStream);
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...calls), near(request), async ({ path }, bytes) => {
          codes.add(
            await new Promise<number>((resolve) => {
              raw.makeUnaryRequest(path, asItIs, asItIs, bytes, (error) => resolve(error?.code ?? 0));
            }),
          );
        }),
        { numRuns: 200 },
      );
      expect(codes.size).to.be.greaterThan(1);
      const { exited: exit, stdout } = await harness.client.run('echo alive');
      expect(exit.code).to.equal(0);
      expect(stdout).to.equal('alive\n');
    } finally {
      raw.close();
      await harness.stop();
    }
  });
});
