/**
 * The life of a Run: one pure total function (status, event) → status, used by the operator and by runtimed.
 *
 *     Pending ──Assigned──▶ Scheduled ──Started──▶ Running
 *        ▲ ▲                 │     │                  │
 *        │ └────Returned─────┘     └──AttemptEnded──┬─┘
 *        └──────── retry ───────────────────────────┤
 *     Pending ──CancelledWaiting, Rejected──▶       ▼
 *                          Succeeded · Failed · Timeout · Cancelled
 *
 * Guarantees, over any sequence of events (test/decide/lifecycle.test.ts):
 * - a terminal status never changes;
 * - the attempt number never decreases, and grows by at most one per assignment;
 * - assignedPod, assignedPodUID and attempt are set together exactly in Scheduled and Running, and kept in the
 *   terminal phases that followed them, so that logs can be found;
 * - once cancellation is requested no further attempt begins: a failure then ends the Run as Cancelled;
 * - a Run never makes more than retryPolicy.maxAttempts attempts.
 */
import * as E from 'fp-ts/lib/Either.js';

import { hasStore, MAX_STORES } from '../model/artifact-store.js';
import { type ConditionClaim, withCondition } from '../model/conditions.js';
import type { Condition } from '../model/metadata.js';
import {
  type ArtifactRef,
  type FailureReason,
  isTerminal,
  type PastAttempt,
  type Phase,
  type RetryPolicy,
  type RunStatus,
  type TerminalPhase,
} from '../model/run.js';
import type { AttemptResult, RunEvent } from '../model/run-event.js';
import { formatDuration, formatMicros, type Micros, plusMillis } from '../model/time.js';
import { FARTHEST_RETRY_MS, isRetried, retryDelayMs } from './retries.js';

export type { AttemptResult, RunEvent, WaitReason } from '../model/run-event.js';

/** Past attempts kept in status, the newest ones; a bound so that 100 attempts do not swell the object. */
export const MAX_HISTORY = 16;
/** Bytes of status.message (contract: a summary, never the log). */
export const MAX_MESSAGE_BYTES = 1024;

/** What the lifecycle needs of spec. */
export type LifecyclePolicy = Readonly<{ retry: RetryPolicy; cancelRequested: boolean }>;

/** The event does not apply to a Run in this phase; the caller drops it. */
export type StepRefused = Readonly<{ phase: Phase; event: RunEvent['kind'] }>;

/** The phase, with absence read as Pending. */
export const phaseOf = (status: RunStatus): Phase => status.phase ?? 'Pending';

/**
 * The number an assignment made now would carry. `nextAttemptTime` stands exactly while a failed attempt waits for
 * the next, so a Run that was returned unstarted keeps its number.
 */
export const nextAttempt = (status: RunStatus): number =>
  status.nextAttemptTime === undefined ? Math.max(status.attempt ?? 0, 1) : (status.attempt ?? 0) + 1;

/** Applies one event. */
export const step = (
  policy: LifecyclePolicy,
  status: RunStatus,
  event: RunEvent,
): E.Either<StepRefused, RunStatus> => {
  const phase = phaseOf(status);
  const refused = E.left({ phase, event: event.kind });
  if (isTerminal(phase)) return refused;
  const assigned = phase === 'Scheduled' || phase === 'Running';
  switch (event.kind) {
    case 'Waited':
      return assigned ? refused : E.right(waited(status, event));
    case 'Assigned':
      return assigned || policy.cancelRequested || !isDue(status, event.at)
        ? refused
        : E.right(assign(status, event));
    case 'Returned':
      if (phase !== 'Scheduled') return refused;
      return E.right(
        policy.cancelRequested
          ? end(status, 'Cancelled', 'Cancelled', 'cancelled before it started', event.at)
          : returned(status, event),
      );
    case 'Started':
      return phase === 'Scheduled' ? E.right(started(status, event)) : refused;
    case 'AttemptEnded':
      return assigned ? E.right(attemptEnded(policy, status, event)) : refused;
    case 'CancelledWaiting':
      return assigned || !policy.cancelRequested
        ? refused
        : E.right(end(status, 'Cancelled', 'Cancelled', 'cancelled before it started', event.at));
    case 'Rejected':
      return assigned ? refused : E.right(end(status, 'Failed', 'InvalidSpec', event.message, event.at));
    default:
      return event satisfies never;
  }
};

/**
 * Whether the next attempt may begin. A time that is farther off than any backoff was written by a clock that has been
 * set back since, or by hand: nobody would wait for it.
 */
