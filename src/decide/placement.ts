/**
 * Placement: which waiting Run goes to which pod, now?
 *
 * An index kept up to date by events, never rebuilt: per Runtime one queue of waiting Runs per shape (what they
 * request), oldest first, and its pods by free `runs`. Placing one Run costs O(log n) in Runs and pods, and one step per
 * shape that waits; a shape that asks for more than `runs` also walks the pods that have the runs.
 *
 * Guarantees (test/decide/placement.test.ts):
 * - no pod is given more than its capacity, in any resource;
 * - a Run is placed at most once until the API confirms or denies it (it is *assumed* meanwhile);
 * - oldest first: a waiting Run holds back every younger one that asks for a resource it is short of, so a large
 *   request is never starved by small ones, while Runs that need other resources pass;
 * - a Run that no pod could ever hold is set aside and holds back nobody.
 *
 * Mutable, owned by one fold (streams/pipelines/schedule.ts).
 */
import type { ObjectKey, PodUid } from '../model/ids.js';
import { type Amounts, isTerminal } from '../model/run.js';
import type { RunRecord } from '../model/run-record.js';
import { type Micros, micros } from '../model/time.js';
import { isDue, phaseOf, type WaitReason } from './lifecycle.js';
import { type OrderedMap, orderedMap } from './ordered-map.js';

/** A pod as placement sees it; undefined capacity fields count as 0. */
export type Slot = Readonly<{
  uid: PodUid;
  name: string;
  runtime: ObjectKey;
  capacity: Amounts;
  /** It has a healthy session, is not cordoned, draining or terminating. */
  schedulable: boolean;
  /** It has just refused an assignment: nothing is placed on it for now, whatever we think that it holds. */
  isFull?: boolean;
}>;

/** One Run to be assigned. */
export type Placement = Readonly<{ run: RunRecord; pod: Slot }>;

/** Why a Run waits, with numbers. */
export type Wait = Readonly<{ run: RunRecord; reason: WaitReason; message: string }>;

/** Creation time, then order of first sight: creationTimestamp has whole seconds only. */
type Order = Readonly<{ createdAt: Micros; seen: number }>;
type Queue = OrderedMap<Order, Waiting>;
type Shape = { readonly key: string; readonly requests: Amounts; readonly queue: Queue };
type Waiting = { readonly order: Order; readonly shape: Shape; run: RunRecord };
type Pod = { slot: Slot; readonly used: Usage; rank: PodRank | undefined };
type Usage = Map<string, number>;
type PodRank = Readonly<{ free: number; tie: number }>;
type Pool = {
  exists: boolean;
  readonly shapes: Map<string, Shape>;
  readonly pods: Set<Pod>;
  /** The different capacities of its pods, and how many pods have each: few, however many pods there are. */
  readonly capacities: Map<string, { readonly amounts: Amounts; count: number }>;
  /** Schedulable pods, most free first; among equals the one touched longest ago. */
  readonly ranks: OrderedMap<PodRank, Pod>;
};
type Hold = {
  readonly pod: PodUid;
  readonly requests: Amounts;
  readonly assumedFrom: RunRecord | undefined;
  confirmed: boolean;
};

