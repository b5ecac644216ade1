/**
 * Cleanup: which stored artifacts are to be removed, and by which pod, so that deleted Runs can go?
 *
 * Changes and outcomes in; requests to pods, pods made for it, and finalizers taken off out. O(log n) per change.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { type CleanupOptions, cleanup } from '../../src/decide/cleanup/cleanup.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that empty the stores of deleted Runs. */
export const planCleanup = (
  news$: Observable<News>,
  world: World,
  options: CleanupOptions,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => news$.pipe(foldInTime(() => cleanup(world, options), clock));
