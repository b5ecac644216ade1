/** Execute, Cancel and Forget over the stream `Calls` come to what the calls of the same name come to. */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';

import { type CallAnswer, type CallRequest, ExecuteRequest } from '../../../src/proto/gen/executor.js';
import { codeOf, type Harness, startHarness } from './harness.js';

type Call = NonNullable<CallRequest['call']>;

/** One stream, and what it answers to one request after the other. */
const openCalls = (
  harness: Harness,
): Readonly<{ ask: (call?: Call) => Promise<CallAnswer>; ended: Promise<void> }> => {
  const stream = harness.client.grpc.calls();
  stream.on('error', () => undefined);
  let serial = 0;
  return {
    ask: (call) =>
      new Promise((resolve) => {
        serial += 1;
        stream.once('data', resolve);
        stream.write({ serial, call });
      }),
    ended: new Promise((resolve) => {
      stream.once('end', () => {
        stream.end();
        resolve();
      });
    }),
  };
};

const execute = (request: Partial<ExecuteRequest>): Call => ({
  $case: 'execute',
  value: ExecuteRequest.fromPartial(request),
});
const cancel = (id: string): Call => ({ $case: 'cancel', value: { id } });
const forget = (id: string): Call => ({ $case: 'forget', value: { id } });

describe('the stream of calls of the Bash Runtime Server', () => {
  let harness: Harness;
  beforeEach(async () => {
    harness = await startHarness();
  });
  afterEach(() => harness.stop());

  it('starts an execution once, cancels and forgets it', async () => {
    const { client } = harness;
    const { ask } = openCalls(harness);
    const id = client.newId();
    const sleep = execute({ id, workingDir: id, args: ['sleep', '600'] });
    expect(await ask(sleep)).to.deep.equal({ serial: 1, code: 0, message: '' });
    expect(await ask(sleep)).to.deep.equal({ serial: 2, code: 0, message: '' });
    expect((await client.list()).entries.map((entry) => entry.id)).to.deep.equal([id]);
    expect((await ask(forget(id))).code).to.equal(status.FAILED_PRECONDITION);
    expect((await ask(cancel(id))).code).to.equal(0);
    expect((await client.finish(id)).exited.signal).to.equal(15);
    expect((await ask(forget(id))).code).to.equal(0);
    expect((await client.list()).entries).to.deep.equal([]);
  });

  it('refuses as the calls do, and goes on', async () => {
    const { client } = harness;
    const { ask } = openCalls(harness);
    const cases: ReadonlyArray<readonly [Call, () => Promise<unknown>]> = [
      [cancel('nobody'), () => client.cancel('nobody')],
      [forget('nobody'), () => client.forget('nobody')],
      [execute({ id: '' }), () => client.execute({ id: '' })],
      [execute({ id: 'a', entrypoint: '../b' }), () => client.execute({ id: 'a', entrypoint: '../b' })],
      [execute({ id: 'a', workingDir: 'gone' }), () => client.execute({ id: 'a', workingDir: 'gone' })],
    ];
    for (const [call, unary] of cases) expect((await ask(call)).code).to.equal((await codeOf(unary())) ?? 0);
    expect((await ask()).code).to.equal(status.INVALID_ARGUMENT);
    const { code, message } = await ask(execute({ id: 'a', env: { 'A=B': 'secret' } }));
    expect(code).to.equal(status.INVALID_ARGUMENT);
    expect(message).to.not.include('secret');
  });

  it('is ended by a server that drains', async () => {
    const { ask, ended } = openCalls(harness);
    expect((await ask(forget('nobody'))).code).to.equal(0);
    await Promise.all([ended, harness.server.drain()]);
  });
});
