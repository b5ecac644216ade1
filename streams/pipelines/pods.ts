/**
 * Pods: what must happen so that each Runtime has the pods it wants?
 *
 * Changes and the outcomes of creations in; pods to create, cordon and delete out. Looks at one Runtime per change.
 */
import { asyncScheduler, map, merge, type Observable, type SchedulerLike } from 'rxjs';

import { type PodsInput, type PodsOptions, pods } from '../../src/decide/pods.js';
import type { Command } from '../../src/model/command.js';
import type { Outcome } from '../../src/model/outcome.js';
import type { World, WorldChange } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that bring the pods to what the Runtimes want. */
export const planPods = (
  changes$: Observable<WorldChange>,
  outcomes$: Observable<Outcome>,
  world: World,
  options: PodsOptions,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> =>
  merge(
    outcomes$.pipe(map((outcome): PodsInput => ({ kind: 'Outcome', outcome }))),
    changes$.pipe(map((change): PodsInput => ({ kind: 'Change', change }))),
  ).pipe(foldInTime(() => pods(world, options), clock));
