/**
 * Pods: what must happen so that a Runtime has the pods it wants?
 *
 * Looks at one Runtime (`plan-pods.ts`) when it changes, after its pods or their sessions have changed, and at the times
 * the plan names. A look is at all pods of the Runtime, so changes of pods only set its time, to now: those that come
 * together make one look. A pod that ended as a whole is deleted and replaced, with backoff when that repeats, and so is one
 * that somebody else deletes or cordons before it could serve: a second operator would otherwise make and delete pods with this one
 * as fast as the API answers. Nothing is asked for twice while the first answer is not to be seen yet, nor of another pod in its stead.
 */
import type { Command } from '../model/command.js';
import { type ObjectKey, objectKey, type PodUid } from '../model/ids.js';
import type { News } from '../model/news.js';
import type { Outcome } from '../model/outcome.js';
import type { PodRecord } from '../model/pod.js';
import type { RuntimeRecord } from '../model/runtime-record.js';
import { type Micros, micros, toMillis } from '../model/time.js';
import type { World, WorldChange } from '../model/world.js';
import { asked } from './asked.js';
import { deadlines } from './deadlines.js';
import { accountOf } from './grants.js';
import { planPods } from './plan-pods.js';
import { isServing } from './serving.js';
import { earliest, type TimedMachine } from './timed-machine.js';

type Backoff = Readonly<{ firstMs: number; longestMs: number }>;
/** A pod that ended as a whole is replaced at once, then as a crashing container is restarted by the kubelet. */
const REPLACE: Backoff = { firstMs: 10_000, longestMs: 300_000 };
/** A pod that is deleted or cordoned by somebody else so soon after its creation, not having been ready, was not let be. */
const YOUNG_MS = 10_000;
/** A creation that is refused (quota, a ServiceAccount that is not there yet) is cheap to ask for again. */
const CREATE: Backoff = { firstMs: 500, longestMs: 30_000 };
/** A cordon or deletion that is refused is asked for again after this, milliseconds. */
export const REFUSED_MS = 5000;
/** A pod that was created and is not seen within this was gone before it could be: another takes its place. */
export const UNSEEN_MS = 30_000;

/** What the machine needs besides the world. */
export type PodsOptions = Readonly<{
  revisionOf: (runtime: RuntimeRecord) => string;
  /** Uniform in [0, 1), for the names of pods. */
  random: () => number;
}>;

const SUFFIX = 'bcdfghjklmnpqrstvwxz2456789';
const podName = (runtime: string, random: () => number): string =>
  `${runtime.slice(0, 57).replace(/[.-]+$/, '')}-${Array.from({ length: 5 }, () => SUFFIX[Math.floor(random() * SUFFIX.length)]).join('')}`;

type Replacing = { failures: number; fromMs: number };

