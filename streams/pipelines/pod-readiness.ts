/**
 * Readiness: what should the condition kruntimes.io/RuntimedReady of each pod say?
 *
 * Changes and the outcomes of its own writes in; follows sessions, and leaves a session that is merely lost alone for a
 * minute.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { podReadiness } from '../../src/decide/pod-readiness.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that keep the readiness gate true to the sessions. */
export const planPodReadiness = (
  news$: Observable<News>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => news$.pipe(foldInTime(() => podReadiness(world), clock));
