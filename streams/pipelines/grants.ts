/** Grants: which ServiceAccounts need runtimed's permissions, now that the Runtimes of a namespace have changed? */
import { defer, mergeMap, type Observable } from 'rxjs';

import { grants } from '../../src/decide/grants.js';
import type { Command } from '../../src/model/command.js';
import type { World, WorldChange } from '../../src/model/world.js';

/** Commands that keep each namespace's grant as its Runtimes need it. */
export const planGrants = (changes$: Observable<WorldChange>, world: World): Observable<Command> =>
  defer(() => {
    const decide = grants(world);
    // mergeMap flattens an array that is there already: nothing is in flight.
    return changes$.pipe(mergeMap(decide));
  });
