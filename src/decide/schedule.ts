/**
 * Scheduling: what does this change let us place, and who has to be told why it waits?
 *
 * Feeds the placement index and turns its placements into commands; keeps three deadline queues: times of retries, explanations,
 * and pods that refused. A Run that is placed within `EXPLAIN_AFTER_MS` is never told that it waits: only one
 * that has to wait costs a write, and another only when the reason changes.
 */
import type { Command } from '../model/command.js';
import { conditionOf } from '../model/conditions.js';
import type { ObjectKey, PodUid } from '../model/ids.js';
import type { News } from '../model/news.js';
import type { Outcome } from '../model/outcome.js';
import type { RunRecord } from '../model/run-record.js';
import { micros, toMillis } from '../model/time.js';
import type { World, WorldChange } from '../model/world.js';
import { type Deadlines, deadlines } from './deadlines.js';
import { isDue, phaseOf } from './lifecycle.js';
import { placementIndex, type Slot } from './placement.js';
import { earliest, type TimedMachine } from './timed-machine.js';

/** How long a Run waits in silence, milliseconds; explanations are written in batches at multiples of it. */
export const EXPLAIN_AFTER_MS = 250;
/** After a refused write the Run waits for its newer version; should that have been missed, this long. */
export const STALE_MS = 1000;

/**
 * A pod that refuses an assignment gets none for this long, milliseconds: what took the room is not known here (the
 * process of a Run that was deleted, say), and asking at once would be refused at once, as fast as the API can write.
 */
export const REFUSED_MS = 500;

/** The pod with this UID as placement sees it; undefined when it is gone. */
const slotOf = (world: World, uid: PodUid, isFull: boolean): Slot | undefined => {
  const pod = world.podByUid(uid);
  if (pod === undefined) return undefined;
  const session = world.sessions.get(uid);
  return {
    uid,
    name: pod.name,
    runtime: pod.runtime,
    capacity: pod.capacity,
    // Anybody may give a pod our label; and the pods of a namesake before are about to be collected.
    schedulable:
      pod.ownerUid === world.runtimes.get(pod.runtime)?.uid &&
      session?.healthy === true &&
      !session.draining &&
      !pod.terminating &&
      !pod.finished &&
      pod.cordonedSince === undefined,
    isFull,
  };
};

const writtenReason = (run: RunRecord): string | undefined => {
  const condition = conditionOf(run.status.conditions, 'Scheduled');
  return condition?.status === 'False' ? condition.reason : undefined;
};