/** The index. All methods are total; unknown keys are no error. */
export type PlacementIndex = Readonly<{
  /** The Run as the cache now has it; undefined when it is gone. */
  setRun: (key: ObjectKey, run: RunRecord | undefined, nowMs: number) => void;
  setPod: (uid: PodUid, slot: Slot | undefined) => void;
  setRuntime: (key: ObjectKey, exists: boolean) => void;
  /** The assignment of this Run was written. */
  confirm: (key: ObjectKey) => void;
  /** The assignment could not be written though the Run is as it was: out of the queue until the next `setRun`. */
  park: (key: ObjectKey) => void;
  /** The assignment of this Run was refused or failed: it waits again as `current`, unless that has moved on. */
  release: (key: ObjectKey, current: RunRecord | undefined, nowMs: number) => void;
  /** Places what fits, oldest first, over every Runtime touched since the last call. */
  place: () => ReadonlyArray<Placement>;
  /** Whether the Run is in the queue. */
  isWaiting: (key: ObjectKey) => boolean;
  /**
   * Why these Runs wait, youngest first; Runs that do not wait are left out. The youngest wait longest, and writes about
   * the oldest would only be in the way of their placement. Costs a walk from the youngest to the oldest that is asked for:
   * where those are asked for that have just come, however many waited before.
   */
  explain: (keys: Iterable<ObjectKey>) => ReadonlyArray<Wait>;
  /** Why Runs of this Runtime wait in general. */
  poolReason: (runtime: ObjectKey) => WaitReason;
  /** Differs when the reason of a Run that waits for the Runtime may have turned. */
  poolState: (runtime: ObjectKey) => string;
  /** Whether any Run waits for the Runtime. */
  hasWaiting: (runtime: ObjectKey) => boolean;
  /** Keys of all Runs waiting for the Runtime. */
  waitingOf: (runtime: ObjectKey) => Iterable<ObjectKey>;
  /** Amounts in use on a pod, assumed ones included. */
  usedOf: (pod: PodUid) => Amounts;
}>;

const byAge = (a: Order, b: Order): number => a.createdAt - b.createdAt || a.seen - b.seen;

const shapeKey = (requests: Amounts): string =>
  Object.keys(requests)
    .sort()
    .map((name) => `${name}=${requests[name] ?? 0}`)
    .join(',');

const free = (pod: Pod, resource: string): number =>
  pod.slot.isFull === true ? 0 : (pod.slot.capacity[resource] ?? 0) - (pod.used.get(resource) ?? 0);

const fits = (pod: Pod, requests: Amounts): boolean =>
  Object.entries(requests).every(([resource, amount]) => free(pod, resource) >= amount);

const couldHold = (capacity: Amounts, requests: Amounts): boolean =>
  Object.entries(requests).every(([resource, amount]) => (capacity[resource] ?? 0) >= amount);

const join = (pool: Pool, pod: Pod): void => {
  pool.pods.add(pod);
  const key = shapeKey(pod.slot.capacity);
  const known = pool.capacities.get(key) ?? { amounts: pod.slot.capacity, count: 0 };
  known.count += 1;
  pool.capacities.set(key, known);
};

const leave = (pool: Pool, pod: Pod): void => {
  pool.pods.delete(pod);
  const key = shapeKey(pod.slot.capacity);
  const known = pool.capacities.get(key);
  if (known) known.count -= 1;
  if (known?.count === 0) pool.capacities.delete(key);
};

const isUnsatisfiable = (pool: Pool, requests: Amounts): boolean => {
  if (pool.pods.size === 0) return false;
  for (const { amounts } of pool.capacities.values()) if (couldHold(amounts, requests)) return false;
  return true;
};

const isAnywhereFree = (pool: Pool, resource: string, amount: number): boolean => {
  for (const pod of pool.ranks.values()) if (free(pod, resource) >= amount) return true;
  return false;
};

/** All that wait in the pool, over its shapes. */
const youngestFirst = function* ({ shapes }: Pool): Generator<Waiting> {
  const walks = [...shapes.values()].map(({ queue }) => queue.entriesReversed());
  const heads = walks.map((walk) => walk.next());
  for (;;) {
    let youngest: number | undefined;
    heads.forEach((head, index) => {
      if (head.done) return;
      const best = youngest === undefined ? undefined : heads[youngest];
      if (best === undefined || best.done || byAge(head.value[0], best.value[0]) > 0) youngest = index;
    });
    const head = youngest === undefined ? undefined : heads[youngest];
    const walk = youngest === undefined ? undefined : walks[youngest];
    if (youngest === undefined || walk === undefined || head === undefined || head.done) return;
    yield head.value[1];
    heads[youngest] = walk.next();
  }
};

