/**
 * Pods: what must happen so that a Runtime has the pods it wants?
 *
 * - A changed template: new pods come up first (at most a quarter more than wanted, at least one); as each becomes
 *   ready, an old one is cordoned.
 * - Too many: pods that are not ready go first, then idle ones, then the youngest.
 * - A cordoned pod takes no Run; it is deleted once idle, or when its drain limit (the template's
 *   terminationGracePeriodSeconds) is over; deletion itself is graceful.
 * - A pod that ended as a whole is deleted and replaced, with backoff when that repeats.
 */
import type { Command } from '../model/command.js';
import type { ObjectKey, PodUid } from '../model/ids.js';
import type { News } from '../model/news.js';
import type { PodRecord } from '../model/pod.js';
import type { RuntimeRecord } from '../model/runtime-record.js';
import { micros, plusMillis, toMillis } from '../model/time.js';
import type { World, WorldChange } from '../model/world.js';
import { deadlines } from './deadlines.js';
import { accountOf } from './grants.js';
import type { TimedMachine } from './timed-machine.js';

/** Share of the wanted pods that a rollout may have beyond them. */
const SURGE = 0.25;
/** Kubernetes' default for terminationGracePeriodSeconds. */
const DEFAULT_GRACE_SECONDS = 30;
/** A cordoned idle pod is left alone this long, so that an assignment just being written is seen first. */
const SETTLE_MS = 500;
type Backoff = Readonly<{ firstMs: number; longestMs: number }>;
/** A pod that ended as a whole is replaced at once, then as a crashing container is restarted by the kubelet. */
const REPLACE: Backoff = { firstMs: 10_000, longestMs: 300_000 };
/** A creation that is refused (quota, a ServiceAccount that is not there yet) is cheap to ask for again. */
const CREATE: Backoff = { firstMs: 500, longestMs: 30_000 };

/** What the decision about one Runtime reads. */
export type PodsView = Readonly<{
  runtime: RuntimeRecord;
  revision: string;
  /** Pods owned by this Runtime. */
  pods: ReadonlyArray<PodRecord>;
  /** Pods created but not in the cache yet. */
  expected: number;
  busy: (pod: PodRecord) => number;
  isReady: (pod: PodRecord) => boolean;
  /** No pod is created before this time; Infinity while its ServiceAccount lacks runtimed's permissions. */
  createFromMs: number;
}>;

/** What to do, and when to look again though nothing changed. */
export type PodsPlan = Readonly<{
  create: number;
  cordon: ReadonlyArray<Readonly<{ pod: PodRecord; reason: string }>>;
  remove: ReadonlyArray<Readonly<{ pod: PodRecord; reason: string }>>;
  againMs: number | undefined;
}>;

const byWorth =
  ({ isReady, busy }: PodsView) =>
  (a: PodRecord, b: PodRecord): number =>
    Number(isReady(a)) - Number(isReady(b)) ||
    busy(a) - busy(b) ||
    b.createdAt - a.createdAt ||
    (a.name < b.name ? -1 : 1);

