/**
 * Marks: which Runs must carry the finalizer of stored artifacts?
 *
 * Those whose status names a store: their pod wrote it and waits for the finalizer before it stores anything. A Run that
 * is being deleted takes none any more. One that a pod of an older version stored something of gets it here, too.
 */
import type { Command } from '../model/command.js';
import { isMarked } from '../model/run-record.js';
import type { WorldChange } from '../model/world.js';

/** Commands that this change calls for. */
export const marks = (change: WorldChange): ReadonlyArray<Command> => {
  if (change.kind !== 'Run' || !change.after) return [];
  const run = change.after;
  const stores = run.status.artifactStores ?? [];
  return stores.length > 0 && !run.deleting && !isMarked(run) ? [{ kind: 'MarkRun', run }] : [];
};
