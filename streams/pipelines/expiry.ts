/**
 * Expiry: which finished Runs have outlived their time to live?
 *
 * One queue of deadlines and one timer: O(log n) per change, nothing per tick.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { expiry } from '../../src/decide/expiry.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that delete expired Runs. `defaultTtlMs`: of Runs that say none themselves. */
export const planExpiry = (
  news$: Observable<News>,
  world: World,
  defaultTtlMs?: number,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => news$.pipe(foldInTime(() => expiry(world, defaultTtlMs), clock));
