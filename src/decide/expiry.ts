/** Expiry: which finished Runs have outlived ttlSecondsAfterFinished? */
import type { Command } from '../model/command.js';
import type { ObjectKey } from '../model/ids.js';
import { isTerminal } from '../model/run.js';
import type { RunRecord } from '../model/run-record.js';
import { toMillis } from '../model/time.js';
import type { World, WorldChange } from '../model/world.js';
import { deadlines } from './deadlines.js';
import type { TimedMachine } from './timed-machine.js';

/** When the Run is to be deleted, milliseconds since the epoch; undefined: never, or it is being deleted already. */
export const expiryMs = (run: RunRecord): number | undefined =>
  run.ttlSeconds === undefined ||
  run.deleting ||
  !isTerminal(run.status.phase) ||
  run.status.completionTime === undefined
    ? undefined
    : toMillis(run.status.completionTime) + run.ttlSeconds * 1000;

/** The machine behind `streams/pipelines/expiry.ts`. */
export const expiry = (world: World): TimedMachine<WorldChange, Command> => {
  const due = deadlines<ObjectKey>();
  return {
    apply: (change) => {
      if (change.kind !== 'Run') return [];
      const at = change.after && expiryMs(change.after);
      if (at === undefined) due.remove(change.key);
      else due.set(change.key, at);
      return [];
    },
    dueMs: due.nextMs,
    wake: (nowMs) =>
      due.takeDue(nowMs).flatMap((key): ReadonlyArray<Command> => {
        const run = world.runs.get(key);
        return run ? [{ kind: 'DeleteRun', run }] : [];
      }),
  };
};
