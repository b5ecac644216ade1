/**
 * Cancellation: who has to be told that a Run is to end?
 *
 * Changes in, commands out: a waiting Run is ended here, an assigned one by its pod over the session. Stateless; O(1)
 * per change of a Run, O(Runs of the pod) when a session opens.
 */
import { mergeMap, type Observable } from 'rxjs';

import { cancellations } from '../../src/decide/cancellation.js';
import type { Command } from '../../src/model/command.js';
import type { World, WorldChange } from '../../src/model/world.js';

/** Commands that carry out cancellation requests. */
export const planCancellations = (changes$: Observable<WorldChange>, world: World): Observable<Command> =>
  // mergeMap flattens an array that is there already: nothing is in flight.
  changes$.pipe(mergeMap((change) => cancellations(world, change)));