/** The pure decision for one Runtime at one time. */
export const planPods = (view: PodsView, nowMs: number): PodsPlan => {
  const { runtime, revision, pods, expected, isReady, busy } = view;
  const wanted = runtime.replicas;
  const alive = pods.filter((pod) => !pod.terminating && !pod.finished);
  const current = alive.filter((pod) => pod.cordonedSince === undefined && pod.revision === revision);
  const old = alive.filter((pod) => pod.cordonedSince === undefined && pod.revision !== revision);
  const cordoned = alive.filter((pod) => pod.cordonedSince !== undefined);

  const surge = Math.max(1, Math.ceil(wanted * SURGE));
  const coming = current.length + expected;
  const useful = old.filter(isReady).length;
  const lacking = Math.max(0, Math.min(wanted - coming, wanted + surge - coming - useful));
  const mayCreate = nowMs >= view.createFromMs;

  const keepOld = Math.max(0, wanted - current.filter(isReady).length);
  const retired = [...old].sort(byWorth(view)).slice(0, Math.max(0, old.length - keepOld));
  const brokenOld = old.filter((pod) => !isReady(pod) && !retired.includes(pod));
  const excess = [...current].sort(byWorth(view)).slice(0, Math.max(0, current.length - wanted));

  const drainLimitMs =
    (runtime.spec.template.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000;
  const settled = (pod: PodRecord): number => toMillis(plusMillis(pod.cordonedSince ?? micros(0), SETTLE_MS));
  const drained = (pod: PodRecord): number =>
    toMillis(plusMillis(pod.cordonedSince ?? micros(0), Math.max(SETTLE_MS, drainLimitMs)));
  const gone = cordoned.filter((pod) => nowMs >= (busy(pod) === 0 ? settled(pod) : drained(pod)));
  const waits = cordoned
    .filter((pod) => !gone.includes(pod))
    .map((pod) => (busy(pod) === 0 ? settled(pod) : drained(pod)));
  if (lacking > 0 && !mayCreate && Number.isFinite(view.createFromMs)) waits.push(view.createFromMs);

  return {
    create: mayCreate ? lacking : 0,
    cordon: [
      ...[...retired, ...brokenOld].map((pod) => ({ pod, reason: 'Outdated' })),
      ...excess.map((pod) => ({ pod, reason: 'ScaledDown' })),
    ],
    remove: [
      ...pods.filter((pod) => pod.finished && !pod.terminating).map((pod) => ({ pod, reason: 'Ended' })),
      ...gone.map((pod) => ({ pod, reason: 'Drained' })),
    ],
    againMs: waits.length > 0 ? Math.min(...waits) : undefined,
  };
};

/** What the machine needs besides the world. */
export type PodsOptions = Readonly<{
  revisionOf: (runtime: RuntimeRecord) => string;
  /** Uniform in [0, 1), for the names of pods. */
  random: () => number;
}>;

const SUFFIX = 'bcdfghjklmnpqrstvwxz2456789';
const podName = (runtime: string, random: () => number): string =>
  `${runtime.slice(0, 57)}-${Array.from({ length: 5 }, () => SUFFIX[Math.floor(random() * SUFFIX.length)]).join('')}`;

type Replacing = { failures: number; fromMs: number };

/** The machine behind `streams/pipelines/pods.ts`. */
export const pods = (world: World, { revisionOf, random }: PodsOptions): TimedMachine<News, Command> => {
  const again = deadlines<ObjectKey>();
  /** Names of pods created and not yet seen, by Runtime. */
  const expected = new Map<ObjectKey, Set<string>>();
  const replacing = new Map<ObjectKey, Replacing>();
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

  const look = (key: ObjectKey, nowMs: number): ReadonlyArray<Command> => {
    const runtime = world.runtimes.get(key);
    if (!runtime || runtime.deleting) {
      again.remove(key);
      expected.delete(key);
      replacing.delete(key);
      return [];
    }
    const names = expected.get(key) ?? new Set<string>();
    const owned = world.podsOf(key).filter((pod) => pod.ownerUid === runtime.uid);
    const revision = revisionOf(runtime);
    const plan = planPods(
      {
        runtime,
        revision,
        pods: owned,
        expected: names.size,
        busy: (pod) => world.runsOn(pod.uid).length,
        isReady: (pod) => world.sessions.get(pod.uid)?.healthy ?? false,
        createFromMs: isGranted(runtime) ? (replacing.get(key)?.fromMs ?? 0) : Infinity,
      },
      nowMs,
    );
    if (plan.againMs === undefined) again.remove(key);
    else again.set(key, plan.againMs);
    if (plan.remove.some(({ reason }) => reason === 'Ended')) failed(key, REPLACE, nowMs);
    const created = Array.from({ length: plan.create }, () => podName(runtime.name, random));
    for (const name of created) names.add(name);
    if (names.size > 0) expected.set(key, names);
    return [
      ...created.map((name): Command => ({ kind: 'CreatePod', runtime, name, revision })),
      ...plan.cordon.map(({ pod, reason }): Command => ({ kind: 'CordonPod', pod, reason })),
      ...plan.remove.map(({ pod, reason }): Command => ({ kind: 'DeletePod', pod, reason })),
    ];
  };

  const forgetExpected = (key: ObjectKey, name: string): void => {
    const names = expected.get(key);
    names?.delete(name);
    if (names?.size === 0) expected.delete(key);
  };

  const onChange = (change: WorldChange, nowMs: number): ReadonlyArray<Command> => {
    switch (change.kind) {
      case 'Runtime':
        return look(change.key, nowMs);
      case 'Pod': {
        const pod = change.after ?? change.before;
        if (!pod) return [];
        if (change.after) forgetExpected(pod.runtime, pod.name);
        return look(pod.runtime, nowMs);
      }
      case 'Session': {
        const pod = world.podByUid(change.key);
        if (!pod) return [];
        if (change.after?.healthy) replacing.delete(pod.runtime);
        return look(pod.runtime, nowMs);
      }
      case 'Run': {
        // Only a pod that waits to be idle cares for Runs.
        const uid = change.before?.status.assignedPodUID as PodUid | undefined;
        const pod = uid === undefined ? undefined : world.podByUid(uid);
        return pod?.cordonedSince !== undefined ? look(pod.runtime, nowMs) : [];
      }
      case 'Refused':
        return [];
      default:
        return change satisfies never;
    }
  };

  return {
    apply: (input, nowMs) => {
      if (input.kind === 'Change') return onChange(input.change, nowMs);
      const { outcome } = input;
      if (outcome.command.kind === 'EnsureGrant')
        return outcome.kind === 'Failed' ? [] : onGrant(outcome.command, nowMs);
      if (outcome.command.kind !== 'CreatePod' || outcome.kind === 'Done') return [];
      const { key } = outcome.command.runtime;
      forgetExpected(key, outcome.command.name);
      failed(key, CREATE, nowMs);
      return look(key, nowMs);
    },
    dueMs: again.nextMs,
    wake: (nowMs) => again.takeDue(nowMs).flatMap((key) => look(key, nowMs)),
  };
};
