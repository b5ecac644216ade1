/**
 * The lifecycle over generated histories. Invariants:
 * - a terminal status never changes;
 * - attempts never decrease, grow by at most one, and never exceed maxAttempts;
 * - assignedPod, assignedPodUID and scheduledTime stand exactly while Scheduled or Running, or after an end from there;
 * - once cancellation is requested no Run is assigned, and what fails afterwards is Cancelled;
 * - Finished and Completed are set exactly at the end, and agree with the phase;
 * - what is written decodes to itself.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';

import {
  isDue,
  type LifecyclePolicy,
  nextAttempt,
  phaseOf,
  type RunEvent,
  step,
} from '../../src/decide/lifecycle.js';
import { FARTHEST_RETRY_MS, isRetried, retryDelayMs } from '../../src/decide/retries.js';
import { conditionOf } from '../../src/model/conditions.js';
import { isTerminal, RunStatus } from '../../src/model/run.js';
import { toMillis } from '../../src/model/time.js';
import { at } from '../support/builders.js';

const policy = (
  overrides: Partial<LifecyclePolicy['retry']> = {},
  cancelRequested = false,
): LifecyclePolicy => ({
  retry: { maxAttempts: 1, backoffMs: 1000, reasons: [], ...overrides },
  cancelRequested,
});

const run = (p: LifecyclePolicy, ...events: ReadonlyArray<RunEvent>): RunStatus =>
  events.reduce<RunStatus>((status, event) => {
    const next = step(p, status, event);
    if (E.isLeft(next)) throw new Error(`${next.left.event} refused in ${next.left.phase}`);
    return next.right;
  }, {});

const assigned = (ms: number, pod = 'p1'): RunEvent => ({
  kind: 'Assigned',
  pod,
  podUid: `uid-${pod}`,
  at: at(ms),
});
const failed = (
  ms: number,
  reason: 'RuntimeError' | 'Timeout' | 'PodGone' | 'OutputsInvalid' = 'RuntimeError',
): RunEvent => ({
  kind: 'AttemptEnded',
  result: {
    kind: 'Failed',
    reason,
    message: `it was ${reason}`,
    ...(reason === 'RuntimeError' ? { exitCode: 3 } : {}),
  },
  at: at(ms),
  chance: 0,
});
const succeeded = (ms: number): RunEvent => ({
  kind: 'AttemptEnded',
  result: { kind: 'Succeeded', exitCode: 0, outputs: { result: 'ok' }, artifactRefs: [] },
  startedAt: at(ms - 5),
  at: at(ms),
  chance: 0,
});

describe('step', () => {
  it('takes a short Run from nothing to Succeeded in two writes, with its start filled in', () => {
    const status = run(policy(), assigned(1), succeeded(10));
    expect(status).to.include({
      phase: 'Succeeded',
      attempt: 1,
      assignedPod: 'p1',
      exitCode: 0,
      duration: '5ms',
    });
    expect(status.startTime).to.equal(at(5));
    expect(status.outputs).to.deep.equal({ result: 'ok' });
    expect(conditionOf(status.conditions, 'Finished')).to.include({ status: 'True', reason: 'Succeeded' });
    expect(conditionOf(status.conditions, 'Completed')).to.include({ status: 'True' });
  });

  it('lets the next attempt begin at its time, or when that is farther off than any backoff', () => {
    const waiting = (nextMs: number) =>
      ({ phase: 'Pending', attempt: 1, nextAttemptTime: at(nextMs) }) as const;
    expect(isDue(waiting(1000), at(999))).to.equal(false);
    expect(isDue(waiting(1000), at(1000))).to.equal(true);
    expect(isDue(waiting(FARTHEST_RETRY_MS), at(0))).to.equal(false);
    expect(isDue(waiting(FARTHEST_RETRY_MS + 1), at(0))).to.equal(true);
    const next = step(policy({ maxAttempts: 3 }), waiting(3_600_000), assigned(1));
    expect(next).to.have.nested.property('right.phase', 'Scheduled');
  });

  it('sends a failed Run with attempts left back to Pending, to start after its backoff, unassigned', () => {
    const status = run(policy({ maxAttempts: 3 }), assigned(1), { kind: 'Started', at: at(2) }, failed(10));
    expect(status).to.include({ phase: 'Pending', attempt: 1 });
    expect(status).to.not.have.any.keys('assignedPod', 'assignedPodUID', 'startTime', 'completionTime');
    expect(status.nextAttemptTime).to.equal(at(1010));
    expect(nextAttempt(status)).to.equal(2);
    expect(status.attemptHistory?.[0]).to.include({
      attempt: 1,
      pod: 'p1',
      reason: 'RuntimeError',
      exitCode: 3,
    });
    expect(conditionOf(status.conditions, 'Scheduled')).to.include({
      status: 'False',
      reason: 'RetryBackoff',
    });
    expect(conditionOf(status.conditions, 'Running')).to.include({ status: 'False' });
  });

  it('notes an attempt whose pod was lost before it was seen running: it may have begun, and keeps its number', () => {
    const returned = (reason: string): RunEvent => ({ kind: 'Returned', reason, message: 'x', at: at(9) });
    const lost = run(policy(), assigned(1), returned('PodGone'));
    expect(lost).to.include({ phase: 'Pending', attempt: 1 });
    expect(lost.attemptHistory?.[0]).to.include({ attempt: 1, pod: 'p1', reason: 'PodGone' });
    expect(nextAttempt(lost)).to.equal(1);
    const refused = run(policy(), assigned(1), returned('AtCapacity'));
    expect(refused, 'what a pod refuses has not begun').to.not.have.property('attemptHistory');
  });

  it('keeps with each attempt where its own log is', () => {
    const log = (records: number) => ({ location: `c/log-${records}`, records, sizeBytes: records });
    const p = policy({ maxAttempts: 2 });
    const retried = run(p, assigned(1), { ...failed(10), log: log(1) } as RunEvent);
    expect(retried).to.not.have.property('logRef');
    expect(retried.attemptHistory?.[0]?.logRef).to.deep.equal(log(1));
    const ended = run(p, assigned(1), { ...failed(10), log: log(1) } as RunEvent, assigned(1010), {
      ...succeeded(1020),
      log: log(2),
    } as RunEvent);
    expect(ended.logRef).to.deep.equal(log(2));
    expect(run(p, assigned(1), failed(10), assigned(1010), succeeded(1020))).to.not.have.property('logRef');
  });

  it('refuses to assign a retry before its time', () => {
    const waiting = run(policy({ maxAttempts: 2 }), assigned(1), failed(10));
    expect(E.isLeft(step(policy({ maxAttempts: 2 }), waiting, assigned(1009)))).to.equal(true);
    expect(run(policy({ maxAttempts: 2 }), assigned(1), failed(10), assigned(1010, 'p2'))).to.include({
      attempt: 2,
    });
  });

  it('does not use up an attempt of a Run that its pod returned', () => {
    const back = run(policy(), assigned(1), {
      kind: 'Returned',
      reason: 'AtCapacity',
      message: 'full',
      at: at(2),
    });
    expect(back).to.include({ phase: 'Pending', attempt: 1 });
    expect(nextAttempt(back)).to.equal(1);
    const retried = run(policy({ maxAttempts: 2 }), assigned(1), failed(5), assigned(2000), {
      kind: 'Returned',
      reason: 'PodGone',
      message: 'gone',
      at: at(2001),
    });
    expect(nextAttempt(retried)).to.equal(2);
  });

  it('ends a timeout as Timeout, not as Failed', () => {
    expect(run(policy(), assigned(1), failed(10, 'Timeout'))).to.include({ phase: 'Timeout' });
  });

  it('does not retry a reason that is never retried, nor one that the Run does not list', () => {
    expect(run(policy({ maxAttempts: 9 }), assigned(1), failed(10, 'OutputsInvalid')).phase).to.equal(
      'Failed',
    );
    expect(run(policy({ maxAttempts: 9, reasons: ['PodGone'] }), assigned(1), failed(10)).phase).to.equal(
      'Failed',
    );
    expect(
      run(policy({ maxAttempts: 9, reasons: ['PodGone'] }), assigned(1), failed(10, 'PodGone')).phase,
    ).to.equal('Pending');
  });

  it('lets cancellation win over a retry, but not over a success', () => {
    const cancelled = policy({ maxAttempts: 9 }, true);
    const scheduled = run(policy(), assigned(1));
    expect(step(cancelled, scheduled, failed(10))).to.have.nested.property('right.phase', 'Cancelled');
    expect(step(cancelled, scheduled, succeeded(10))).to.have.nested.property('right.phase', 'Succeeded');
    expect(E.isLeft(step(cancelled, {}, assigned(1)))).to.equal(true);
    expect(step(cancelled, {}, { kind: 'CancelledWaiting', at: at(1) })).to.have.nested.property(
      'right.phase',
      'Cancelled',
    );
  });

  it('bounds the message to 1,024 bytes without splitting a character', () => {
    const status = run(policy(), assigned(1), {
      kind: 'AttemptEnded',
      result: { kind: 'Failed', reason: 'RuntimeError', message: 'é'.repeat(2000) },
      at: at(2),
      chance: 0,
    });
    expect(Buffer.byteLength(status.message ?? '')).to.be.within(1000, 1024);
    expect(status.message).to.match(/^é+…$/);
  });
});

describe('retryDelayMs', () => {
  it('doubles from the backoff to 60 s and adds at most a tenth', () => {
    const retry = { maxAttempts: 100, backoffMs: 1000, reasons: [] };
    expect([1, 2, 3, 7, 50, 99].map((n) => retryDelayMs(retry, n, 0))).to.deep.equal([
      1000, 2000, 4000, 60_000, 60_000, 60_000,
    ]);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 99 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (n, chance) => {
          const base = retryDelayMs(retry, n, 0);
          expect(retryDelayMs(retry, n, chance)).to.be.within(base, base * 1.1);
        },
      ),
    );
  });

  it('stops at maxAttempts', () => {
    const retry = { maxAttempts: 3, backoffMs: 1, reasons: [] };
    expect([1, 2, 3].map((n) => isRetried(retry, 'RuntimeError', n))).to.deep.equal([true, true, false]);
  });
});

const eventAt = (ms: number): fc.Arbitrary<RunEvent> =>
  fc.oneof(
    fc.constant<RunEvent>({ kind: 'Waited', reason: 'AtCapacity', message: 'full', at: at(ms) }),
    fc.constantFrom('p1', 'p2').map((pod): RunEvent => assigned(ms, pod)),
    fc.constant<RunEvent>({ kind: 'Returned', reason: 'AtCapacity', message: 'full', at: at(ms) }),
    fc.constant<RunEvent>({ kind: 'Started', at: at(ms) }),
    fc
      .constantFrom('RuntimeError', 'Timeout', 'PodGone', 'OutputsInvalid')
      .map((reason) => failed(ms, reason as 'PodGone')),
    fc.constant(succeeded(ms)),
    fc.constant<RunEvent>({
      kind: 'AttemptEnded',
      result: { kind: 'Cancelled', message: 'cancelled' },
      at: at(ms),
      chance: 0.5,
    }),
    fc.constant<RunEvent>({ kind: 'CancelledWaiting', at: at(ms) }),
  );

type Moment = Readonly<{ event: RunEvent; cancels: boolean }>;
const history = fc
  .array(fc.record({ waitMs: fc.integer({ min: 1, max: 90_000 }), cancels: fc.boolean() }), { maxLength: 40 })
  .chain((steps) => {
    let ms = 0;
    return fc.tuple(
      ...steps.map(({ waitMs, cancels }, i) => {
        ms += waitMs;
        return eventAt(ms).map((event): Moment => ({ event, cancels: cancels && i % 7 === 6 }));
      }),
    );
  });

describe('the life of a Run', () => {
  it('keeps its invariants over any history', () => {
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 5 }), (moments, maxAttempts) => {
        let status: RunStatus = {};
        let cancelRequested = false;
        for (const { event, cancels } of moments) {
          cancelRequested ||= cancels;
          const before = status;
          const result = step(
            { retry: { maxAttempts, backoffMs: 1000, reasons: [] }, cancelRequested },
            before,
            event,
          );
          if (isTerminal(before.phase)) expect(E.isLeft(result), 'a terminal status changed').to.equal(true);
          if (E.isLeft(result)) continue;
          status = result.right;
          const phase = phaseOf(status);
          const grown = (status.attempt ?? 0) - (before.attempt ?? 0);
          expect(grown, 'attempt').to.be.within(0, 1);
          if (grown === 1) expect(phase).to.equal('Scheduled');
          expect(status.attempt ?? 0).to.be.at.most(maxAttempts);
          if (phase === 'Pending')
            expect(status).to.not.have.any.keys(
              'assignedPod',
              'assignedPodUID',
              'scheduledTime',
              'startTime',
            );
          if (phase === 'Scheduled' || phase === 'Running')
            expect(status).to.include.all.keys('assignedPod', 'assignedPodUID', 'attempt', 'scheduledTime');
          if (phase === 'Running') expect(status.startTime).to.not.equal(undefined);
          if (cancelRequested && phaseOf(before) === 'Pending')
            expect(phase).to.be.oneOf(['Pending', 'Cancelled']);
          if (cancelRequested && event.kind === 'AttemptEnded' && event.result.kind !== 'Succeeded')
            expect(phase).to.equal('Cancelled');
          const finished = conditionOf(status.conditions, 'Finished')?.status === 'True';
          expect(finished, 'Finished').to.equal(isTerminal(phase));
          expect(conditionOf(status.conditions, 'Completed')?.status === 'True').to.equal(
            phase === 'Succeeded',
          );
          if (status.nextAttemptTime !== undefined && event.kind === 'AttemptEnded')
            expect(toMillis(status.nextAttemptTime)).to.be.above(toMillis(event.at));
          expect(RunStatus.decode(RunStatus.encode(status))).to.deep.equal(E.right(status));
        }
      }),
      { numRuns: 500 },
    );
  });
});
