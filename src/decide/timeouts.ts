/**
 * Timeouts: which attempts have outlived their deadline?
 *
 * runtimed counts each attempt's time and ends it, with or without us. This is the second line: at the deadline the pod
 * is told, and if its session is down and the Run still has no end `OVERDUE_MS` later, we end it ourselves, so that a
 * Run on a pod that hangs does not hang with it.
 */
import type { Command } from '../model/command.js';
import type { ObjectKey, PodUid } from '../model/ids.js';
import type { RunRecord } from '../model/run-record.js';
import { formatDuration, toMillis } from '../model/time.js';
import type { World, WorldChange } from '../model/world.js';
import { deadlines } from './deadlines.js';
import { phaseOf } from './lifecycle.js';
import { earliest, type TimedMachine } from './timed-machine.js';

/** After the deadline: the grace before SIGKILL (2 s), the writing of the end, and room for a slow API. */
export const OVERDUE_MS = 10_000;

/**
 * When this Run's attempt is to be over, milliseconds since the epoch; undefined while it has no deadline.
 *
 * The time counts from the start of the process, which is later than the assignment by the preparation of the source;
 * a Run whose start is not recorded is given `OVERDUE_MS` for that.
 */
export const deadlineMs = (run: RunRecord): number | undefined => {
  const { startTime, scheduledTime } = run.status;
  const phase = phaseOf(run.status);
  if (run.timeoutMs === undefined || (phase !== 'Running' && phase !== 'Scheduled')) return undefined;
  if (startTime !== undefined) return toMillis(startTime) + run.timeoutMs;
  return scheduledTime === undefined ? undefined : toMillis(scheduledTime) + run.timeoutMs + OVERDUE_MS;
};

const timeOut = (run: RunRecord): Command => ({
  kind: 'AdvanceRun',
  run,
  step: {
    kind: 'AttemptEnded',
    result: {
      kind: 'Failed',
      reason: 'Timeout',
      message: `no end within ${formatDuration(run.timeoutMs ?? 0)}, and pod ${run.status.assignedPod ?? '?'} does not answer`,
    },
  },
});

/** The machine behind `streams/pipelines/timeouts.ts`. Instants are compared with the clock's `nowMs`. */
export const timeouts = (world: World): TimedMachine<WorldChange, Command> => {
  const due = deadlines<ObjectKey>();
  const overdue = deadlines<ObjectKey>();
  return {
    apply: (change) => {
      if (change.kind !== 'Run') return [];
      const at = change.after && deadlineMs(change.after);
      if (at === undefined) {
        due.remove(change.key);
        overdue.remove(change.key);
      } else if (
        overdue.get(change.key) === undefined ||
        (change.before && deadlineMs(change.before) !== at)
      ) {
        overdue.remove(change.key);
        due.set(change.key, at);
      }
      return [];
    },
    dueMs: () => earliest(due.nextMs(), overdue.nextMs()),
    wake: (nowMs) => {
      const commands: Command[] = [];
      for (const key of due.takeDue(nowMs)) {
        const run = world.runs.get(key);
        const podUid = run?.status.assignedPodUID as PodUid | undefined;
        if (!run || podUid === undefined) continue;
        overdue.set(key, nowMs + OVERDUE_MS);
        commands.push({ kind: 'SignalCancel', run, podUid, reason: 'Timeout' });
      }
      for (const key of overdue.takeDue(nowMs)) {
        const run = world.runs.get(key);
        const podUid = run?.status.assignedPodUID as PodUid | undefined;
        if (!run || podUid === undefined || deadlineMs(run) === undefined) continue;
        overdue.set(key, nowMs + OVERDUE_MS);
        if (!world.sessions.has(podUid)) commands.push(timeOut(run));
      }
      return commands;
    },
  };
};