export const isDue = ({ nextAttemptTime }: Pick<RunStatus, 'nextAttemptTime'>, at: Micros): boolean =>
  nextAttemptTime === undefined || nextAttemptTime <= at || nextAttemptTime - at > FARTHEST_RETRY_MS * 1000;

const claim = (
  type: string,
  status: Condition['status'],
  reason: string,
  message: string,
): ConditionClaim => ({ type, status, reason, message });

const withClaims = (status: RunStatus, at: Micros, ...claims: ReadonlyArray<ConditionClaim>): RunStatus => ({
  ...status,
  conditions: [
    ...claims.reduce<ReadonlyArray<Condition>>(
      (all, c) => withCondition(all, c, at),
      status.conditions ?? [],
    ),
  ],
});

const waited = (
  status: RunStatus,
  { reason, message, at }: Extract<RunEvent, { kind: 'Waited' }>,
): RunStatus => withClaims({ ...status, phase: 'Pending' }, at, claim('Scheduled', 'False', reason, message));

const assign = (
  status: RunStatus,
  { pod, podUid, at }: Extract<RunEvent, { kind: 'Assigned' }>,
): RunStatus => {
  const { nextAttemptTime: _due, message: _message, exitCode: _exitCode, ...rest } = status;
  return withClaims(
    {
      ...rest,
      phase: 'Scheduled',
      assignedPod: pod,
      assignedPodUID: podUid,
      attempt: nextAttempt(status),
      scheduledTime: at,
    },
    at,
    claim('Scheduled', 'True', 'Assigned', `assigned to pod ${pod}`),
  );
};

/** The status without what belongs to one assignment. */
const unassigned = (status: RunStatus): RunStatus => {
  const {
    assignedPod: _pod,
    assignedPodUID: _uid,
    scheduledTime: _scheduled,
    startTime: _start,
    logRef: _log,
    ...rest
  } = status;
  return { ...rest, phase: 'Pending' };
};

/** Reasons for which nobody can say whether the pod had begun to execute what was Scheduled on it. */
const LOST: ReadonlySet<string> = new Set<FailureReason>(['PodGone', 'PodTerminating', 'PodUnhealthy']);

/**
 * The number stays, so it may be executed twice where the pod was lost: Running is written only after a while. Then the
 * history says so.
 */
const returned = (
  status: RunStatus,
  { reason, message, at }: Extract<RunEvent, { kind: 'Returned' }>,
): RunStatus =>
  withClaims(
    {
      ...unassigned(status),
      ...(LOST.has(reason)
        ? withPast(status, reason, `${message}; it may have begun there, and is executed anew`, at)
        : {}),
    },
    at,
    claim('Scheduled', 'False', reason, message),
  );

/** The history with the attempt that is over now. */
const withPast = (
  status: RunStatus,
  reason: string,
  message: string,
  at: Micros,
): Pick<RunStatus, 'attemptHistory'> => {
  const past: PastAttempt = {
    attempt: status.attempt ?? 1,
    reason,
    message: boundedMessage(message),
    completionTime: at,
    ...(status.assignedPod === undefined ? {} : { pod: status.assignedPod }),
    ...(status.assignedPodUID === undefined ? {} : { podUID: status.assignedPodUID }),
    ...(status.startTime === undefined ? {} : { startTime: status.startTime }),
    ...(status.exitCode === undefined ? {} : { exitCode: status.exitCode }),
    ...(status.logRef === undefined ? {} : { logRef: status.logRef }),
  };
  return { attemptHistory: [...(status.attemptHistory ?? []), past].slice(-MAX_HISTORY) };
};

/** The commit of a Git source stays in the status over all attempts: they run the same one. */
const withCommit = (commitSHA: string | undefined): Pick<RunStatus, 'source'> =>
  commitSHA === undefined ? {} : { source: { commitSHA } };

const started = (status: RunStatus, { at, commitSHA }: Extract<RunEvent, { kind: 'Started' }>): RunStatus =>
  withClaims(
    { ...status, ...withCommit(commitSHA), phase: 'Running', startTime: at },
    at,
    claim('Running', 'True', 'Started', `attempt ${status.attempt ?? 1} is running`),
  );

/** Cuts a text to the bound of status.message without splitting a character. */
export const boundedMessage = (text: string): string => {
  const bytes = Buffer.from(text);
  if (bytes.length <= MAX_MESSAGE_BYTES) return text;
  return `${new TextDecoder().decode(bytes.subarray(0, MAX_MESSAGE_BYTES - 4), { stream: true })}…`;
};

