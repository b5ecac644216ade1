/**
 * Deliveries: which durable assignments did their pods not take?
 *
 * A pod that refuses sends the Run back; a session that opens without one is told again. Stateless.
 */
import { mergeMap, type Observable } from 'rxjs';

import { deliveries } from '../../src/decide/deliveries.js';
import type { Command } from '../../src/model/command.js';
import type { World, WorldChange } from '../../src/model/world.js';

/** Commands that repeat or take back assignments. */
export const planDeliveries = (changes$: Observable<WorldChange>, world: World): Observable<Command> =>
  // mergeMap flattens an array that is there already: nothing is in flight.
  changes$.pipe(mergeMap((change) => deliveries(world, change)));
