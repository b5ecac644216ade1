/**
 * Status of Runtimes: what should each say of its pods and of what they hold?
 *
 * Gathers changes for a moment, so that a burst of Runs is one write; never writes what is there already.
 */
import { asyncScheduler, map, merge, type Observable, type SchedulerLike } from 'rxjs';

import { type RuntimeStatusInput, runtimeStatus } from '../../src/decide/runtime-status.js';
import type { Command } from '../../src/model/command.js';
import type { Outcome } from '../../src/model/outcome.js';
import type { RuntimeRecord } from '../../src/model/runtime-record.js';
import type { World, WorldChange } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that keep Runtimes' status current. */
export const planRuntimeStatus = (
  changes$: Observable<WorldChange>,
  outcomes$: Observable<Outcome>,
  world: World,
  revisionOf: (runtime: RuntimeRecord) => string,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> =>
  merge(
    outcomes$.pipe(map((outcome): RuntimeStatusInput => ({ kind: 'Outcome', outcome }))),
    changes$.pipe(map((change): RuntimeStatusInput => ({ kind: 'Change', change }))),
  ).pipe(foldInTime(() => runtimeStatus(world, revisionOf), clock));
