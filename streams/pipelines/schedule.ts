/**
 * Scheduling: which waiting Runs go to which pods, oldest first and within capacity?
 *
 * Changes of the world and outcomes of its own commands in; assignments, and explanations to Runs that wait, out. The
 * index behind it costs O(log n) per change; one timer stands for all retries and explanations.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { schedule } from '../../src/decide/schedule.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that place Runs and tell the others why they wait. */
export const planSchedule = (
  news$: Observable<News>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => news$.pipe(foldInTime(() => schedule(world), clock));
