import { expect } from 'chai';

import { eventsOf } from '../../../src/io/runtime-server/poll.js';
import { micros } from '../../../src/model/time.js';
import { State, StatusResponse } from '../../../src/proto/gen/executor.js';

const nothing = { isStarted: false, isEnded: false, stdout: 0, stderr: 0 };
const at = micros(7);

const kinds = (response: Partial<StatusResponse>, told = nothing): ReadonlyArray<string> =>
  eventsOf(StatusResponse.fromPartial({ id: 'a', ...response }), told, at).events.map(({ kind }) => kind);

describe('eventsOf', () => {
  it('says started once, new output only, and the end once', () => {
    const running = { state: State.STATE_RUNNING, stdout: 'é\n' };
    expect(kinds({ state: State.STATE_PENDING })).to.deep.equal([]);
    expect(kinds(running)).to.deep.equal(['Started', 'Output']);
    const { told } = eventsOf(StatusResponse.fromPartial({ id: 'a', ...running }), nothing, at);
    expect(told).to.deep.equal({ isStarted: true, isEnded: false, stdout: 3, stderr: 0 });
    expect(kinds(running, told)).to.deep.equal([]);
    const more = eventsOf(
      StatusResponse.fromPartial({ id: 'a', state: State.STATE_SUCCEEDED, stdout: 'é\nmore', stderr: 'e' }),
      told,
      at,
    );
    expect(more.events).to.deep.equal([
      { kind: 'Output', id: 'a', stream: 'stdout', offset: 3, data: Buffer.from('more'), at },
      { kind: 'Output', id: 'a', stream: 'stderr', offset: 0, data: Buffer.from('e'), at },
      { kind: 'Exited', id: 'a', exit: { code: 0, signal: 0, cause: 'Unknown', errorMessage: '', at } },
    ]);
    expect(
      eventsOf(StatusResponse.fromPartial({ id: 'a', state: State.STATE_SUCCEEDED }), more.told, at).events,
    ).to.deep.equal([]);
  });

  it('reads a signal from 128+N, and takes a failure without a code for 1', () => {
    const exit = (exitCode: number): unknown =>
      eventsOf(
        StatusResponse.fromPartial({ id: 'a', state: State.STATE_FAILED, exitCode }),
        nothing,
        at,
      ).events.at(-1);
    expect(exit(137)).to.have.nested.property('exit.signal', 9);
    expect(exit(0)).to.have.nested.property('exit.code', 1);
    expect(exit(255)).to.have.nested.property('exit.signal', 0);
  });
});
