/**
 * Notes: which Kubernetes Events tell people what happened?
 *
 * Within a budget; nothing waits for them.
 */
import { asyncScheduler, type Observable, type SchedulerLike } from 'rxjs';

import { notes } from '../../src/decide/notes.js';
import type { Command } from '../../src/model/command.js';
import type { WorldChange } from '../../src/model/world.js';
import { foldInTime } from '../operators/fold-in-time.js';

/** Commands that record Events. */
export const planNotes = (
  changes$: Observable<WorldChange>,
  clock: SchedulerLike = asyncScheduler,
): Observable<Command> => changes$.pipe(foldInTime(notes, clock));
