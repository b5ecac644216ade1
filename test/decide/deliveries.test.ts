import { expect } from 'chai';

import { deliveries, REPUSH_MS, UNPUSHED_MS } from '../../src/decide/deliveries.js';
import type { Command } from '../../src/model/command.js';
import type { RunUid } from '../../src/model/ids.js';
import type { WorldChange } from '../../src/model/world.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, at, runningOn, scheduledOn } from '../support/builders.js';
import { allTold } from '../support/told.js';

const p1 = aPod('p1');
const ref = (name: string, attempt: number) => ({ runName: name, runUid: `uid-${name}` as RunUid, attempt });

const setUp = () => {
  const w = aWorld();
  const machine = deliveries(w.world);
  return {
    w,
    apply: (change: WorldChange, nowMs = 0) => allTold(machine.apply({ kind: 'Change', change }, nowMs)),
    outcome: (command: Command, kind: 'Done' | 'Failed', nowMs = 0) =>
      allTold(
        machine.apply(
          {
            kind: 'Outcome',
            outcome:
              kind === 'Done'
                ? { kind, command }
                : { kind, command, error: { kind: 'Conflict', message: 'it has moved' } },
          },
          nowMs,
        ),
      ),
    wake: (nowMs: number) => allTold(machine.wake?.(nowMs) ?? []),
    due: () => machine.dueMs?.(),
  };
};

const assigned = (run: ReturnType<typeof aRun>): Command => ({
  kind: 'AdvanceRun',
  run,
  step: { kind: 'Assigned', pod: 'p1', podUid: p1.uid, at: at(0) },
});

