/**
 * Execute, Cancel and Forget on one stream, against servers on a socket: answers in any order, refusals, servers that
 * have no such stream, that break it and that say nothing. Whatever happens, each call ends once.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ChannelCredentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js';
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom, toArray } from 'rxjs';
import { grpcTarget, listenGrpc } from '../../../src/io/address.js';
import { type Answer, CallStream } from '../../../src/io/runtime-server/call-stream.js';
import { RuntimeServerClient } from '../../../src/io/runtime-server/client.js';
import {
  type CallAnswer,
  type CallRequest,
  type ForgetRequest,
  RuntimeClient,
  RuntimeService,
} from '../../../src/proto/gen/executor.js';

type Step = 'answer' | 'twice' | 'stranger' | 'nothing' | 'end' | 'error';
/** What comes of a request to a server that does so. */
const KINDS: Readonly<Record<Step, Answer['kind']>> = {
  answer: 'Answered',
  twice: 'Answered',
  stranger: 'Late',
  nothing: 'Late',
  end: 'Broken',
  error: 'Broken',
};

type Stream = ServerDuplexStream<CallRequest, CallAnswer>;

describe('calls on one stream', () => {
  let folder: string;
  let server: Server;
  let target: string;
  /** What the server does with a stream; undefined: it does not have them. */
  let serve: ((stream: Stream) => void) | undefined;
  let streams: number;
  /** Ids that were forgotten by a call of their own. */
  let calls: string[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'krt-calls-'));
    streams = 0;
    calls = [];
    server = new Server();
    server.addService(RuntimeService, {
      forget: ({ request }: { request: ForgetRequest }, respond: sendUnaryData<object>) => {
        calls.push(request.id);
        respond(null, {});
      },
      calls: (stream: Stream) => {
        streams += 1;
        if (serve === undefined) stream.emit('error', { code: status.UNIMPLEMENTED, details: 'no' });
        else serve(stream);
      },
    } as never);
    const address = { kind: 'Unix', path: join(folder, 's') } as const;
    await listenGrpc(server, address, ServerCredentials.createInsecure());
    target = grpcTarget(address);
  });
  afterEach(() => {
    server.forceShutdown();
    rmSync(folder, { recursive: true, force: true });
  });

  const forgetAll = async (
    client: RuntimeServerClient,
    ids: ReadonlyArray<string>,
  ): Promise<ReadonlyArray<string>> => {
    const answers = await Promise.all(ids.map((id) => firstValueFrom(client.forget(id).pipe(toArray()))));
    return answers.map(([answer, ...more]) => {
      expect(more).to.deep.equal([]);
      if (answer === undefined) return 'none';
      return E.isRight(answer) ? 'done' : `${answer.left.kind}: ${answer.left.message}`;
    });
  };

  it('gives each its own answer, in whatever order they come, over one stream', async () => {
    const held: CallRequest[] = [];
    serve = (stream) =>
      stream.on('data', (request: CallRequest) => {
        held.push(request);
        if (held.length < 3) return;
        for (const { serial, call } of held.reverse()) {
          const id = call?.value.id ?? '';
          stream.write({ serial, code: id === 'b' ? status.NOT_FOUND : status.OK, message: `of ${id}` });
        }
      });
    const client = new RuntimeServerClient(target);
    expect(await forgetAll(client, ['a', 'b', 'c'])).to.deep.equal(['done', 'NotFound: of b', 'done']);
    expect({ streams, calls }).to.deep.equal({ streams: 1, calls: [] });
    client.close();
  });

  it('are calls where the server has no such stream, which is found out once per connection', async () => {
    serve = undefined;
    const client = new RuntimeServerClient(target);
    expect(await forgetAll(client, ['a', 'b'])).to.deep.equal(['done', 'done']);
    expect(await forgetAll(client, ['c'])).to.deep.equal(['done']);
    expect(calls.sort()).to.deep.equal(['a', 'b', 'c']);
    expect(streams).to.equal(1);
    client.renew();
    await forgetAll(client, ['d']);
    expect(streams).to.equal(2);
    client.close();
  });

  it('are asked again as calls when the stream breaks, and the next goes by a new one', async () => {
    serve = (stream) =>
      stream.on('data', ({ serial, call }: CallRequest) => {
        if (streams === 1 && call?.value.id === 'b')
          stream.emit('error', { code: status.INTERNAL, details: '' });
        else if (streams > 1) stream.write({ serial, code: status.OK, message: '' });
      });
    const client = new RuntimeServerClient(target);
    expect(await forgetAll(client, ['a', 'b'])).to.deep.equal(['done', 'done']);
    expect(calls.sort()).to.deep.equal(['a', 'b']);
    expect(await forgetAll(client, ['c'])).to.deep.equal(['done']);
    expect(streams).to.equal(2);
    expect(calls).to.not.include('c');
    client.close();
  });

  it('are asked again as calls when the server ends the stream, or the connection is renewed', async () => {
    for (const end of ['server', 'renew']) {
      let asked = (): void => undefined;
      const isAsked = new Promise<void>((resolve) => {
        asked = resolve;
      });
      serve = (stream) =>
        stream.on('data', () => {
          asked();
          if (end === 'server') stream.end();
        });
      const client = new RuntimeServerClient(target);
      const answer = forgetAll(client, [end]);
      await isAsked;
      if (end === 'renew') client.renew();
      expect(await answer).to.deep.equal(['done']);
      expect(calls).to.include(end);
      client.close();
    }
  });

  it('are Unanswered where nobody listens', async () => {
    const client = new RuntimeServerClient(`unix:${join(folder, 'nobody')}`);
    const [answer = ''] = await forgetAll(client, ['a']);
    expect(answer).to.match(/^Unanswered: /);
    client.close();
  });

  it('end once each, in time, whatever the server answers', async () => {
    const steps = fc.array(fc.constantFrom<Step>('answer', 'twice', 'stranger', 'nothing', 'end', 'error'), {
      minLength: 1,
      maxLength: 6,
    });
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        serve = (stream) =>
          stream.on('data', ({ serial, call }: CallRequest) => {
            const step = plan[Number(call?.value.id)];
            if (step === 'answer' || step === 'twice') stream.write({ serial, code: 0, message: '' });
            if (step === 'twice') stream.write({ serial, code: 5, message: '' });
            if (step === 'stranger') stream.write({ serial: serial + 1000, code: 0, message: '' });
            if (step === 'end') stream.end();
            if (step === 'error') stream.emit('error', { code: status.DATA_LOSS, details: '' });
          });
        const grpc = new RuntimeClient(target, ChannelCredentials.createInsecure());
        const calls = new CallStream(() => grpc.calls(), 60);
        for (const [index, step] of plan.entries()) {
          const answers: Answer[] = [];
          await new Promise<void>((resolve) =>
            calls.ask({ $case: 'forget', value: { id: String(index) } }, (answer) => {
              answers.push(answer);
              resolve();
            }),
          );
          const said = answers.map(({ kind }) => kind).join();
          // On a busy machine even a good answer may come too late, and then be in the way of the next.
          if (said === 'Late' && KINDS[step] !== 'Late') break;
          expect(said).to.equal(KINDS[step]);
        }
        calls.close();
        grpc.close();
      }),
      { numRuns: 40 },
    );
  });
});
