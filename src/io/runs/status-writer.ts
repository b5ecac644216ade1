/**
 * Writes what the lifecycle says of an attempt into its Run, behind the fence of its assignment.
 *
 * The patch is refused unless the Run (by UID) is still assigned to this pod and attempt in the phase last known. A
 * refusal is looked into once: where the assignment still is ours and only the phase was another (an earlier answer
 * was lost), the step is made again from what the API has; otherwise the attempt is fenced.
 *
 * An end is tried for ever, with a backoff of 100 ms to 5 s; from the first failure on it is kept on disk. Not before:
 * until then the Runtime Server keeps the execution, so a restart of this process loses nothing.
 */
import * as E from 'fp-ts/lib/Either.js';
import {
  asyncScheduler,
  catchError,
  concatMap,
  defer,
  from,
  map,
  type Observable,
  type ObservableInput,
  of,
  retry,
  type SchedulerLike,
  switchMap,
  throwError,
  timer,
} from 'rxjs';

import { type AttemptResult, type LifecyclePolicy, type RunEvent, step } from '../../decide/lifecycle.js';
import { policyOf } from '../../decide/sidecar/assignment.js';
import type { Assignment, AttemptInput, EndEvent } from '../../decide/sidecar/attempt.js';
import type { EffectError } from '../../model/effect-error.js';
import { runs } from '../../model/resources.js';
import { isTerminal, Run, type RunStatus } from '../../model/run.js';
import { fencedStatusPatch } from '../../model/status-patch.js';
import type { JsonPatchOperation, KubePort } from '../../ports.js';

export const FIRST_RETRY_MS = 100;
export const LAST_RETRY_MS = 5_000;

/** How a write went. */
export type Written = Extract<AttemptInput, { kind: 'StatusWritten' | 'StatusUnwritten' | 'StatusFenced' }>;

export type WriterPorts = Readonly<{
  kube: Pick<KubePort, 'get' | 'patch'>;
  podUid: string;
  /** Keeps the end on disk; told once per end, when the API did not take it. */
  hold: (assignment: Assignment, event: EndEvent) => ObservableInput<unknown>;
  /** A write failed and is tried again. */
  onRetry: (assignment: Assignment, error: EffectError, retryInMs: number) => void;
  /** Uniform in [0, 1). */
  chance?: () => number;
  clock?: SchedulerLike;
}>;

type Knowledge = Readonly<{ policy: LifecyclePolicy; status: RunStatus }>;

const fenced = (message: string): Written => ({ kind: 'StatusFenced', message });

/** The patch of one step, or why there is none. */
const patchOf = (
  { ref }: Assignment,
  podUid: string,
  { policy, status }: Knowledge,
  event: RunEvent,
): E.Either<string, Readonly<{ after: RunStatus; body: ReadonlyArray<JsonPatchOperation> }>> => {
  const next = step(policy, status, event);
  if (E.isLeft(next)) return E.left(`${next.left.event} does not apply in phase ${next.left.phase}`);
  const { phase } = status;
  if (phase !== 'Scheduled' && phase !== 'Running') return E.left(`phase is ${phase ?? 'Pending'}`);
  const fence = { assignedPodUID: podUid, attempt: ref.attempt, phase };
  return E.right({
    after: next.right,
    // The UID too: a Run deleted and created anew under its name is another one.
    body: [
      { op: 'test', path: '/metadata/uid', value: ref.uid },
      ...fencedStatusPatch(fence, status, next.right),
    ],
  });
};

/** The Run as it is now, if the assignment still is ours; else why not. */
const reread = (
  { ref }: Assignment,
  { kube, podUid }: WriterPorts,
): Observable<E.Either<EffectError, E.Either<string, Knowledge>>> =>
  kube.get(runs, ref).pipe(
    map(
      E.map((object) => {
        const run = Run.decode(object);
        if (E.isLeft(run)) return E.left('the Run is no longer readable');
        const { metadata, status = {} } = run.right;
        if (metadata.uid !== ref.uid) return E.left('the Run was deleted');
        if (isTerminal(status.phase)) return E.left(`the Run is ${status.phase} already`);
        if (status.assignedPodUID !== podUid || status.attempt !== ref.attempt)
          return E.left(
            `the Run is at attempt ${status.attempt ?? 0} on pod ${status.assignedPod ?? 'none'}`,
          );
        return E.right({ policy: policyOf(run.right), status });
      }),
    ),
  );

