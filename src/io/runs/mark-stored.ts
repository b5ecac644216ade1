/**
 * Marks a Run as one that has something stored, before anything is: this pod writes into its status which store that is,
 * the operator answers with the finalizer that the Run's deletion waits for. Only then may a byte of it go to the store.
 *
 * The pod's own rights are those to the status of Runs; that is why the finalizer is the operator's. While the API or the
 * operator is away this waits, as the end of the attempt waits for the API.
 */
import { setTimeout as pause } from 'node:timers/promises';

import * as E from 'fp-ts/lib/Either.js';
import { concatMap, firstValueFrom } from 'rxjs';
import { type Backoff, backoffMs } from '../../decide/backoff.js';
import type { AttemptRef } from '../../decide/sidecar/attempt.js';
import { hasStore, MAX_STORES, type RecordedStore } from '../../model/artifact-store.js';
import { type EffectError, isRetryable } from '../../model/effect-error.js';
import { ARTIFACT_FINALIZER } from '../../model/names.js';
import { runs } from '../../model/resources.js';
import { isTerminal, Run } from '../../model/run.js';
import type { KubePort } from '../../ports.js';

const BACKOFF: Backoff = { firstMs: 100, longestMs: 5000 };

/** Of one watch, seconds. */
const WATCH_SECONDS = 290;
/** Silence of a watch: bookmarks come once a minute. */
const IDLE_MS = 150_000;

type Kube = Pick<KubePort, 'get' | 'patch' | 'watch'>;
/** A Right: why not, or undefined when it is marked. */
type Tried = E.Either<EffectError, string | undefined>;

const MARKED: Tried = E.right(undefined);
const no = (why: string): Tried => E.right(why);

/** What stands against it. */
const objection = (
  { metadata, status }: Run,
  ref: AttemptRef,
  podUid: string,
  store: RecordedStore,
): string | undefined => {
  if (metadata.uid !== ref.uid) return 'the Run was deleted';
  if (metadata.deletionTimestamp !== undefined) return 'the Run is being deleted';
  if (isTerminal(status?.phase)) return `the Run is ${status?.phase} already`;
  if (status?.assignedPodUID !== podUid || status.attempt !== ref.attempt)
    return `the Run is at attempt ${status?.attempt ?? 0} on pod ${status?.assignedPod ?? 'none'}`;
  return !hasStore(status.artifactStores, store) && (status.artifactStores?.length ?? 0) >= MAX_STORES
    ? `its attempts have used ${MAX_STORES} stores already`
    : undefined;
};

/** An object of the API as far as this goes: marked, refused, or neither yet. */
const judged = (object: unknown, ref: AttemptRef, podUid: string, store: RecordedStore): Tried | Run => {
  const read = Run.decode(object);
  if (E.isLeft(read)) return no('the Run is no longer readable');
  const run = read.right;
  const problem = objection(run, ref, podUid, store);
  if (problem !== undefined) return no(problem);
  const isDone =
    hasStore(run.status?.artifactStores, store) && run.metadata.finalizers?.includes(ARTIFACT_FINALIZER);
  return isDone ? MARKED : run;
};

/** Writes which store it is, behind the fence of the assignment. */
const record = (
  run: Run,
  ref: AttemptRef,
  podUid: string,
  store: RecordedStore,
  kube: Kube,
): Promise<E.Either<EffectError, unknown>> =>
  firstValueFrom(
    kube.patch(
      runs,
      ref,
      {
        type: 'json',
        body: [
          { op: 'test', path: '/metadata/uid', value: ref.uid },
          { op: 'test', path: '/status/assignedPodUID', value: podUid },
          { op: 'test', path: '/status/attempt', value: ref.attempt },
          {
            op: 'add',
            path: '/status/artifactStores',
            value: [...(run.status?.artifactStores ?? []), store],
          },
        ],
      },
      { subresource: 'status' },
    ),
  );

const tryOnce = async (ref: AttemptRef, podUid: string, store: RecordedStore, kube: Kube): Promise<Tried> => {
  const answer = await firstValueFrom(kube.get(runs, ref));
  if (E.isLeft(answer)) return answer.left.kind === 'NotFound' ? no('the Run was deleted') : answer;
  let seen = judged(answer.right, ref, podUid, store);
  if ('_tag' in seen) return seen;
  if (!hasStore(seen.status?.artifactStores, store)) {
    const written = await record(seen, ref, podUid, store, kube);
    if (E.isLeft(written)) return written;
    seen = judged(written.right, ref, podUid, store);
    if ('_tag' in seen) return seen;
  }
  const { resourceVersion } = seen.metadata;
  const selection = { namespace: ref.namespace, fieldSelector: `metadata.name=${ref.name}` };
  return firstValueFrom(
    kube.watch(runs, selection, { resourceVersion, timeoutSeconds: WATCH_SECONDS, idleMs: IDLE_MS }).pipe(
      concatMap((frame): ReadonlyArray<Tried> => {
        if (E.isLeft(frame)) return [frame];
        if (frame.right.type === 'BOOKMARK') return [];
        if (frame.right.type === 'DELETED') return [no('the Run was deleted')];
        const now = judged(frame.right.object, ref, podUid, store);
        return '_tag' in now ? [now] : [];
      }),
    ),
    { defaultValue: E.left(UNMARKED) },
  );
};

const UNMARKED: EffectError = { kind: 'Timeout', message: 'the operator has not marked the Run yet' };

/** Something else was written meanwhile: it has to be looked at again. */
const hasMoved = ({ kind }: EffectError): boolean =>
  kind === 'Conflict' || kind === 'NotFound' || kind === 'Gone';

/** Undefined when it is marked, else why it cannot be. Never rejects. */
export const markStored = async (
  ref: AttemptRef,
  podUid: string,
  store: RecordedStore,
  kube: Kube,
  onRetry: (error: EffectError, inMs: number) => void,
): Promise<string | undefined> => {
  for (let tries = 0; ; tries += 1) {
    const tried = await tryOnce(ref, podUid, store, kube);
    if (E.isRight(tried)) return tried.right;
    const error = tried.left;
    if (!isRetryable(error) && !hasMoved(error)) return `the Run could not be marked: ${error.message}`;
    const ms = backoffMs(tries, Math.random(), BACKOFF);
    if (!hasMoved(error)) onRetry(error, ms);
    await pause(hasMoved(error) ? 0 : Math.max(ms, error.retryAfterMs ?? 0));
  }
};
