/**
 * The one cache: every object the operator watches, the sessions, and the indexes that decisions read.
 *
 * Guarantees: an object never goes back to an older version (a write's answer may overtake the watch, and then the
 * watch brings what is already known); a deleted object is not revived by a late answer; every change is reported once,
 * after the indexes hold it. Costs O(1) per change.
 *
 * Versions are compared as whole numbers, which Kubernetes guarantees for its own storage (KEP-5504).
 */

import { phaseOf } from '../../src/decide/lifecycle.js';
import { namespaceOfKey, type ObjectKey, objectKey, type PodUid } from '../../src/model/ids.js';
import type { PodRecord } from '../../src/model/pod.js';
import { isTerminal, type Phase } from '../../src/model/run.js';
import type { RunRecord } from '../../src/model/run-record.js';
import type { RuntimeRecord } from '../../src/model/runtime-record.js';
import type { Session, SessionEvent } from '../../src/model/session.js';
import type { PodLoad, World, WorldChange } from '../../src/model/world.js';

/** What may be put into the world. */
export type WorldInput =
  | Readonly<{ kind: 'Run'; key: ObjectKey; object: RunRecord | undefined }>
  | Readonly<{ kind: 'Runtime'; key: ObjectKey; object: RuntimeRecord | undefined }>
  | Readonly<{ kind: 'Pod'; key: ObjectKey; object: PodRecord | undefined }>
  /** A Run as a write of ours was answered. */
  | Readonly<{ kind: 'Observed'; object: RunRecord }>
  | Readonly<{ kind: 'Session'; event: SessionEvent }>;

/** The cache: a view for readers, and the writer. */
export type WorldStore = Readonly<{
  world: World;
  /** Takes one input; undefined when it is no news. */
  put: (input: WorldInput) => WorldChange | undefined;
  /**
   * Everything that is known, as changes from nothing: assigned Runs first, so that what they hold is known before
   * anything is placed, then those that wait, each oldest first, then those that have ended.
   */
  snapshot: () => Iterable<WorldChange>;
}>;

type Versioned = Readonly<{ uid: string; resourceVersion: string }>;

const isNews = (known: Versioned | undefined, object: Versioned): boolean =>
  known === undefined ||
  known.uid !== object.uid ||
  Number(object.resourceVersion) > Number(known.resourceVersion);

const assignedTo = (run: RunRecord | undefined): PodUid | undefined =>
  run && (run.status.phase === 'Scheduled' || run.status.phase === 'Running')
    ? (run.status.assignedPodUID as PodUid | undefined)
    : undefined;

const partition = <A>(all: ReadonlyArray<A>, is: (one: A) => boolean): readonly [A[], A[]] => {
  const parts: readonly [A[], A[]] = [[], []];
  for (const one of all) parts[is(one) ? 0 : 1].push(one);
  return parts;
};

/** A multimap that forgets empty keys. */
const index = <K, V>() => {
  const sets = new Map<K, Set<V>>();
  return {
    of: (key: K): Iterable<V> => sets.get(key) ?? [],
    move: (value: V, from: K | undefined, to: K | undefined): void => {
      if (from === to) return;
      if (from !== undefined) {
        const set = sets.get(from);
        set?.delete(value);
        if (set?.size === 0) sets.delete(from);
      }
      if (to !== undefined) sets.set(to, (sets.get(to) ?? new Set()).add(value));
    },
  };
};

/** A count of each key that forgets keys at 0. */
const tally = <K>() => {
  const counts = new Map<K, number>();
  return {
    counts,
    add: (key: K, by: number): void => {
      const count = (counts.get(key) ?? 0) + by;
      if (count === 0) counts.delete(key);
      else counts.set(key, count);
    },
  };
};

const NO_LOAD: PodLoad = { runs: 0, amounts: {} };

/** Runs and their amounts, summed by pod. */
const loads = () => {
  const sums = new Map<PodUid, { runs: number; readonly amounts: Record<string, number> }>();
  return {
    of: (uid: PodUid): PodLoad => sums.get(uid) ?? NO_LOAD,
    add: (run: RunRecord | undefined, sign: 1 | -1): void => {
      const uid = assignedTo(run);
      if (run === undefined || uid === undefined) return;
      const sum = sums.get(uid) ?? { runs: 0, amounts: {} };
      sum.runs += sign;
      for (const [resource, amount] of Object.entries(run.requests))
        sum.amounts[resource] = (sum.amounts[resource] ?? 0) + sign * amount;
      if (sum.runs === 0) sums.delete(uid);
      else sums.set(uid, sum);
    },
  };
};

