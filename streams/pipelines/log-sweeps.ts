/**
 * Log sweeps: which stores are to be looked through for logs of Runs that are gone, and by which pod?
 *
 * Changes in; requests to pods out, a few per store and day. O(log n) per change of a session, nothing for others.
 */
import { asyncScheduler, filter, type Observable, type SchedulerLike } from 'rxjs';

import { logSweeps } from '../../src/decide/log-sweeps.js';
import type { Command } from '../../src/model/command.js';
import type { World, WorldChange } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that have stores looked through. */
export const planLogSweeps = (
  changes$: Observable<WorldChange>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> =>
  changes$.pipe(
    filter(({ kind }) => kind === 'Session' || kind === 'Pod'),
    foldInTime(() => logSweeps(world), clock),
  );
