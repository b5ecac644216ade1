/**
 * Status of Runtimes: what should each say of its pods and of what they hold?
 *
 * Gathers changes for a moment, so that a burst of Runs is one write; never writes what is there already.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { runtimeStatus } from '../../src/decide/runtime-status.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { RuntimeRecord } from '../../src/model/runtime-record.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that keep Runtimes' status current. */
export const planRuntimeStatus = (
  news$: Observable<News>,
  world: World,
  revisionOf: (runtime: RuntimeRecord) => string,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => news$.pipe(foldInTime(() => runtimeStatus(world, revisionOf), clock));