/** The machine behind `streams/pipelines/pods.ts`. */
export const pods = (world: World, { revisionOf, random }: PodsOptions): TimedMachine<News, Command> => {
  const again = deadlines<ObjectKey>();
  /** Pods created and not yet seen, by Runtime. */
  const expected = new Map<ObjectKey, Set<ObjectKey>>();
  /** When those that the API has acknowledged should have been seen; whose they are. */
  const unseen = deadlines<ObjectKey>();
  const runtimeOf = new Map<ObjectKey, ObjectKey>();
  const writes = asked();
  const replacing = new Map<ObjectKey, Replacing>();
  /** Runtimes of which a pod was not let be, since the last look. */
  const disturbed = new Set<ObjectKey>();
  /** Pods whose cordon is of a time to come, and when that was seen. */
  const cordonedAhead = new Map<PodUid, Micros>();
  /** `namespace/account` of ServiceAccounts that have runtimed's permissions. */
  const granted = new Set<string>();

  const failed = (key: ObjectKey, { firstMs, longestMs }: Backoff, nowMs: number): void => {
    const { failures } = replacing.get(key) ?? { failures: 0 };
    const waitMs = failures === 0 ? 0 : Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 20));
    replacing.set(key, { failures: failures + 1, fromMs: nowMs + waitMs });
  };

  const isGranted = ({ namespace, spec }: RuntimeRecord): boolean =>
    granted.has(`${namespace}/${accountOf(spec.template)}`);

  const onGrant = (
    { namespace, accounts }: Extract<Command, { kind: 'EnsureGrant' }>,
    nowMs: number,
  ): ReadonlyArray<Command> => {
    for (const name of granted) if (name.startsWith(`${namespace}/`)) granted.delete(name);
    for (const account of accounts) granted.add(`${namespace}/${account}`);
    return [...world.runtimes.values()]
      .filter((runtime) => runtime.namespace === namespace)
      .flatMap(({ key }) => look(key, nowMs));
  };

  const forgetExpected = (pod: ObjectKey): void => {
    const runtime = runtimeOf.get(pod);
    if (runtime === undefined) return;
    runtimeOf.delete(pod);
    unseen.remove(pod);
    const keys = expected.get(runtime);
    keys?.delete(pod);
    if (keys?.size === 0) expected.delete(runtime);
  };

  /** Never later than when it was seen: such a time was written by a clock that has been set back, or by another's. */
  const cordonedSince = (pod: PodRecord, now: Micros): Micros | undefined => {
    if (pod.cordonedSince === undefined) return writes.of(pod, 'CordonPod') === undefined ? undefined : now;
    if (pod.cordonedSince <= now) return pod.cordonedSince;
    const seen = cordonedAhead.get(pod.uid) ?? now;
    cordonedAhead.set(pod.uid, seen);
    return seen;
  };

  /** The pod with what we have asked for as if it were done, so that no other is chosen in its stead meanwhile. */
  const foreseen = (pod: PodRecord, nowMs: number): PodRecord => ({
    ...pod,
    terminating: pod.terminating || writes.of(pod, 'DeletePod') !== undefined,
    cordonedSince: cordonedSince(pod, micros(nowMs * 1000)),
  });

  /** Somebody else has deleted or cordoned a pod as it is wanted, before it could serve. */
  const isTakenAway = (before: PodRecord, after: PodRecord | undefined, nowMs: number): boolean => {
    if (after?.uid === before.uid && !after.terminating && after.cordonedSince === undefined) return false;
    if (before.terminating || before.finished || before.ready || before.cordonedSince !== undefined)
      return false;
    if (writes.of(before, 'DeletePod') !== undefined || writes.of(before, 'CordonPod') !== undefined)
      return false;
    const runtime = world.runtimes.get(before.runtime);
    return (
      runtime !== undefined &&
      runtime.uid === before.ownerUid &&
      before.revision === revisionOf(runtime) &&
      nowMs - toMillis(before.createdAt) < YOUNG_MS
    );
  };

  const look = (key: ObjectKey, nowMs: number): ReadonlyArray<Command> => {
    const runtime = world.runtimes.get(key);
    if (!runtime || runtime.deleting) {
      again.remove(key);
      for (const pod of expected.get(key) ?? []) forgetExpected(pod);
      replacing.delete(key);
      disturbed.delete(key);
      return [];
    }
    const owned = world
      .podsOf(key)
      .filter((pod) => pod.ownerUid === runtime.uid)
      .map((pod) => foreseen(pod, nowMs));
    // Before the plan, so that its replacement waits already. Each is counted once: its deletion is foreseen from then on.
    if (disturbed.delete(key) || owned.some((pod) => pod.finished && !pod.terminating))
      failed(key, REPLACE, nowMs);
    const revision = revisionOf(runtime);
    const plan = planPods(
      {
        runtime,
        revision,
        pods: owned,
        expected: expected.get(key)?.size ?? 0,
        busy: (pod) => world.loadOf(pod.uid).runs,
        isReady: (pod) => isServing(world, pod),
        createFromMs: isGranted(runtime) ? (replacing.get(key)?.fromMs ?? 0) : Infinity,
      },
      nowMs,
    );
    if (plan.againMs === undefined) again.remove(key);
    else again.set(key, plan.againMs);
    const created = Array.from({ length: plan.create }, () => podName(runtime.name, random));
    for (const name of created) {
      const pod = objectKey(runtime.namespace, name);
      expected.set(key, (expected.get(key) ?? new Set()).add(pod));
      runtimeOf.set(pod, key);
    }
    const asking = [
      ...plan.cordon.map(({ pod, reason }) => ({ kind: 'CordonPod', pod, reason }) as const),
      ...plan.remove.map(({ pod, reason }) => ({ kind: 'DeletePod', pod, reason }) as const),
    ];
    for (const command of asking) writes.put(command);
    return [...created.map((name): Command => ({ kind: 'CreatePod', runtime, name, revision })), ...asking];
  };

  /** At the end of this turn, with whatever else has changed until then. */
  const lookSoon = (key: ObjectKey, nowMs: number): ReadonlyArray<Command> => {
    again.set(key, earliest(again.get(key), nowMs) ?? nowMs);
    return [];
  };

  const onChange = (change: WorldChange, nowMs: number): ReadonlyArray<Command> => {
    switch (change.kind) {
      case 'Runtime':
        return look(change.key, nowMs);
      case 'Pod': {
        const pod = change.after ?? change.before;
        if (!pod) return [];
        if (change.before && isTakenAway(change.before, change.after, nowMs))
          disturbed.add(change.before.runtime);
        if (change.before && change.before.uid !== change.after?.uid) {
          writes.forget(change.before.uid);
          cordonedAhead.delete(change.before.uid);
        }
        if (change.after) forgetExpected(change.key);
        return lookSoon(pod.runtime, nowMs);
      }
      case 'Session': {
        const pod = world.podByUid(change.key);
        if (!pod) return [];
        // One that is leaving does not show that the next will be let be.
        if (change.after?.healthy && !pod.terminating && pod.cordonedSince === undefined)
          replacing.delete(pod.runtime);
        return lookSoon(pod.runtime, nowMs);
      }
      case 'Run': {
        // Only a pod that waits to be idle cares for Runs.
        const uid = change.before?.status.assignedPodUID as PodUid | undefined;
        const pod = uid === undefined ? undefined : world.podByUid(uid);
        return pod?.cordonedSince !== undefined ? lookSoon(pod.runtime, nowMs) : [];
      }
      case 'Refused':
      case 'ArtifactsRemoved':
        return [];
      default:
        return change satisfies never;
    }
  };

  const onOutcome = (outcome: Outcome, nowMs: number): ReadonlyArray<Command> => {
    const { command } = outcome;
    switch (command.kind) {
      case 'EnsureGrant':
        return outcome.kind === 'Failed' ? [] : onGrant(command, nowMs);
      case 'CreatePod': {
        const pod = objectKey(command.runtime.namespace, command.name);
        if (outcome.kind === 'Done') {
          if (runtimeOf.has(pod)) unseen.set(pod, nowMs + UNSEEN_MS);
          return [];
        }
        forgetExpected(pod);
        failed(command.runtime.key, CREATE, nowMs);
        return lookSoon(command.runtime.key, nowMs);
      }
      case 'CordonPod':
      case 'DeletePod': {
        const { runtime } = command.pod;
        writes.settle(command, outcome);
        if (outcome.kind === 'Failed')
          again.set(runtime, earliest(again.get(runtime), nowMs + REFUSED_MS) ?? nowMs);
        return [];
      }
      default:
        return [];
    }
  };

  const missed = (nowMs: number): ReadonlyArray<ObjectKey> =>
    unseen.takeDue(nowMs).flatMap((pod) => {
      const runtime = runtimeOf.get(pod);
      forgetExpected(pod);
      return runtime ?? [];
    });

  return {
    apply: (input, nowMs) =>
      input.kind === 'Change' ? onChange(input.change, nowMs) : onOutcome(input.outcome, nowMs),
    dueMs: () => earliest(again.nextMs(), unseen.nextMs()),
    wake: (nowMs) =>
      [...new Set([...again.takeDue(nowMs), ...missed(nowMs)])].flatMap((key) => look(key, nowMs)),
  };
};
