/**
 * Notes: which Kubernetes Events does this change deserve?
 *
 * Events are for people reading `kubectl describe`; they are writes like any other, so they come from a budget: a
 * burst of `BURST`, then `PER_SECOND`. Failures and retries may take the last of it, the rest leaves them some.
 */
import type { Command, EventNote } from '../model/command.js';
import { conditionOf } from '../model/conditions.js';
import type { RunRecord } from '../model/run-record.js';
import { type Micros, micros } from '../model/time.js';
import type { WorldChange } from '../model/world.js';
import { phaseOf } from './lifecycle.js';
import type { TimedMachine } from './timed-machine.js';

/** Events that may be written at once. */
export const BURST = 50;
/** Events per second on average. */
export const PER_SECOND = 5;
/** What ordinary news leaves for warnings. */
const RESERVE = 15;

type Note = Omit<EventNote, 'regarding' | 'at'>;

const normal = (reason: string, message: string): Note => ({ type: 'Normal', reason, message });
const warning = (reason: string, message: string): Note => ({ type: 'Warning', reason, message });

/** What is worth saying of the step from one version of a Run to the next. */
export const noteOf = (before: RunRecord, after: RunRecord): Note | undefined => {
  const [was, is] = [phaseOf(before.status), phaseOf(after.status)];
  if (was === is) return undefined;
  const { assignedPod = '?', attempt = 1, message = '' } = after.status;
  switch (is) {
    case 'Scheduled':
      return normal('Scheduled', `attempt ${attempt} assigned to pod ${assignedPod}`);
    case 'Running':
      return normal('Started', `attempt ${attempt} runs on pod ${assignedPod}`);
    case 'Pending': {
      const why = conditionOf(after.status.conditions, 'Scheduled');
      return after.status.nextAttemptTime === undefined
        ? normal('Returned', why?.message ?? 'back in the queue')
        : warning('Retrying', message);
    }
    case 'Succeeded':
      return normal('Succeeded', `attempt ${attempt} succeeded on pod ${assignedPod}`);
    case 'Cancelled':
      return normal('Cancelled', message);
    case 'Failed':
    case 'Timeout':
      return warning(is, message);
    default:
      return is satisfies never;
  }
};

/** The command that records it. */
export const eventOf = (run: RunRecord, note: Note, at: Micros): Command => ({
  kind: 'RecordEvent',
  event: {
    ...note,
    regarding: {
      kind: 'Run',
      namespace: run.namespace,
      name: run.name,
      uid: run.uid,
      resourceVersion: run.resourceVersion,
    },
    at,
  },
});

/** The machine behind `streams/pipelines/notes.ts`. */
export const notes = (): TimedMachine<WorldChange, Command> => {
  let budget = BURST;
  let countedMs: number | undefined;
  return {
    apply: (change, nowMs) => {
      if (change.kind !== 'Run' || !change.before || !change.after || change.before.uid !== change.after.uid)
        return [];
      const note = noteOf(change.before, change.after);
      if (!note) return [];
      budget = Math.min(BURST, budget + ((nowMs - (countedMs ?? nowMs)) / 1000) * PER_SECOND);
      countedMs = nowMs;
      if (budget < (note.type === 'Warning' ? 1 : RESERVE)) return [];
      budget -= 1;
      return [eventOf(change.after, note, micros(nowMs * 1000))];
    },
  };
};