const duration = ({ startTime }: RunStatus, at: Micros): Pick<RunStatus, 'duration'> =>
  startTime === undefined ? {} : { duration: formatDuration((at - startTime) / 1000) };

const end = (
  status: RunStatus,
  phase: TerminalPhase,
  reason: string,
  message: string,
  at: Micros,
): RunStatus => {
  const { nextAttemptTime: _due, ...rest } = status;
  const wasRunning = rest.conditions?.some(({ type, status: s }) => type === 'Running' && s === 'True');
  return withClaims(
    { ...rest, ...duration(rest, at), phase, completionTime: at, message: boundedMessage(message) },
    at,
    ...(wasRunning ? [claim('Running', 'False', reason, '')] : []),
    claim('Completed', phase === 'Succeeded' ? 'True' : 'False', reason, boundedMessage(message)),
    claim('Finished', 'True', reason, ''),
  );
};

const attemptEnded = (
  policy: LifecyclePolicy,
  before: RunStatus,
  { result, startedAt, commitSHA, log, at, chance }: Extract<RunEvent, { kind: 'AttemptEnded' }>,
): RunStatus => {
  const startTime = before.startTime ?? startedAt;
  const status: RunStatus = {
    ...before,
    ...(startTime === undefined ? {} : { startTime }),
    ...(result.exitCode === undefined ? {} : { exitCode: result.exitCode }),
    ...storesAfter(before, result),
    ...(log === undefined ? {} : { logRef: log }),
    ...withCommit(commitSHA),
  };
  switch (result.kind) {
    case 'Succeeded':
      return end(withResults(status, result), 'Succeeded', 'Succeeded', 'exit code 0', at);
    case 'Cancelled':
      return end(status, 'Cancelled', 'Cancelled', result.message, at);
    case 'Failed': {
      const { reason, message } = result;
      const attempt = status.attempt ?? 1;
      if (policy.cancelRequested) return end(status, 'Cancelled', 'Cancelled', `cancelled; ${message}`, at);
      if (isRetried(policy.retry, reason, attempt)) return retrying(policy.retry, status, result, at, chance);
      return end(
        withResults(status, result),
        reason === 'Timeout' ? 'Timeout' : 'Failed',
        reason,
        message,
        at,
      );
    }
    default:
      return result satisfies never;
  }
};

/** The stores that hold something of the Run, with that of this attempt; an attempt that is retried counts, too. */
const storesAfter = (
  { artifactStores = [] }: RunStatus,
  result: AttemptResult,
): Pick<RunStatus, 'artifactStores'> => {
  const store = result.kind === 'Cancelled' ? undefined : result.artifactStore;
  return store === undefined || hasStore(artifactStores, store)
    ? {}
    : { artifactStores: [...artifactStores, store].slice(0, MAX_STORES) };
};

const withResults = (
  status: RunStatus,
  {
    outputs,
    artifactRefs,
  }: Readonly<{ outputs?: Readonly<Record<string, string>>; artifactRefs?: ReadonlyArray<ArtifactRef> }>,
): RunStatus => ({
  ...status,
  ...(outputs && Object.keys(outputs).length > 0 ? { outputs: { ...outputs } } : {}),
  ...(artifactRefs && artifactRefs.length > 0 ? { artifactRefs: [...artifactRefs] } : {}),
});

const retrying = (
  retry: RetryPolicy,
  status: RunStatus,
  { reason, message }: Extract<AttemptResult, { kind: 'Failed' }>,
  at: Micros,
  chance: number,
): RunStatus => {
  const attempt = status.attempt ?? 1;
  const delayMs = retryDelayMs(retry, attempt, chance);
  const due = plusMillis(at, delayMs);
  const text = `attempt ${attempt} of ${retry.maxAttempts} ended with ${reason}; the next starts ${formatDuration(delayMs)} after it, at ${formatMicros(due)}`;
  const waiting = withClaims(
    {
      ...unassigned(status),
      ...duration(status, at),
      nextAttemptTime: due,
      message: boundedMessage(`attempt ${attempt} ended with ${reason}: ${message}`),
      ...withPast(status, reason, message, at),
    },
    at,
    claim('Scheduled', 'False', 'RetryBackoff', text),
  );
  const running = waiting.conditions?.some(({ type, status: s }) => type === 'Running' && s === 'True');
  return running ? withClaims(waiting, at, claim('Running', 'False', reason, '')) : waiting;
};
