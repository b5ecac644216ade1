/**
 * Kept logs: when does the pod ask the operator which of the Runs whose logs it keeps are gone?
 *
 * Some time after a session has opened, because Runs may have been deleted meanwhile; then once an hour; and whenever
 * so many attempts have ended, so that what is kept follows the Runs that there are, however many come and go. The first
 * time is by chance, within a minute, since after an operator's start all sessions open together.
 */
import {
  asyncScheduler,
  EMPTY,
  filter,
  from,
  merge,
  type Observable,
  type SchedulerLike,
  switchMap,
  timer,
} from 'rxjs';

import { uidParts } from '../../src/model/uid-parts.js';
import type { KeptLogs } from '../../src/proto/gen/session.js';

/**
 * How long a log has to have ended before it is asked for, milliseconds: an operator that has just begun may not know of
 * the newest Runs.
 */
export const SETTLED_MS = 60_000;
/** The first question after a session has opened comes when what ended before it has settled, and up to so much later. */
export const SPREAD_MS = 60_000;
export const EVERY_MS = 3_600_000;
/** Attempts that end between two questions. A log takes 8 KiB of disk at least: of 256 MiB that is a sixteenth. */
export const EVERY_ENDED = 2_048;

export type KeptLogsSources = Readonly<{
  /** Whether there is a session; begins with the present state. */
  isOpen$: Observable<boolean>;
  /** An attempt is over and no longer held. */
  ended$: Observable<unknown>;
  /** UIDs of the Runs to ask for: those whose attempts here have ended so long ago, milliseconds. */
  kept: (settledMs: number) => ReadonlyArray<string>;
  /** Uniform in [0, 1). */
  chance: () => number;
}>;

/** Questions, for ever; none where no log is kept. */
export const askForLogs = (
  { isOpen$, ended$, kept, chance }: KeptLogsSources,
  clock: SchedulerLike = asyncScheduler,
): Observable<KeptLogs> => {
  const many$ = ended$.pipe(filter((_, index) => (index + 1) % EVERY_ENDED === 0));
  return isOpen$.pipe(
    switchMap((isOpen) =>
      isOpen ? merge(timer(SETTLED_MS + chance() * SPREAD_MS, EVERY_MS, clock), many$) : EMPTY,
    ),
    switchMap(() => from(uidParts(kept(SETTLED_MS)).map((runUids) => ({ runUids })))),
  );
};
