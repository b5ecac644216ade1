/**
 * Scheduling: which waiting Runs go to which pods, oldest first and within capacity?
 *
 * Changes of the world and outcomes of its own commands in; assignments, and explanations to Runs that wait, out. The
 * index behind it costs O(log n) per change; one timer stands for all retries and explanations.
 */
import { asyncScheduler, map, merge, type Observable, type SchedulerLike } from 'rxjs';

import { type ScheduleInput, schedule } from '../../src/decide/schedule.js';
import type { Command } from '../../src/model/command.js';
import type { Outcome } from '../../src/model/outcome.js';
import type { World, WorldChange } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that place Runs and tell the others why they wait. */
export const planSchedule = (
  changes$: Observable<WorldChange>,
  outcomes$: Observable<Outcome>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> =>
  merge(
    outcomes$.pipe(map((outcome): ScheduleInput => ({ kind: 'Outcome', outcome }))),
    changes$.pipe(map((change): ScheduleInput => ({ kind: 'Change', change }))),
  ).pipe(foldInTime(() => schedule(world), clock));
