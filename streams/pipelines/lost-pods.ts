/**
 * Lost pods: which Runs are on a pod that will not finish them?
 *
 * Deletion counts at once, silence after a grace. O(Runs of the pod) per lost pod.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { lostPods } from '../../src/decide/lost-pods.js';
import type { Command } from '../../src/model/command.js';
import type { World, WorldChange } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that take Runs back from lost pods. */
export const planLostPods = (
  changes$: Observable<WorldChange>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => changes$.pipe(foldInTime(() => lostPods(world), clock));