describe('deliveries', () => {
  it('pushes again what is Scheduled on the pod and not held by the session that opens', () => {
    const { w, apply } = setUp();
    w.pod(p1);
    for (const run of [
      aRun('lost', { status: scheduledOn(p1) }),
      aRun('held', { status: scheduledOn(p1) }),
      aRun('older', { status: scheduledOn(p1, { attempt: 2 }) }),
      aRun('running', { status: runningOn(p1) }),
      aRun('elsewhere', { status: scheduledOn(aPod('p2')) }),
    ])
      apply(w.run(run));
    expect(apply(w.opened(p1, { held: [ref('held', 1), ref('older', 1)] }))).to.deep.equal([
      'SignalAssign lost to uid-p1',
      'SignalAssign older to uid-p1',
    ]);
  });

  it('pushes nothing at a beat', () => {
    const { w, apply } = setUp();
    w.pod(p1);
    apply(w.opened(p1));
    apply(w.run(aRun('a', { status: scheduledOn(p1) })));
    expect(apply(w.changed(p1, { healthy: false }))).to.deep.equal([]);
  });

  it('pushes what is Scheduled though no write of ours was answered: the answer was lost', () => {
    const { w, apply, wake, due } = setUp();
    w.pod(p1);
    apply(w.opened(p1));
    expect(apply(w.run(aRun('a', { status: scheduledOn(p1) })), 10)).to.deep.equal([]);
    expect(due()).to.equal(10 + UNPUSHED_MS);
    expect(wake(10 + UNPUSHED_MS)).to.deep.equal(['SignalAssign a to uid-p1']);
  });

  it('leaves what was pushed to the pod, and asks again as long as it stays Scheduled', () => {
    const { w, apply, outcome, wake, due } = setUp();
    w.pod(p1);
    apply(w.opened(p1));
    const run = aRun('a', { status: scheduledOn(p1) });
    apply(w.run(run));
    outcome(assigned(run), 'Done', 5);
    expect(due()).to.equal(5 + REPUSH_MS);
    expect(wake(5 + REPUSH_MS)).to.deep.equal(['SignalAssign a to uid-p1']);
    expect(due()).to.equal(5 + 2 * REPUSH_MS);
    apply(w.run(aRun('a', { status: runningOn(p1) })));
    expect(due()).to.equal(undefined);
  });

  it('pushes nothing where there is no session: the pod sees it itself', () => {
    const { w, apply, wake } = setUp();
    w.pod(p1);
    apply(w.run(aRun('a', { status: scheduledOn(p1) })));
    expect(wake(UNPUSHED_MS)).to.deep.equal([]);
  });

  it('asks the pod again when a Run that it refused could not be taken back', () => {
    const { w, apply, outcome, wake } = setUp();
    w.pod(p1);
    apply(w.opened(p1));
    const run = aRun('a', { status: scheduledOn(p1) });
    apply(w.run(run));
    outcome(assigned(run), 'Done');
    const returned = { kind: 'Returned', reason: 'Stale', message: '' } as const;
    outcome({ kind: 'AdvanceRun', run, step: returned }, 'Failed', 20);
    expect(wake(20 + UNPUSHED_MS)).to.deep.equal(['SignalAssign a to uid-p1']);
  });

  describe('of a status that somebody edited', () => {
    const p2 = aPod('p2');
    const running = (status = runningOn(p1)) => aRun('a', { status });
    const edits = {
      'another attempt': [running(runningOn(p1, { attempt: 5 })), ['SignalAssign a to uid-p1']],
      'another pod': [running(runningOn(p2)), ['SignalAssign a to uid-p1', 'SignalAssign a to uid-p2']],
      'back to Pending': [aRun('a', { status: { phase: 'Pending' } }), ['SignalAssign a to uid-p1']],
      emptied: [aRun('a', { status: {} }), ['SignalAssign a to uid-p1']],
      'no edit: a retry': [
        aRun('a', {
          status: {
            phase: 'Pending',
            attempt: 1,
            attemptHistory: [{ attempt: 1, podUID: p1.uid, reason: 'RuntimeError' }],
          },
        }),
        [],
      ],
      'no edit: an end': [running({ ...runningOn(p1), phase: 'Succeeded' }), []],
      'no edit: a label': [running(), []],
    } as const;
    for (const [name, [after, told]] of Object.entries(edits))
      it(`tells ${told.length === 0 ? 'nobody' : 'the pods'}: ${name}`, () => {
        const { w, apply } = setUp();
        for (const pod of [p1, p2]) {
          w.pod(pod);
          w.opened(pod);
        }
        apply(w.run(aRun('a', { status: scheduledOn(p1) })));
        expect(apply(w.run(running())), 'what was Scheduled there').to.deep.equal([]);
        expect(apply(w.run(after))).to.deep.equal(told);
      });

    it('tells the pod of a Run that was never Scheduled there', () => {
      const { w, apply } = setUp();
      w.pod(p1);
      w.opened(p1);
      apply(w.run(aRun('a', { status: { phase: 'Pending' } })));
      expect(apply(w.run(running()))).to.deep.equal(['SignalAssign a to uid-p1']);
    });
  });

  it('takes back what the pod refuses', () => {
    const { w, apply } = setUp();
    w.pod(p1);
    w.opened(p1);
    const run = aRun('a', { status: scheduledOn(p1) });
    w.run(run);
    expect(apply(w.refused(p1, run, 1, 'AtCapacity'))).to.deep.equal(['AdvanceRun a: Returned AtCapacity']);
  });

  it('ignores a refusal of another attempt, pod or Run', () => {
    const { w, apply } = setUp();
    const p2 = aPod('p2');
    w.pod(p1);
    w.pod(p2);
    w.opened(p1);
    w.opened(p2);
    const run = aRun('a', { status: scheduledOn(p1, { attempt: 2 }) });
    w.run(run);
    expect(apply(w.refused(p1, run, 1, 'AtCapacity')), 'attempt 1').to.deep.equal([]);
    expect(apply(w.refused(p2, run, 2, 'AtCapacity')), 'pod 2').to.deep.equal([]);
    const namesake = { ...run, uid: 'uid-before' as RunUid };
    expect(apply(w.refused(p1, namesake, 2, 'AtCapacity')), 'namesake').to.deep.equal([]);
    w.runGone(run);
    expect(apply(w.refused(p1, run, 2, 'AtCapacity')), 'gone').to.deep.equal([]);
  });
});