/** An end that the API calls invalid is written without what it may object to. */
const reduced = (event: EndEvent, message: string): EndEvent => ({
  ...event,
  result: {
    kind: 'Failed',
    reason: 'OutputsInvalid',
    message: `the API refused the result: ${message}`,
    ...(event.result.exitCode === undefined ? {} : { exitCode: event.result.exitCode }),
  } satisfies AttemptResult,
});

/** One try. A Left is a failure that may pass. */
const tryWrite = (
  assignment: Assignment,
  event: RunEvent,
  ports: WriterPorts,
  known: Knowledge,
  isReread: boolean,
): Observable<E.Either<EffectError, Written>> => {
  const planned = patchOf(assignment, ports.podUid, known, event);
  if (E.isLeft(planned)) return of(E.right(fenced(planned.left)));
  const { after, body } = planned.right;
  const options = { subresource: 'status', isAnswerUnread: true } as const;
  return ports.kube.patch(runs, assignment.ref, { type: 'json', body }, options).pipe(
    switchMap((answer): Observable<E.Either<EffectError, Written>> => {
      if (E.isRight(answer))
        return of(E.right<EffectError, Written>({ kind: 'StatusWritten', status: after }));
      const { kind, message } = answer.left;
      if (kind === 'NotFound') return of(E.right(fenced('the Run was deleted')));
      if (kind === 'Invalid' && event.kind === 'AttemptEnded' && event.result.kind === 'Succeeded')
        return tryWrite(assignment, reduced(event, message), ports, known, isReread);
      if (kind !== 'Conflict' && kind !== 'Invalid') return of(answer);
      // Moved again in between, or refused although it is ours: from the beginning, after a pause.
      if (isReread) return of(answer);
      return reread(assignment, ports).pipe(
        switchMap((now): Observable<E.Either<EffectError, Written>> => {
          if (E.isLeft(now))
            return of(now.left.kind === 'NotFound' ? E.right(fenced('the Run was deleted')) : now);
          if (E.isLeft(now.right)) return of(E.right(fenced(now.right.left)));
          const knowledge = now.right.right;
          // Recorded already, by a write whose answer was lost.
          if (event.kind === 'Started' && knowledge.status.phase === 'Running')
            return of(E.right<EffectError, Written>({ kind: 'StatusWritten', status: knowledge.status }));
          return tryWrite(assignment, event, ports, knowledge, true);
        }),
      );
    }),
  );
};

/** A failure on its way through `retry`, which knows only errors. */
class Failed extends Error {
  constructor(readonly error: EffectError) {
    super(error.message);
  }
}

/** The write, once or for ever; one item, never errors. */
export const writeStatus = (
  assignment: Assignment,
  event: RunEvent,
  ports: WriterPorts,
): Observable<Written> =>
  defer(() => {
    const { chance = Math.random, clock = asyncScheduler } = ports;
    let held = false;
    const hold = (): Observable<unknown> => {
      if (held || event.kind !== 'AttemptEnded') return of(undefined);
      held = true;
      // A disk that does not take it must not keep us from asking the API again.
      return from(ports.hold(assignment, event)).pipe(catchError(() => of(undefined)));
    };
    return defer(() => tryWrite(assignment, event, ports, assignment, false)).pipe(
      concatMap((answer) =>
        E.isRight(answer) ? of(answer.right) : throwError(() => new Failed(answer.left)),
      ),
      retry({
        delay: (cause: unknown, count) => {
          if (!(cause instanceof Failed) || event.kind === 'Started') throw cause;
          const ms = Math.max(
            cause.error.retryAfterMs ?? 0,
            Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(count - 1, 10)) * (1 - chance() / 2),
          );
          ports.onRetry(assignment, cause.error, ms);
          return hold().pipe(switchMap(() => timer(ms, clock)));
        },
      }),
      catchError((cause: unknown): Observable<Written> => {
        if (cause instanceof Failed) return of({ kind: 'StatusUnwritten' });
        throw cause;
      }),
    );
  });
