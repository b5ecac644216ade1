/**
 * Timeouts: which attempts have outlived their deadline?
 *
 * The second line behind runtimed. One queue of deadlines and one timer: O(log n) per change, nothing per tick.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { timeouts } from '../../src/decide/timeouts.js';
import type { Command } from '../../src/model/command.js';
import type { World, WorldChange } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that end overdue attempts. */
export const planTimeouts = (
  changes$: Observable<WorldChange>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => changes$.pipe(foldInTime(() => timeouts(world), clock));
