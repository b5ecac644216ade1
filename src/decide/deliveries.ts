/**
 * Deliveries: which assignments did not arrive, and which came back?
 *
 * An assignment is durable before it is pushed, so nothing is lost when the push is; a session that opens without
 * holding what is Scheduled on its pod is told again. A refusal sends the Run back to the queue.
 */
import type { Command } from '../model/command.js';
import type { World, WorldChange } from '../model/world.js';
import { phaseOf } from './lifecycle.js';

/** Commands that this change calls for. */
export const deliveries = (world: World, change: WorldChange): ReadonlyArray<Command> => {
  if (change.kind === 'Session' && change.after && !change.before) {
    const held = new Set(change.after.held.map(({ runUid, attempt }) => `${runUid} ${attempt}`));
    return world
      .runsOn(change.key)
      .filter(
        (run) => phaseOf(run.status) === 'Scheduled' && !held.has(`${run.uid} ${run.status.attempt ?? 1}`),
      )
      .map((run) => ({ kind: 'SignalAssign', run, podUid: change.key }));
  }
  if (change.kind !== 'Refused') return [];
  const run = world.runs.get(change.key);
  const isCurrent =
    run !== undefined &&
    run.uid === change.runUid &&
    run.status.assignedPodUID === change.podUid &&
    (run.status.attempt ?? 1) === change.attempt;
  return isCurrent
    ? [
        {
          kind: 'AdvanceRun',
          run,
          step: { kind: 'Returned', reason: change.reason, message: change.message },
        },
      ]
    : [];
};
