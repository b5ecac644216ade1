import { expect } from 'chai';

import { cancellations } from '../../src/decide/cancellation.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, runningOn, scheduledOn } from '../support/builders.js';
import { allTold } from '../support/told.js';

const p1 = aPod('p1');
const asked = { cancelRequested: true };

describe('cancellations', () => {
  const table: ReadonlyArray<readonly [string, Partial<RunRecord>, ReadonlyArray<string>]> = [
    ['a waiting Run is ended here', asked, ['AdvanceRun a: CancelledWaiting']],
    [
      'one that waits for its next attempt, too',
      { ...asked, status: { phase: 'Pending', attempt: 1 } },
      ['AdvanceRun a: CancelledWaiting'],
    ],
    [
      'a Scheduled one is ended by its pod',
      { ...asked, status: scheduledOn(p1) },
      ['SignalCancel a: Cancelled to uid-p1'],
    ],
    [
      'a Running one is ended by its pod',
      { ...asked, status: runningOn(p1) },
      ['SignalCancel a: Cancelled to uid-p1'],
    ],
    ['an ended one stays as it is', { ...asked, status: { phase: 'Succeeded' } }, []],
    ['nobody is told of a Run that nobody cancels', { status: runningOn(p1) }, []],
  ];
  for (const [name, overrides, expected] of table)
    it(name, () => {
      const w = aWorld();
      expect(allTold(cancellations(w.world, w.run(aRun('a', overrides))))).to.deep.equal(expected);
    });

  it('tells a session that opens of every cancelled Run on its pod, and of no other', () => {
    const w = aWorld();
    w.pod(p1);
    w.run(aRun('a', { ...asked, status: runningOn(p1) }));
    w.run(aRun('b', { status: runningOn(p1) }));
    w.run(aRun('c', { ...asked, status: runningOn(aPod('p2')) }));
    expect(allTold(cancellations(w.world, w.opened(p1)))).to.deep.equal([
      'SignalCancel a: Cancelled to uid-p1',
    ]);
  });

  it('does not repeat itself at each beat of a session, nor when it closes', () => {
    const w = aWorld();
    w.pod(p1);
    w.run(aRun('a', { ...asked, status: runningOn(p1) }));
    w.opened(p1);
    expect(cancellations(w.world, w.changed(p1, { healthy: false }))).to.deep.equal([]);
    expect(cancellations(w.world, w.closed(p1))).to.deep.equal([]);
  });

  it('tells the pod of a Run that is being deleted, or is gone, and of no other that is gone', () => {
    const w = aWorld();
    w.pod(p1);
    const run = aRun('a', { status: runningOn(p1) });
    w.run(run);
    const signal = [`SignalCancel a: Cancelled to ${p1.uid}`];
    expect(allTold(cancellations(w.world, w.run({ ...run, deleting: true })))).to.deep.equal(signal);
    expect(allTold(cancellations(w.world, w.runGone(run)))).to.deep.equal(signal);
    const waiting = aRun('b', asked);
    w.run(waiting);
    expect(cancellations(w.world, w.runGone(waiting))).to.deep.equal([]);
    const ended = aRun('c', { status: { ...runningOn(p1), phase: 'Succeeded' } });
    w.run(ended);
    expect(cancellations(w.world, w.runGone(ended))).to.deep.equal([]);
  });
});
