/**
 * Removes what an attempt had on disk, all but its log: its workspace, outputs and artifacts, then the records; as long
 * as those are there, a restarted runtimed tries again.
 */
import {
  asyncScheduler,
  defer,
  from,
  ignoreElements,
  type Observable,
  retry,
  type SchedulerLike,
  timer,
} from 'rxjs';

import { type Backoff, backoffMs } from '../../decide/backoff.js';
import type { AttemptRef } from '../../decide/sidecar/attempt.js';
import type { AttemptFiles } from './attempt-files.js';

/** Rejects when something could not be removed. */
export const cleanWorkspace = async (ref: AttemptRef, files: AttemptFiles): Promise<void> => {
  await files.removeWorkspace(ref);
  await files.removeOwn(ref);
  files.removeRecord(ref);
};

/** Pauses between tries: 21 s in all. */
const PAUSES: Backoff = { firstMs: 200, longestMs: 5_000 };
const TRIES_AGAIN = 8;
/** The middle of its range, so that a pause is what it says: a pod's disk is its own, no tries have to be spread. */
const NO_CHANCE = 0.5;

/**
 * The same, tried again for a while: descriptors are short, or a file system is read-only, for a moment, and nobody else
 * would remove it before the next runtimed. Completes when nothing is left; errors when something stays.
 */
export const cleanPatiently = (
  ref: AttemptRef,
  files: AttemptFiles,
  clock: SchedulerLike = asyncScheduler,
): Observable<never> =>
  defer(() => from(cleanWorkspace(ref, files))).pipe(
    retry({
      count: TRIES_AGAIN,
      delay: (_, count) => timer(backoffMs(count - 1, NO_CHANCE, PAUSES), clock),
    }),
    ignoreElements(),
  );