/** Whether the Run may be placed as it stands. A time of retry that has not come keeps it out. */
const isPlaceable = (run: RunRecord, nowMs: number): boolean =>
  phaseOf(run.status) === 'Pending' &&
  !run.cancelRequested &&
  !run.deleting &&
  isDue(run.status, micros(nowMs * 1000));

/** An empty index. */
export const placementIndex = (): PlacementIndex => {
  const pools = new Map<ObjectKey, Pool>();
  const pods = new Map<PodUid, Pod>();
  const waiting = new Map<ObjectKey, Waiting>();
  const holds = new Map<ObjectKey, Hold>();
  /** By pod, also of pods not seen yet: the pods' informer may be behind the Runs'. */
  const usage = new Map<PodUid, Usage>();
  const seenOrder = new Map<ObjectKey, number>();
  const touched = new Set<ObjectKey>();
  let seen = 0;
  let ties = 0;

  const poolOf = (runtime: ObjectKey): Pool => {
    const known = pools.get(runtime);
    if (known) return known;
    const pool: Pool = {
      exists: false,
      shapes: new Map(),
      pods: new Set(),
      capacities: new Map(),
      ranks: orderedMap<PodRank, Pod>((a, b) => b.free - a.free || a.tie - b.tie),
    };
    pools.set(runtime, pool);
    return pool;
  };

  const forgetEmptyPool = (runtime: ObjectKey): void => {
    const pool = pools.get(runtime);
    if (pool && !pool.exists && pool.pods.size === 0 && pool.shapes.size === 0) pools.delete(runtime);
  };

  const rank = (pod: Pod): void => {
    const { ranks } = poolOf(pod.slot.runtime);
    if (pod.rank) ranks.delete(pod.rank);
    pod.rank = undefined;
    if (!pod.slot.schedulable) return;
    ties += 1;
    pod.rank = { free: free(pod, 'runs'), tie: ties };
    ranks.set(pod.rank, pod);
  };

  const usageOf = (podUid: PodUid): Usage => {
    const known = usage.get(podUid) ?? new Map<string, number>();
    usage.set(podUid, known);
    return known;
  };

  const use = (podUid: PodUid, requests: Amounts, sign: 1 | -1): void => {
    const used = usageOf(podUid);
    for (const [resource, amount] of Object.entries(requests)) {
      const left = (used.get(resource) ?? 0) + sign * amount;
      if (left === 0) used.delete(resource);
      else used.set(resource, left);
    }
    const pod = pods.get(podUid);
    if (pod === undefined) {
      if (used.size === 0) usage.delete(podUid);
      return;
    }
    rank(pod);
    touched.add(pod.slot.runtime);
  };

  const dropHold = (key: ObjectKey): void => {
    const hold = holds.get(key);
    if (!hold) return;
    holds.delete(key);
    use(hold.pod, hold.requests, -1);
  };

  const setHold = (key: ObjectKey, hold: Hold): void => {
    dropHold(key);
    holds.set(key, hold);
    use(hold.pod, hold.requests, 1);
  };

  const dequeue = (key: ObjectKey): void => {
    const entry = waiting.get(key);
    if (!entry) return;
    waiting.delete(key);
    entry.shape.queue.delete(entry.order);
    if (entry.shape.queue.size === 0) poolOf(entry.run.runtime).shapes.delete(entry.shape.key);
    touched.add(entry.run.runtime);
    forgetEmptyPool(entry.run.runtime);
  };

  const enqueue = (run: RunRecord): void => {
    const known = waiting.get(run.key);
    if (known && known.run.uid === run.uid) {
      known.run = run;
      return;
    }
    // Deleted and made anew between two looks: another Run, of another age.
    dequeue(run.key);
    const { shapes } = poolOf(run.runtime);
    const key = shapeKey(run.requests);
    const shape = shapes.get(key) ?? {
      key,
      requests: run.requests,
      queue: orderedMap<Order, Waiting>(byAge),
    };
    shapes.set(key, shape);
    const order = { createdAt: run.createdAt, seen: seenOrder.get(run.key) ?? seen };
    const entry: Waiting = { order, shape, run };
    waiting.set(run.key, entry);
    shape.queue.set(order, entry);
    touched.add(run.runtime);
  };

  const forget = (key: ObjectKey): void => {
    dequeue(key);
    dropHold(key);
    seenOrder.delete(key);
  };

  const setRun: PlacementIndex['setRun'] = (key, run, nowMs) => {
    if (run === undefined || isTerminal(run.status.phase)) return forget(key);
    if (!seenOrder.has(key)) {
      seen += 1;
      seenOrder.set(key, seen);
    }
    const phase = phaseOf(run.status);
    if (phase !== 'Pending') {
      dequeue(key);
      const pod = run.status.assignedPodUID as PodUid | undefined;
      const hold = holds.get(key);
      if (pod === undefined) return dropHold(key);
      if (hold && hold.pod === pod && hold.assumedFrom === undefined) return;
      setHold(key, { pod, requests: run.requests, assumedFrom: undefined, confirmed: true });
      return;
    }
    const hold = holds.get(key);
    if (hold?.assumedFrom && (!hold.confirmed || hold.assumedFrom.resourceVersion === run.resourceVersion))
      return;
    dropHold(key);
    if (isPlaceable(run, nowMs)) enqueue(run);
    else dequeue(key);
  };

  const setPod: PlacementIndex['setPod'] = (uid, slot) => {
    const known = pods.get(uid);
    if (known) {
      touched.add(known.slot.runtime);
      const pool = poolOf(known.slot.runtime);
      if (known.rank) pool.ranks.delete(known.rank);
      known.rank = undefined;
      leave(pool, known);
      if (slot === undefined) {
        pods.delete(uid);
        if (known.used.size === 0) usage.delete(uid);
        forgetEmptyPool(known.slot.runtime);
        return;
      }
      known.slot = slot;
      join(poolOf(slot.runtime), known);
      rank(known);
      touched.add(slot.runtime);
      return;
    }
    if (slot === undefined) return;
    const pod: Pod = { slot, used: usageOf(uid), rank: undefined };
    pods.set(uid, pod);
    join(poolOf(slot.runtime), pod);
    rank(pod);
    touched.add(slot.runtime);
  };

  /** The pod for this shape, or the resources that are short. */
  const choose = (pool: Pool, requests: Amounts): Pod | ReadonlyArray<string> => {
    const wanted = requests.runs ?? 0;
    for (const [podRank, pod] of pool.ranks.entries()) {
      if (podRank.free < wanted) break;
      if (fits(pod, requests)) return pod;
    }
    const asked = Object.entries(requests).filter(([, amount]) => amount > 0);
    if (asked.length === 1) return asked.map(([resource]) => resource);
    const short = asked.filter(([resource, amount]) => !isAnywhereFree(pool, resource, amount));
    return (short.length > 0 ? short : asked).map(([resource]) => resource);
  };

  const placeIn = (pool: Pool, placements: Placement[]): void => {
    if (!pool.exists || pool.ranks.size === 0) return;
    const blocked = new Set<string>();
    const open = new Set([...pool.shapes.values()].filter((shape) => !isUnsatisfiable(pool, shape.requests)));
    while (open.size > 0) {
      let oldest: Shape | undefined;
      let oldestOrder: Order | undefined;
      for (const shape of open) {
        const order = shape.queue.minKey();
        if (order === undefined || Object.entries(shape.requests).some(([r, n]) => n > 0 && blocked.has(r)))
          open.delete(shape);
        else if (oldestOrder === undefined || byAge(order, oldestOrder) < 0)
          [oldest, oldestOrder] = [shape, order];
      }
      const entry = oldestOrder && oldest?.queue.get(oldestOrder);
      if (!oldest || !entry) return;
      const choice = choose(pool, oldest.requests);
      if ('slot' in choice) {
        dequeue(entry.run.key);
        setHold(entry.run.key, {
          pod: choice.slot.uid,
          requests: entry.run.requests,
          assumedFrom: entry.run,
          confirmed: false,
        });
        placements.push({ run: entry.run, pod: choice.slot });
      } else for (const resource of choice) blocked.add(resource);
    }
  };

  const poolReason: PlacementIndex['poolReason'] = (runtime) => {
    const pool = pools.get(runtime);
    if (!pool?.exists) return 'NoRuntime';
    return pool.ranks.size === 0 ? 'NoReadyPods' : 'AtCapacity';
  };

  const runsOf = (pool: Pool): Readonly<{ used: number; total: number }> => {
    let [used, total] = [0, 0];
    for (const pod of pool.ranks.values()) {
      used += pod.used.get('runs') ?? 0;
      total += pod.slot.capacity.runs ?? 0;
    }
    return { used, total };
  };

  const waitOf = (
    run: RunRecord,
    pool: Pool,
    { used, total }: ReturnType<typeof runsOf>,
    ahead: number,
  ): Wait => {
    const name = run.runtime.slice(run.runtime.indexOf('/') + 1);
    const reason = poolReason(run.runtime);
    if (reason === 'NoRuntime')
      return {
        run,
        reason,
        message: `there is no Runtime ${name} in namespace ${run.namespace}; the Run starts when one exists`,
      };
    if (isUnsatisfiable(pool, run.requests))
      return {
        run,
        reason: 'Unsatisfiable',
        message: `the Run asks for ${shapeKey(run.requests)}, more than any pod of Runtime ${name} has`,
      };
    if (reason === 'NoReadyPods')
      return {
        run,
        reason,
        message: `0 of ${pool.pods.size} pods of Runtime ${name} are ready to take Runs, ${ahead} ahead`,
      };
    return { run, reason, message: `${used}/${total} runs busy, ${ahead} ahead` };
  };

  return {
    setRun,
    setPod,
    setRuntime: (key, exists) => {
      poolOf(key).exists = exists;
      touched.add(key);
      forgetEmptyPool(key);
    },
    confirm: (key) => {
      const hold = holds.get(key);
      if (hold?.assumedFrom) hold.confirmed = true;
    },
    park: (key) => {
      dequeue(key);
      dropHold(key);
    },
    release: (key, current, nowMs) => {
      if (holds.get(key)?.assumedFrom) dropHold(key);
      setRun(key, current, nowMs);
    },
    place: () => {
      const placements: Placement[] = [];
      for (const runtime of touched) {
        const pool = pools.get(runtime);
        if (pool) placeIn(pool, placements);
      }
      touched.clear();
      return placements;
    },
    isWaiting: (key) => waiting.has(key),
    explain: (keys) => {
      const byRuntime = new Map<ObjectKey, Set<Waiting>>();
      for (const key of keys) {
        const entry = waiting.get(key);
        if (!entry) continue;
        const set = byRuntime.get(entry.run.runtime) ?? new Set();
        byRuntime.set(entry.run.runtime, set.add(entry));
      }
      const waits: Wait[] = [];
      for (const [runtime, wanted] of byRuntime) {
        const pool = poolOf(runtime);
        const busy = runsOf(pool);
        let ahead = 0;
        for (const { queue } of pool.shapes.values()) ahead += queue.size;
        for (const entry of youngestFirst(pool)) {
          ahead -= 1;
          if (!wanted.delete(entry)) continue;
          waits.push(waitOf(entry.run, pool, busy, ahead));
          if (wanted.size === 0) break;
        }
      }
      return waits;
    },
    poolReason,
    poolState: (runtime) =>
      [poolReason(runtime), ...(pools.get(runtime)?.capacities.keys() ?? [])].sort().join(' '),
    hasWaiting: (runtime) => (pools.get(runtime)?.shapes.size ?? 0) > 0,
    waitingOf: (runtime) =>
      [...(pools.get(runtime)?.shapes.values() ?? [])].flatMap((shape) =>
        [...shape.queue.values()].map(({ run }) => run.key),
      ),
    usedOf: (pod) => Object.fromEntries(pods.get(pod)?.used ?? []),
  };
};
