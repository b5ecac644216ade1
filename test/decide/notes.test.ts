import { expect } from 'chai';

import { BURST, noteOf, notes, PER_SECOND } from '../../src/decide/notes.js';
import type { RunStatus } from '../../src/model/run.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { aPod, aRun, at, runningOn, scheduledOn } from '../support/builders.js';
import { allTold } from '../support/told.js';

const p1 = aPod('p1');
const run = (status: RunStatus): RunRecord => aRun('a', { status });
const change = (before: RunRecord | undefined, after: RunRecord | undefined) =>
  ({ kind: 'Run', key: aRun('a').key, before, after }) as const;

const scheduled = run(scheduledOn(p1));
const running = run(runningOn(p1));
const succeeded = run({ ...running.status, phase: 'Succeeded' });
const failed = run({ ...running.status, phase: 'Failed', message: 'exit code 3' });

describe('noteOf', () => {
  const table: ReadonlyArray<readonly [string, RunRecord, RunRecord, string | undefined]> = [
    ['an assignment', run({}), scheduled, 'Normal Scheduled: attempt 1 assigned to pod p1'],
    ['a start', scheduled, running, 'Normal Started: attempt 1 runs on pod p1'],
    ['an end', scheduled, succeeded, 'Normal Succeeded: attempt 1 succeeded on pod p1'],
    ['a failure', running, failed, 'Warning Failed: exit code 3'],
    ['a timeout', running, run({ phase: 'Timeout', message: 'ran for 1s' }), 'Warning Timeout: ran for 1s'],
    ['a cancellation', running, run({ phase: 'Cancelled', message: 'asked' }), 'Normal Cancelled: asked'],
    [
      'a retry',
      running,
      run({ phase: 'Pending', nextAttemptTime: at(9), message: 'attempt 1 ended' }),
      'Warning Retrying: attempt 1 ended',
    ],
    [
      'a way back',
      scheduled,
      run({
        phase: 'Pending',
        conditions: [{ type: 'Scheduled', status: 'False', reason: 'PodGone', message: 'pod p1 is gone' }],
      }),
      'Normal Returned: pod p1 is gone',
    ],
    ['a change within a phase', running, run({ ...running.status, message: 'x' }), undefined],
    ['the first time it is said to be Pending', run({}), run({ phase: 'Pending' }), undefined],
  ];
  for (const [what, before, after, said] of table)
    it(`says of ${what}: ${said ?? 'nothing'}`, () => {
      const note = noteOf(before, after);
      expect(note && `${note.type} ${note.reason}: ${note.message}`).to.equal(said);
    });
});

describe('notes', () => {
  it('says nothing of a Run seen for the first time, of one that is gone, or of its namesake', () => {
    const machine = notes();
    expect(allTold(machine.apply(change(undefined, running), 0))).to.deep.equal([]);
    expect(allTold(machine.apply(change(running, undefined), 0))).to.deep.equal([]);
    const namesake = aRun('a', { uid: aRun('b').uid, status: failed.status });
    expect(allTold(machine.apply(change(running, namesake), 0))).to.deep.equal([]);
  });

  it('keeps to its budget: a burst, of which some is left for warnings, then a few per second', () => {
    const machine = notes();
    const count = (after: RunRecord, nowMs: number, times: number): number =>
      Array.from({ length: times }, () => [...machine.apply(change(scheduled, after), nowMs)].length).reduce(
        (a, b) => a + b,
        0,
      );
    const ordinary = count(succeeded, 0, 200);
    expect(ordinary, 'ordinary ones').to.be.within(1, BURST - 1);
    const warnings = count(failed, 0, 200);
    expect(ordinary + warnings, 'with warnings').to.equal(BURST);
    expect(count(failed, 1000, 200), 'a second later').to.equal(PER_SECOND);
    expect(count(failed, 1_000_000, 200), 'the budget does not pile up').to.equal(BURST);
  });

  it('regards the version of the Run that it speaks of', () => {
    const [command] = notes().apply(change(scheduled, { ...succeeded, resourceVersion: '7' }), 5);
    expect(command).to.deep.include({ kind: 'RecordEvent' });
    expect(command?.kind === 'RecordEvent' && command.event).to.deep.include({
      at: at(5),
      regarding: { kind: 'Run', namespace: 'default', name: 'a', uid: 'uid-a', resourceVersion: '7' },
    });
  });
});
