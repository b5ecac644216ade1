/** Which of the Runs whose logs a pod keeps are gone. */
import { expect } from 'chai';

import { GATHER_MS, keptLogs } from '../../src/decide/kept-logs.js';
import type { RunUid } from '../../src/model/ids.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun } from '../support/builders.js';
import { allTold } from '../support/told.js';

const [p1, p2] = [aPod('p1'), aPod('p2')];
const here = aRun('here');

const subject = (isWhole = true) => {
  const w = aWorld();
  w.pod(p1);
  w.pod(p2);
  w.opened(p1, {});
  w.opened(p2, {});
  w.run(here);
  const machine = keptLogs(w.world, () => isWhole);
  return {
    w,
    machine,
    asks: (pod: typeof p1, runs: ReadonlyArray<string>, nowMs: number) =>
      machine.apply({ kind: 'KeptLogs', podUid: pod.uid, runs: runs as ReadonlyArray<RunUid> }, nowMs),
    wake: (nowMs: number) => allTold(machine.wake?.(nowMs) ?? []),
  };
};

describe('keptLogs', () => {
  it('names to each pod those of its Runs that are gone, a second after the first question', () => {
    const { machine, asks, wake } = subject();
    expect(machine.dueMs?.()).to.equal(undefined);
    expect(asks(p1, ['gone-1', here.uid], 5)).to.deep.equal([]);
    asks(p2, ['gone-2'], 400);
    asks(p1, ['gone-3'], 500);
    expect(machine.dueMs?.()).to.equal(5 + GATHER_MS);
    expect(wake(5 + GATHER_MS)).to.deep.equal([
      'ForgetLogs gone-1 gone-3 by uid-p1',
      'ForgetLogs gone-2 by uid-p2',
    ]);
    expect(machine.dueMs?.()).to.equal(undefined);
    expect(wake(10_000)).to.deep.equal([]);
  });

  it('goes by what is there when it answers', () => {
    const { w, asks, wake } = subject();
    asks(p1, ['uid-late', here.uid], 0);
    w.run(aRun('late'));
    w.runGone(here);
    expect(wake(GATHER_MS)).to.deep.equal([`ForgetLogs ${here.uid} by uid-p1`]);
  });

  it('says nothing to a pod all of whose Runs there are, whose session is gone, or that it does not know', () => {
    const { w, asks, wake } = subject();
    asks(p1, [here.uid], 0);
    expect(wake(GATHER_MS)).to.deep.equal([]);
    asks(p1, ['gone'], 0);
    w.closed(p1);
    expect(wake(GATHER_MS)).to.deep.equal([]);
    const p3 = aPod('p3');
    w.opened(p3, {});
    asks(p3, ['gone'], 0);
    expect(wake(GATHER_MS)).to.deep.equal([]);
  });

  it('says nothing where a Run could not be read', () => {
    const { asks, wake } = subject(false);
    asks(p1, ['gone'], 0);
    expect(wake(GATHER_MS)).to.deep.equal([]);
  });
});
