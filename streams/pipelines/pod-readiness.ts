/**
 * Readiness: what should the condition kruntimes.io/RuntimedReady of each pod say?
 *
 * Follows sessions; a session that is merely lost leaves it alone for a minute.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { podReadiness } from '../../src/decide/pod-readiness.js';
import type { Command } from '../../src/model/command.js';
import type { World, WorldChange } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that keep the readiness gate true to the sessions. */
export const planPodReadiness = (
  changes$: Observable<WorldChange>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => changes$.pipe(foldInTime(() => podReadiness(world), clock));