/** The machine behind `streams/pipelines/schedule.ts`. */
export const schedule = (world: World): TimedMachine<News, Command> => {
  const index = placementIndex();
  const returning = deadlines<ObjectKey>();
  const explaining = deadlines<ObjectKey>();
  /** Runtimes whose waiting Runs are to be told a new reason. */
  const turned = deadlines<ObjectKey>();
  const refusing = deadlines<PodUid>();
  const poolStates = new Map<ObjectKey, string>();

  const inNextBatch = (queue: Deadlines<ObjectKey>, key: ObjectKey, nowMs: number): void => {
    if (queue.get(key) === undefined)
      queue.set(key, Math.ceil((nowMs + EXPLAIN_AFTER_MS) / EXPLAIN_AFTER_MS) * EXPLAIN_AFTER_MS);
  };

  const onRun = (key: ObjectKey, run: RunRecord | undefined, nowMs: number): void => {
    index.setRun(key, run, nowMs);
    const next = run?.status.nextAttemptTime;
    if (
      run &&
      next !== undefined &&
      phaseOf(run.status) === 'Pending' &&
      !isDue(run.status, micros(nowMs * 1000))
    )
      returning.set(key, toMillis(next));
    else returning.remove(key);
    if (!run || !index.isWaiting(key)) explaining.remove(key);
    else if (writtenReason(run) !== index.poolReason(run.runtime)) inNextBatch(explaining, key, nowMs);
  };

  /**
   * When the pool's state turns, everyone who was told an old reason is told the new: with the next batch, so that a
   * state that comes and goes costs nobody anything.
   */
  const onPool = (runtime: ObjectKey, nowMs: number): void => {
    const state = index.poolState(runtime);
    if (poolStates.get(runtime) !== state && index.hasWaiting(runtime))
      return inNextBatch(turned, runtime, nowMs);
    turned.remove(runtime);
    if (world.runtimes.has(runtime)) poolStates.set(runtime, state);
    else poolStates.delete(runtime);
  };

  const takeTurned = (nowMs: number): ReadonlyArray<ObjectKey> =>
    turned.takeDue(nowMs).flatMap((runtime) => {
      if (world.runtimes.has(runtime)) poolStates.set(runtime, index.poolState(runtime));
      else poolStates.delete(runtime);
      return [...index.waitingOf(runtime)];
    });

  const onPod = (uid: PodUid, runtime: ObjectKey | undefined, nowMs: number): void => {
    index.setPod(uid, slotOf(world, uid, refusing.get(uid) !== undefined));
    if (runtime !== undefined) onPool(runtime, nowMs);
  };

  const onChange = (change: WorldChange, nowMs: number): void => {
    switch (change.kind) {
      case 'Run':
        return onRun(change.key, change.after, nowMs);
      case 'Runtime':
        index.setRuntime(change.key, change.after !== undefined && !change.after.deleting);
        if (change.before?.uid !== change.after?.uid)
          for (const { uid } of world.podsOf(change.key))
            index.setPod(uid, slotOf(world, uid, refusing.get(uid) !== undefined));
        onPool(change.key, nowMs);
        return;
      case 'Pod':
        if (change.before && change.before.uid !== change.after?.uid)
          onPod(change.before.uid, change.before.runtime, nowMs);
        if (change.after) onPod(change.after.uid, change.after.runtime, nowMs);
        return;
      case 'Session':
        return onPod(change.key, world.podByUid(change.key)?.runtime, nowMs);
      case 'Refused':
        refusing.set(change.podUid, nowMs + REFUSED_MS);
        return onPod(change.podUid, world.podByUid(change.podUid)?.runtime, nowMs);
      case 'ArtifactsRemoved':
        return;
      default:
        return change satisfies never;
    }
  };

  const onOutcome = (outcome: Outcome, nowMs: number): void => {
    const { command } = outcome;
    if (command.kind !== 'AdvanceRun' || command.step.kind !== 'Assigned') return;
    const { key, resourceVersion } = command.run;
    if (outcome.kind === 'Done') return index.confirm(key);
    const current = world.runs.get(key);
    if (current?.resourceVersion !== resourceVersion) return index.release(key, current, nowMs);
    // The cache is still at the version that was refused: placing it again would be refused again.
    index.park(key);
    returning.set(key, nowMs + STALE_MS);
  };

  const placed = (nowMs: number): ReadonlyArray<Command> =>
    index.place().map(({ run, pod }) => {
      explaining.remove(run.key);
      return {
        kind: 'AdvanceRun',
        run,
        step: { kind: 'Assigned', pod: pod.name, podUid: pod.uid, at: micros(nowMs * 1000) },
      };
    });

  const explained = (nowMs: number): ReadonlyArray<Command> =>
    index
      .explain([...explaining.takeDue(nowMs), ...takeTurned(nowMs)])
      .filter(({ run, reason }) => writtenReason(run) !== reason)
      .map(({ run, reason, message }) => ({
        kind: 'AdvanceRun',
        run,
        step: { kind: 'Waited', reason, message },
      }));

  return {
    apply: (input, nowMs) => {
      if (input.kind === 'Change') onChange(input.change, nowMs);
      else onOutcome(input.outcome, nowMs);
      return placed(nowMs);
    },
    dueMs: () => earliest(returning.nextMs(), explaining.nextMs(), turned.nextMs(), refusing.nextMs()),
    wake: (nowMs) => {
      for (const uid of refusing.takeDue(nowMs)) onPod(uid, world.podByUid(uid)?.runtime, nowMs);
      for (const key of returning.takeDue(nowMs)) onRun(key, world.runs.get(key), nowMs);
      return [...placed(nowMs), ...explained(nowMs)];
    },
  };
};
