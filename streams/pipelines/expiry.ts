/**
 * Expiry: which finished Runs have outlived their ttlSecondsAfterFinished?
 *
 * One queue of deadlines and one timer: O(log n) per change, nothing per tick.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { expiry } from '../../src/decide/expiry.js';
import type { Command } from '../../src/model/command.js';
import type { World, WorldChange } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that delete expired Runs. */
export const planExpiry = (
  changes$: Observable<WorldChange>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => changes$.pipe(foldInTime(() => expiry(world), clock));
