/**
 * Pods: what must happen so that each Runtime has the pods it wants?
 *
 * Changes and the outcomes of creations in; pods to create, cordon and delete out. Looks at one Runtime per change.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { type PodsOptions, pods } from '../../src/decide/pods.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that bring the pods to what the Runtimes want. */
export const planPods = (
  news$: Observable<News>,
  world: World,
  options: PodsOptions,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => news$.pipe(foldInTime(() => pods(world, options), clock));
