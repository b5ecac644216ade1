/**
 * Kept logs: which of the Runs whose logs a pod keeps are gone?
 *
 * What pods say on their sessions in; a message to each that keeps too much out. O(Runs) for all pods that ask within a
 * second, nothing while nobody asks.
 */
import { asyncScheduler, filter, type Observable, type SchedulerLike } from 'rxjs';

import { type KeptLogs, keptLogs } from '../../src/decide/kept-logs.js';
import type { Command } from '../../src/model/command.js';
import type { SessionEvent } from '../../src/model/session.js';
import type { World } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** `isWhole` says whether all Runs of a namespace are in the world. */
export const planKeptLogs = (
  events$: Observable<SessionEvent>,
  world: World,
  isWhole: (namespace: string) => boolean,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> =>
  events$.pipe(
    filter((event): event is KeptLogs => event.kind === 'KeptLogs'),
    foldInTime(() => keptLogs(world, isWhole), clock),
  );
