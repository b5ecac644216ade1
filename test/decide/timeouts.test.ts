import { expect } from 'chai';

import { deadlineMs, OVERDUE_MS, timeouts } from '../../src/decide/timeouts.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, at, runningOn, scheduledOn } from '../support/builders.js';
import { allTold } from '../support/told.js';

const p1 = aPod('p1');

describe('deadlineMs', () => {
  const table: ReadonlyArray<readonly [string, Partial<RunRecord>, number | undefined]> = [
    ['a Run without timeout', { status: runningOn(p1) }, undefined],
    ['a waiting Run', { timeoutMs: 100 }, undefined],
    ['a Running one: from its start', { timeoutMs: 100, status: runningOn(p1, { startTime: at(50) }) }, 150],
    [
      'a Scheduled one, whose process may start later: with room',
      { timeoutMs: 100, status: scheduledOn(p1, { scheduledTime: at(50) }) },
      150 + OVERDUE_MS,
    ],
    ['an ended one', { timeoutMs: 100, status: runningOn(p1, { phase: 'Succeeded' }) }, undefined],
  ];
  for (const [name, run, expected] of table)
    it(`is ${expected} for ${name}`, () => expect(deadlineMs(aRun('a', run))).to.equal(expected));
});

describe('timeouts', () => {
  const setUp = (withSession = true) => {
    const w = aWorld();
    w.pod(p1);
    if (withSession) w.opened(p1);
    const machine = timeouts(w.world);
    const run = (record: RunRecord): void => {
      expect([...machine.apply(w.run(record), 0)]).to.deep.equal([]);
    };
    return {
      w,
      machine,
      run,
      wake: (ms: number) => allTold(machine.wake?.(ms) ?? []),
      due: () => machine.dueMs?.(),
    };
  };
  const running = aRun('a', { timeoutMs: 100, status: runningOn(p1) });

  it('tells the pod at the deadline and not before', () => {
    const { run, wake, due } = setUp();
    run(running);
    expect(due()).to.equal(100);
    expect(wake(99)).to.deep.equal([]);
    expect(wake(100)).to.deep.equal(['SignalCancel a: Timeout to uid-p1']);
  });

  it('ends the Run itself when the pod has no session long after, and asks again until it is so', () => {
    const { run, wake, due } = setUp(false);
    run(running);
    wake(100);
    expect(due()).to.equal(100 + OVERDUE_MS);
    expect(wake(100 + OVERDUE_MS)).to.deep.equal(['AdvanceRun a: AttemptEnded Timeout']);
    expect(wake(100 + 2 * OVERDUE_MS)).to.deep.equal(['AdvanceRun a: AttemptEnded Timeout']);
  });

  it('leaves the end to a pod that has a session', () => {
    const { run, wake } = setUp();
    run(running);
    wake(100);
    expect(wake(100 + OVERDUE_MS)).to.deep.equal([]);
  });

  it('forgets a Run that ends, goes or goes back', () => {
    for (const after of [runningOn(p1, { phase: 'Succeeded' }), { phase: 'Pending' as const, attempt: 1 }]) {
      const { run, due } = setUp();
      run(running);
      run({ ...running, status: after });
      expect(due(), after.phase).to.equal(undefined);
    }
    const { w, machine, run, due } = setUp();
    run(running);
    expect([...machine.apply(w.runGone(running), 0)]).to.deep.equal([]);
    expect(due()).to.equal(undefined);
  });

  it('does not tell the pod again when an overdue Run changes in something else', () => {
    const { run, wake, due } = setUp();
    run(running);
    wake(100);
    run({ ...running, cancelRequested: true });
    expect(due()).to.equal(100 + OVERDUE_MS);
    expect(wake(101)).to.deep.equal([]);
  });

  it('counts the next attempt anew', () => {
    const { run, wake, due } = setUp();
    run(running);
    wake(100);
    run({ ...running, status: { phase: 'Pending', attempt: 1, nextAttemptTime: at(200) } });
    run({ ...running, status: runningOn(p1, { attempt: 2, startTime: at(300) }) });
    expect(due()).to.equal(400);
    expect(wake(400)).to.have.length(1);
  });

  it('moves the deadline when the start is recorded', () => {
    const { run, due } = setUp();
    run(aRun('a', { timeoutMs: 100, status: scheduledOn(p1) }));
    expect(due()).to.equal(100 + OVERDUE_MS);
    run(aRun('a', { timeoutMs: 100, status: runningOn(p1, { startTime: at(7) }) }));
    expect(due()).to.equal(107);
  });
});