/** An empty cache. */
export const worldStore = (): WorldStore => {
  const runs = new Map<ObjectKey, RunRecord>();
  const runtimes = new Map<ObjectKey, RuntimeRecord>();
  const pods = new Map<ObjectKey, PodRecord>();
  const sessions = new Map<PodUid, Session>();
  const podKeys = new Map<PodUid, ObjectKey>();
  const podsByRuntime = index<ObjectKey, ObjectKey>();
  const runsByPod = index<PodUid, ObjectKey>();
  const load = loads();
  const phases = tally<Phase>();

  const present = <V>(keys: Iterable<ObjectKey>, from: ReadonlyMap<ObjectKey, V>): ReadonlyArray<V> =>
    [...keys].flatMap((key) => from.get(key) ?? []);

  const world: World = {
    runs,
    runtimes,
    pods,
    sessions,
    podByUid: (uid) => {
      const key = podKeys.get(uid);
      return key === undefined ? undefined : pods.get(key);
    },
    podsOf: (runtime) => present(podsByRuntime.of(runtime), pods),
    runsOn: (uid) => present(runsByPod.of(uid), runs),
    loadOf: load.of,
    phases: phases.counts,
  };

  /** Puts or removes; returns what was there, or 'stale' when the object is no news. */
  const swap = <V extends Versioned>(
    map: Map<ObjectKey, V>,
    key: ObjectKey,
    object: V | undefined,
  ): V | undefined | 'stale' => {
    const before = map.get(key);
    if (object === undefined) {
      map.delete(key);
      return before ?? 'stale';
    }
    if (!isNews(before, object)) return 'stale';
    map.set(key, object);
    return before;
  };

  const putRun = (key: ObjectKey, after: RunRecord | undefined): WorldChange | undefined => {
    const before = swap(runs, key, after);
    if (before === 'stale') return undefined;
    runsByPod.move(key, assignedTo(before), assignedTo(after));
    load.add(before, -1);
    load.add(after, 1);
    if (before) phases.add(phaseOf(before.status), -1);
    if (after) phases.add(phaseOf(after.status), 1);
    return { kind: 'Run', key, before, after };
  };

  const putPod = (key: ObjectKey, after: PodRecord | undefined): WorldChange | undefined => {
    const before = swap(pods, key, after);
    if (before === 'stale') return undefined;
    podsByRuntime.move(key, before?.runtime, after?.runtime);
    if (before && before.uid !== after?.uid) podKeys.delete(before.uid);
    if (after) podKeys.set(after.uid, key);
    return { kind: 'Pod', key, before, after };
  };

  const putSession = (event: SessionEvent): WorldChange | undefined => {
    if (event.kind === 'Opened') {
      const { session } = event;
      const before = sessions.get(session.podUid);
      sessions.set(session.podUid, session);
      return { kind: 'Session', key: session.podUid, before, after: session };
    }
    const before = sessions.get(event.podUid);
    if (before === undefined || event.kind === 'KeptLogs') return undefined;
    if (event.kind === 'Closed') {
      sessions.delete(event.podUid);
      return { kind: 'Session', key: event.podUid, before, after: undefined };
    }
    if (event.kind === 'Changed') {
      const { healthy, healthMessage, draining } = event;
      // Most beats say nothing new.
      if (
        before.healthy === healthy &&
        before.healthMessage === healthMessage &&
        before.draining === draining
      )
        return undefined;
      const after = { ...before, healthy, healthMessage, draining };
      sessions.set(event.podUid, after);
      return { kind: 'Session', key: event.podUid, before, after };
    }
    const namespace = namespaceOfKey(before.podKey);
    if (event.kind === 'ArtifactsRemoved') return { ...event, namespace };
    const { runName, runUid, attempt } = event.attempt;
    const { reason, message, podUid } = event;
    return { kind: 'Refused', key: objectKey(namespace, runName), runUid, podUid, attempt, reason, message };
  };

  const snapshot = function* (): Generator<WorldChange> {
    for (const [key, after] of runtimes) yield { kind: 'Runtime', key, before: undefined, after };
    for (const [key, after] of pods) yield { kind: 'Pod', key, before: undefined, after };
    for (const [key, after] of sessions) yield { kind: 'Session', key, before: undefined, after };
    // Only those are put in order that are to be decided about: the others are many.
    const [ended, going] = partition([...runs.values()], ({ status }) => isTerminal(status.phase));
    going.sort(
      (a, b) =>
        Number(assignedTo(a) === undefined) - Number(assignedTo(b) === undefined) ||
        a.createdAt - b.createdAt ||
        Number(a.resourceVersion) - Number(b.resourceVersion),
    );
    for (const after of going) yield { kind: 'Run', key: after.key, before: undefined, after };
    for (const after of ended) yield { kind: 'Run', key: after.key, before: undefined, after };
  };

  return {
    world,
    put: (input) => {
      switch (input.kind) {
        case 'Run':
          return putRun(input.key, input.object);
        case 'Observed':
          return runs.get(input.object.key)?.uid === input.object.uid
            ? putRun(input.object.key, input.object)
            : undefined;
        case 'Runtime': {
          const before = swap(runtimes, input.key, input.object);
          return before === 'stale'
            ? undefined
            : { kind: 'Runtime', key: input.key, before, after: input.object };
        }
        case 'Pod':
          return putPod(input.key, input.object);
        case 'Session':
          return putSession(input.event);
        default:
          return input satisfies never;
      }
    },
    snapshot,
  };
};
