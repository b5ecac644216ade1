/** Marks: which Runs must carry the finalizer of stored artifacts, now that one has changed? */
import { mergeMap, type Observable } from 'rxjs';

import { marks } from '../../src/decide/marks.js';
import type { Command } from '../../src/model/command.js';
import type { WorldChange } from '../../src/model/world.js';

/** Commands that mark them. */
export const planMarks = (changes$: Observable<WorldChange>): Observable<Command> =>
  changes$.pipe(mergeMap(marks));
