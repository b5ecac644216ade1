/**
 * History: which finished Runs are more than their Runtime is to keep?
 *
 * One ordered index per Runtime: O(log n) per change. Without a limit nothing is kept and nothing is done.
 */
import { asyncScheduler, EMPTY, type Observable, type SchedulerLike } from 'rxjs';

import { history } from '../../src/decide/history.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that delete the oldest. */
export const planHistory = (
  news$: Observable<News>,
  world: World,
  limit: number | undefined,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> =>
  limit === undefined ? EMPTY : news$.pipe(foldInTime(() => history(world, limit), clock));
