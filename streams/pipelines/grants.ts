/**
 * Grants: which ServiceAccounts need runtimed's permissions, now that the Runtimes of a namespace have changed?
 *
 * Runtimes and refused grants in; the grant each namespace should have out, when it changes.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { grants } from '../../src/decide/grants.js';
import type { Command } from '../../src/model/command.js';
import type { News } from '../../src/model/news.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that keep each namespace's grant as its Runtimes need it. */
export const planGrants = (
  news$: Observable<News>,
  world: World,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => news$.pipe(foldInTime(() => grants(world), clock));
