/**
 * Cancellation: who has to be told, now that cancelRequested or a pod's session has changed? To delete a Run is to
 * cancel it.
 */
import type { Command } from '../model/command.js';
import type { PodUid } from '../model/ids.js';
import { isTerminal } from '../model/run.js';
import type { RunRecord } from '../model/run-record.js';
import type { World, WorldChange } from '../model/world.js';
import { phaseOf } from './lifecycle.js';

/** A waiting Run is ended by us; an assigned one by its pod, which alone knows whether it ended by itself. */
const cancel = (run: RunRecord): ReadonlyArray<Command> => {
  if (!(run.cancelRequested || run.deleting) || isTerminal(run.status.phase)) return [];
  if (phaseOf(run.status) === 'Pending')
    return run.cancelRequested ? [{ kind: 'AdvanceRun', run, step: { kind: 'CancelledWaiting' } }] : [];
  const podUid = run.status.assignedPodUID as PodUid | undefined;
  return podUid === undefined ? [] : [{ kind: 'SignalCancel', run, podUid, reason: 'Cancelled' }];
};

/** Commands that this change calls for. A session that opens is told again: the signal may have died with the last. */
export const cancellations = (world: World, change: WorldChange): ReadonlyArray<Command> => {
  if (change.kind === 'Run') {
    const { before, after } = change;
    // Gone at once: nothing but its pod knows of it any more.
    if (before && before.uid !== after?.uid)
      return [
        ...cancel({ ...before, cancelRequested: false, deleting: true }),
        ...(after ? cancel(after) : []),
      ];
    return after ? cancel(after) : [];
  }
  if (change.kind === 'Session' && change.after && !change.before)
    return world.runsOn(change.key).flatMap(cancel);
  return [];
};
