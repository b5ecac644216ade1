/**
 * Removes logs in the pod's store that Runs which are gone have left, on the operator's word. One pass over the objects
 * of the namespace; a store that is away is tried again for a quarter of an hour, and the operator asks again some day.
 */
import {
  catchError,
  defer,
  EMPTY,
  ignoreElements,
  type Observable,
  retry,
  tap,
  throwError,
  timer,
} from 'rxjs';

import type { Sweep } from '../../streams/sidecar/sweeps.js';
import { runPrefix } from '../decide/artifacts/keys.js';
import { logOrphans } from '../decide/artifacts/log-orphans.js';
import { backoffMs } from '../decide/backoff.js';
import { type ArtifactStore, isWorthRetrying } from '../io/artifacts/store.js';
import type { Log } from '../io/log.js';
import { type RecordedStore, storePlace } from '../model/artifact-store.js';

const TRIES = 20;
const PAUSES = { firstMs: 1000, longestMs: 60_000 };

/** One pass; resolves to how many Runs' logs it removed. Ends between two objects when the signal is raised. */
export const sweepOnce = async (
  store: Pick<ArtifactStore, 'listNamespace' | 'remove'>,
  namespace: string,
  { installation, runs }: Sweep,
  atMs: number,
  signal: AbortSignal,
): Promise<number> => {
  const orphans = logOrphans({ namespace, installation, runs, atMs });
  let count = 0;
  const remove = async (uid: string | undefined): Promise<void> => {
    if (uid === undefined || signal.aborted) return;
    await store.remove(runPrefix({ namespace, uid }));
    count += 1;
  };
  for await (const object of store.listNamespace(namespace)) {
    if (signal.aborted) return count;
    await remove(orphans.next(object));
  }
  await remove(orphans.end());
  return count;
};

/** Does it, provided that the store is the one that is meant. */
export const sweepLogs = (
  podStore: Readonly<{ settings: RecordedStore; store: ArtifactStore }> | undefined,
  namespace: string,
  sweep: Sweep,
  log: Log,
): Observable<never> =>
  defer(() => {
    if (!podStore || storePlace(podStore.settings) !== sweep.store || sweep.installation === '') return EMPTY;
    // What is known was told now, and is no newer at a later try.
    const atMs = Date.now();
    const stop = new AbortController();
    return defer(() => sweepOnce(podStore.store, namespace, sweep, atMs, stop.signal)).pipe(
      retry({
        count: TRIES,
        delay: (cause: unknown, tries) =>
          isWorthRetrying(cause)
            ? timer(backoffMs(tries - 1, Math.random(), PAUSES))
            : throwError(() => cause),
      }),
      tap({
        next: (removed) => {
          const fields = { store: sweep.store, removed, known: sweep.runs.size };
          if (removed > 0) log.info(fields, 'logs of runs that are gone removed');
          else log.debug(fields, 'no logs of runs that are gone');
        },
        error: (err: unknown) =>
          log.warn({ store: sweep.store, err }, 'logs of runs that are gone may remain'),
        finalize: () => stop.abort(),
      }),
      ignoreElements(),
      catchError(() => EMPTY),
    );
  });
