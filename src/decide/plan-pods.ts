/**
 * The pods of one Runtime at one moment: which to create, cordon and remove?
 *
 * - A changed template: new pods come up first (at most a quarter more than wanted, at least one); as each becomes
 *   ready, an old one is cordoned.
 * - Too many: pods that are not ready go first, then idle ones, then the youngest.
 * - A cordoned pod takes no Run; it is deleted once idle, or when its drain limit (the template's
 *   terminationGracePeriodSeconds) is over; deletion itself is graceful.
 *
 * Sorts only where it has to choose: O(pods) otherwise.
 */
import type { PodRecord } from '../model/pod.js';
import type { RuntimeRecord } from '../model/runtime-record.js';
import { micros, plusMillis, toMillis } from '../model/time.js';

/** Share of the wanted pods that a rollout may have beyond them. */
const SURGE = 0.25;
/** Kubernetes' default for terminationGracePeriodSeconds. */
const DEFAULT_GRACE_SECONDS = 30;
/** A cordoned idle pod is left alone this long, so that an assignment just being written is seen first. */
const SETTLE_MS = 500;
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

/** The `count` pods that are missed least. */
const leastWorth = (
  pods: ReadonlyArray<PodRecord>,
  count: number,
  { isReady, busy }: PodsView,
): ReadonlyArray<PodRecord> =>
  count <= 0
    ? []
    : pods
        .map((pod) => ({ pod, ready: Number(isReady(pod)), runs: busy(pod) }))
        .sort(
          (a, b) =>
            a.ready - b.ready ||
            a.runs - b.runs ||
            b.pod.createdAt - a.pod.createdAt ||
            (a.pod.name < b.pod.name ? -1 : 1),
        )
        .slice(0, count)
        .map(({ pod }) => pod);

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
  const retired = new Set(leastWorth(old, old.length - keepOld, view));
  const brokenOld = old.filter((pod) => !isReady(pod) && !retired.has(pod));
  const excess = leastWorth(current, current.length - wanted, view);

  const drainLimitMs =
    (runtime.spec.template.spec.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS) * 1000;
  const settled = (pod: PodRecord): number => toMillis(plusMillis(pod.cordonedSince ?? micros(0), SETTLE_MS));
  const drained = (pod: PodRecord): number =>
    toMillis(plusMillis(pod.cordonedSince ?? micros(0), Math.max(SETTLE_MS, drainLimitMs)));
  const gone = new Set(cordoned.filter((pod) => nowMs >= (busy(pod) === 0 ? settled(pod) : drained(pod))));
  const waits = cordoned
    .filter((pod) => !gone.has(pod))
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
      ...[...gone].map((pod) => ({ pod, reason: 'Drained' })),
    ],
    againMs: waits.length > 0 ? Math.min(...waits) : undefined,
  };
};
