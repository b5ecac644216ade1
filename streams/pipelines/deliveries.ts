/**
 * Deliveries: which durable assignments did their pods not take?
 *
 * Changes and what became of assignments in; pushes to repeat, and Runs that came back, out. One queue of deadlines
 * and one timer: O(log n) per change of a Run.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { deliveries } from '../../src/decide/deliveries.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that repeat or take back assignments. */
export const planDeliveries = (
  news$: Observable<News>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => news$.pipe(foldInTime(() => deliveries(world), clock));
