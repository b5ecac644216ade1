import { expect } from 'chai';

import { deliveries } from '../../src/decide/deliveries.js';
import type { RunUid } from '../../src/model/ids.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, runningOn, scheduledOn } from '../support/builders.js';
import { allTold } from '../support/told.js';

const p1 = aPod('p1');
const ref = (name: string, attempt: number) => ({ runName: name, runUid: `uid-${name}` as RunUid, attempt });

describe('deliveries', () => {
  it('pushes again what is Scheduled on the pod and not held by the session that opens', () => {
    const w = aWorld();
    w.pod(p1);
    w.run(aRun('lost', { status: scheduledOn(p1) }));
    w.run(aRun('held', { status: scheduledOn(p1) }));
    w.run(aRun('older', { status: scheduledOn(p1, { attempt: 2 }) }));
    w.run(aRun('running', { status: runningOn(p1) }));
    w.run(aRun('elsewhere', { status: scheduledOn(aPod('p2')) }));
    const opened = w.opened(p1, { held: [ref('held', 1), ref('older', 1)] });
    expect(allTold(deliveries(w.world, opened))).to.deep.equal([
      'SignalAssign lost to uid-p1',
      'SignalAssign older to uid-p1',
    ]);
  });

  it('pushes nothing at a beat', () => {
    const w = aWorld();
    w.pod(p1);
    w.opened(p1);
    w.run(aRun('a', { status: scheduledOn(p1) }));
    expect(deliveries(w.world, w.changed(p1, { healthy: false }))).to.deep.equal([]);
  });

  it('takes back what the pod refuses', () => {
    const w = aWorld();
    w.pod(p1);
    w.opened(p1);
    const run = aRun('a', { status: scheduledOn(p1) });
    w.run(run);
    expect(allTold(deliveries(w.world, w.refused(p1, run, 1, 'AtCapacity')))).to.deep.equal([
      'AdvanceRun a: Returned AtCapacity',
    ]);
  });

  it('ignores a refusal of another attempt, pod or Run', () => {
    const w = aWorld();
    const p2 = aPod('p2');
    w.pod(p1);
    w.pod(p2);
    w.opened(p1);
    w.opened(p2);
    const run = aRun('a', { status: scheduledOn(p1, { attempt: 2 }) });
    w.run(run);
    expect(deliveries(w.world, w.refused(p1, run, 1, 'AtCapacity')), 'attempt 1').to.deep.equal([]);
    expect(deliveries(w.world, w.refused(p2, run, 2, 'AtCapacity')), 'pod 2').to.deep.equal([]);
    const namesake = { ...run, uid: 'uid-before' as RunUid };
    expect(deliveries(w.world, w.refused(p1, namesake, 2, 'AtCapacity')), 'namesake').to.deep.equal([]);
    w.runGone(run);
    expect(deliveries(w.world, w.refused(p1, run, 2, 'AtCapacity')), 'gone').to.deep.equal([]);
  });
});
