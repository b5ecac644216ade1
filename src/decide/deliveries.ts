/**
 * Deliveries: which assignments did not arrive, and which came back?
 *
 * An assignment is durable before it is pushed, so nothing is lost when the push is. A pod takes one that it knows for
 * no news, so whatever may have been missed is told again:
 * - when a session opens, what is Scheduled on its pod and not held by it;
 * - `UNPUSHED_MS` after a Run was seen Scheduled and no push of it has been reported: the answer to our write was lost
 *   and the watch brought what it did, or another operator wrote it, or the Run that came back could not be taken back;
 * - every `REPUSH_MS` while it stays Scheduled.
 * A refusal sends the Run back to the queue.
 *
 * Only its pod takes a Run from Running to anything else, or we do when that pod is lost. A change that looks otherwise is
 * somebody's edit of the status: the pod that has it no more, and the one that is to have it Running, are told, and make
 * of it what is true there. O(log n) per change of a Run.
 */
import type { Command } from '../model/command.js';
import type { ObjectKey, PodUid } from '../model/ids.js';
import type { News } from '../model/news.js';
import type { Outcome } from '../model/outcome.js';
import { isTerminal } from '../model/run.js';
import type { RunRecord } from '../model/run-record.js';
import type { Session } from '../model/session.js';
import type { World, WorldChange } from '../model/world.js';
import { deadlines } from './deadlines.js';
import { phaseOf } from './lifecycle.js';
import type { TimedMachine } from './timed-machine.js';

/** Between a Run being seen Scheduled and its push: the watch is often ahead of the write's answer. Milliseconds. */
export const UNPUSHED_MS = 1000;
/** Between pushes of a Run that stays Scheduled: it waits for its source, or for the Runtime Server, or was missed. */
export const REPUSH_MS = 10_000;

/** Which attempt it is that the Run is in this phase with, and where, if it is in it. */
const attemptIn = (phase: 'Scheduled' | 'Running', run: RunRecord | undefined): string | undefined =>
  run && phaseOf(run.status) === phase
    ? `${run.uid} ${run.status.attempt ?? 1} ${run.status.assignedPodUID ?? ''}`
    : undefined;

/** The assignment that the Run waits on to be taken, if any. */
const assignmentOf = (run: RunRecord | undefined): string | undefined => attemptIn('Scheduled', run);

/** The execution that the Run is, if it is Running. */
const executionOf = (run: RunRecord | undefined): string | undefined => attemptIn('Running', run);

/** Whether the pod where it was Running did not end this attempt itself, nor was given up. */
const isTakenAway = (before: RunRecord | undefined, after: RunRecord): boolean => {
  const { attempt, assignedPodUID } = before?.status ?? {};
  const past = after.status.attemptHistory?.at(-1);
  return (
    executionOf(before) !== undefined &&
    before?.uid === after.uid &&
    !isTerminal(after.status.phase) &&
    executionOf(before) !== executionOf(after) &&
    !(past?.attempt === attempt && past?.podUID === assignedPodUID)
  );
};

/** Whether it is Running as what was never Scheduled, as far as we saw. */
const isPutThere = (before: RunRecord | undefined, after: RunRecord): boolean =>
  before?.uid === after.uid &&
  executionOf(after) !== undefined &&
  executionOf(after) !== (executionOf(before) ?? assignmentOf(before));

/** The machine behind `streams/pipelines/deliveries.ts`. */
export const deliveries = (world: World): TimedMachine<News, Command> => {
  const unpushed = deadlines<ObjectKey>();

  const onRun = (change: Extract<WorldChange, { kind: 'Run' }>, nowMs: number): void => {
    const { key, before, after } = change;
    const assignment = assignmentOf(after);
    if (assignment === undefined) unpushed.remove(key);
    else if (assignment !== assignmentOf(before)) unpushed.set(key, nowMs + UNPUSHED_MS);
  };

  /** Pods that have to hear of an edit. */
  const edited = ({ before, after }: Extract<WorldChange, { kind: 'Run' }>): ReadonlyArray<Command> => {
    if (after === undefined) return [];
    const told = [
      ...(isTakenAway(before, after) ? [before?.status.assignedPodUID] : []),
      ...(isPutThere(before, after) ? [after.status.assignedPodUID] : []),
    ] as ReadonlyArray<PodUid | undefined>;
    return [...new Set(told)].flatMap((podUid) =>
      podUid !== undefined && world.sessions.has(podUid)
        ? [{ kind: 'SignalAssign', run: after, podUid }]
        : [],
    );
  };

  const push = (run: RunRecord, nowMs: number): ReadonlyArray<Command> => {
    const podUid = run.status.assignedPodUID as PodUid | undefined;
    if (phaseOf(run.status) !== 'Scheduled' || podUid === undefined || !world.sessions.has(podUid)) return [];
    unpushed.set(run.key, nowMs + REPUSH_MS);
    return [{ kind: 'SignalAssign', run, podUid }];
  };

  const opened = ({ podUid, held }: Session, nowMs: number): ReadonlyArray<Command> => {
    const known = new Set(held.map(({ runUid, attempt }) => `${runUid} ${attempt}`));
    return world
      .runsOn(podUid)
      .filter((run) => !known.has(`${run.uid} ${run.status.attempt ?? 1}`))
      .flatMap((run) => push(run, nowMs));
  };

  const refused = (change: Extract<WorldChange, { kind: 'Refused' }>): ReadonlyArray<Command> => {
    const run = world.runs.get(change.key);
    const isCurrent =
      run !== undefined &&
      run.uid === change.runUid &&
      run.status.assignedPodUID === change.podUid &&
      (run.status.attempt ?? 1) === change.attempt;
    const step = { kind: 'Returned', reason: change.reason, message: change.message } as const;
    return isCurrent ? [{ kind: 'AdvanceRun', run, step }] : [];
  };

  const settled = ({ command, kind }: Outcome, nowMs: number): void => {
    if (command.kind !== 'AdvanceRun') return;
    const { step, run } = command;
    if (assignmentOf(world.runs.get(run.key)) === undefined) return;
    if (step.kind === 'Assigned' && kind === 'Done') unpushed.set(run.key, nowMs + REPUSH_MS);
    if (step.kind === 'Returned' && kind !== 'Done') unpushed.set(run.key, nowMs + UNPUSHED_MS);
  };

  return {
    apply: (news, nowMs) => {
      if (news.kind === 'Outcome') {
        settled(news.outcome, nowMs);
        return [];
      }
      const { change } = news;
      if (change.kind === 'Run') {
        onRun(change, nowMs);
        return edited(change);
      }
      if (change.kind === 'Session' && change.after && !change.before) return opened(change.after, nowMs);
      return change.kind === 'Refused' ? refused(change) : [];
    },
    dueMs: unpushed.nextMs,
    wake: (nowMs) =>
      unpushed.takeDue(nowMs).flatMap((key) => {
        const run = world.runs.get(key);
        return run ? push(run, nowMs) : [];
      }),
  };
};
