/**
 * Cleanup: what must happen so that a deleted Run takes its stored artifacts with it?
 *
 * A Run that is being deleted and carries our finalizer has something in the stores its status names. A pod that has
 * such a store is asked, over its session, to remove it; where no pod has it, one is created that does nothing else.
 * When nothing is left the finalizer goes. Nothing is remembered across restarts: removing twice is harmless.
 *
 * A Run that stored nothing but its log has no finalizer and is gone when it is deleted. Its log is removed afterwards by
 * pods that are there. Where there are none because its Runtime was deleted before it, a pod is created for it as well,
 * but given up after a while; where they are to come back, or this process ends before, `log-sweeps.ts` sees to it.
 *
 * One queue per store and namespace: a store that fails is asked by one Run at a time, with a backoff, and every Run
 * that waits for it says so (condition and Event). A Run that is still assigned to a pod waits for its end. In a
 * namespace that is being deleted no pod can be created: there Runs are let go, and what a bucket has of them stays.
 */
import { type RecordedStore, storeName, storePlace } from '../model/artifact-store.js';
import type { Command } from '../model/command.js';
import type { EffectError } from '../model/effect-error.js';
import { namespaceOfKey, type ObjectKey, objectKey, type PodUid, type RunUid } from '../model/ids.js';
import { ABANDON_KEY } from '../model/names.js';
import type { News } from '../model/news.js';
import type { Outcome } from '../model/outcome.js';
import type { PodRecord } from '../model/pod.js';
import { isMarked, type RunRecord } from '../model/run-record.js';
import type { RuntimeRecord } from '../model/runtime-record.js';
import { micros } from '../model/time.js';
import type { World, WorldChange } from '../model/world.js';
import { deadlines } from './deadlines.js';
import { phaseOf } from './lifecycle.js';
import { eventOf } from './notes.js';
import { earliest, type TimedMachine } from './timed-machine.js';

/** Runs of one store that pods are asked for at a time. */
export const WINDOW = 8;
/** A pod that has not answered for so long will not; longer than a store's own tries take. */
export const ANSWER_MS = 120_000;
const FIRST_RETRY_MS = 1000;
/** A finalizer that could not be taken off is tried again after this, milliseconds. */
const REFUSED_MS = 5000;
export const LONGEST_RETRY_MS = 60_000;
/** Sessions come back by themselves, after a rollout or a new operator: so long no pod is created in their stead. */
export const SESSION_GRACE_MS = 5000;
/** A pod of ours that has no session after this is a problem worth telling. */
export const POD_START_MS = 30_000;
/** How long such a pod stays when there is nothing more to do. */
export const IDLE_MS = 30_000;
/** A pod that waits at least so long for its next try is not kept for it. */
const DISMISS_MS = 15_000;
/** A change of a failure's words is told no more often than this. */
const RETELL_MS = 60_000;
/** Logs of Runs that are gone, remembered per store. */
const MOST_LEFTOVERS = 100_000;
/** How long it is tried to remove logs for which a pod has to be created. */
export const ORPHANS_MS = 600_000;
/** Runtimes that were deleted, remembered with their stores. */
const MOST_DEPARTED = 1000;
/** Events of one failure; the condition is on every Run. */
const MOST_EVENTS = 10;
/** Characters of a failure's cause that are told. */
const MOST_CAUSE = 500;

/** Why the Runs of one store wait. */
type Failure = Readonly<{ reason: string; message: string; sinceMs: number }>;

type Place = {
  readonly key: string;
  readonly namespace: string;
  readonly place: string;
  /** Unknown of a pod's store until a Run names it. */
  store: RecordedStore | undefined;
  /** Runs to be asked for, oldest first. */
  readonly queue: Map<RunUid, RunRecord>;
  /** Runs that are gone and may have left a log. */
  readonly leftovers: Map<RunUid, RunRecord>;
  /** Since when some of them are of a Runtime that was deleted, so that no pod comes by itself. */
  orphansMs: number | undefined;
  readonly asked: Map<RunUid, Readonly<{ run: RunRecord; podUid: PodUid; untilMs: number }>>;
  /** Pods with a session that have the store. */
  readonly servers: Set<PodUid>;
  /** The pod that was created for it, from the command on. */
  pod: ObjectKey | undefined;
  /** When its creation was acknowledged, or refused, or it was last seen. */
  podMs: number;
  podTries: number;
  tries: number;
  fromMs: number;
  failure: Failure | undefined;
  told: number;
  lackingMs: number | undefined;
  idleMs: number | undefined;
};

type Cleaning = { readonly uid: RunUid; left: ReadonlyArray<RecordedStore>; explained?: Failure };

export type CleanupOptions = Readonly<{
  /** Uniform in [0, 1), for the names of pods. */
  random: () => number;
  /** The store of a Runtime, as its Runs would record it. */
  storeOf?: (runtime: RuntimeRecord) => RecordedStore | undefined;
}>;

const isDue = (run: RunRecord): boolean => {
  const phase = phaseOf(run.status);
  return run.deleting && isMarked(run) && phase !== 'Scheduled' && phase !== 'Running';
};

const backoffMs = (tries: number): number =>
  Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries - 1, 20));

const placeKey = (namespace: string, place: string): string => `${namespace} ${place}`;

/** Whether the namespace is on its way out, so that nothing can be created in it. */
const isNamespaceGone = ({ kind, message, causes = [] }: EffectError): boolean =>
  kind === 'NotFound' ||
  (kind === 'Forbidden' &&
    [message, ...causes.map((cause) => cause.message)].some((text) => text.includes('being terminated')));

const cut = (text: string): string => (text.length > MOST_CAUSE ? `${text.slice(0, MOST_CAUSE)}…` : text);

/** The machine behind `streams/pipelines/cleanup.ts`. */
export const cleanup = (
  world: World,
  { random, storeOf = () => undefined }: CleanupOptions,
): TimedMachine<News, Command> => {
  const places = new Map<string, Place>();
  const placesOf = new Map<string, Set<Place>>();
  const cleanings = new Map<ObjectKey, Cleaning>();
  /** Stores of Runtimes that were deleted, the one that went first first. */
  const departed = new Map<ObjectKey, RecordedStore>();
  const again = deadlines<string>();
  /** Runs whose finalizer could not be taken off. */
  const stuck = deadlines<ObjectKey>();
  /** Pods whose deletion was asked for. */
  const removing = new Set<PodUid>();

  const placeOf = (namespace: string, place: string): Place => {
    const key = placeKey(namespace, place);
    const known = places.get(key);
    if (known) return known;
    const fresh: Place = {
      key,
      namespace,
      place,
      store: undefined,
      queue: new Map(),
      leftovers: new Map(),
      orphansMs: undefined,
      asked: new Map(),
      servers: new Set(),
      pod: undefined,
      podMs: 0,
      podTries: 0,
      tries: 0,
      fromMs: 0,
      failure: undefined,
      told: 0,
      lackingMs: undefined,
      idleMs: undefined,
    };
    places.set(key, fresh);
    placesOf.set(namespace, (placesOf.get(namespace) ?? new Set()).add(fresh));
    return fresh;
  };

  /** To the end of its queue. */
  const putBack = (place: Place, run: RunRecord): void => {
    if (cleanings.get(run.key)?.uid === run.uid) place.queue.set(run.uid, run);
    else if (place.leftovers.size < MOST_LEFTOVERS) place.leftovers.set(run.uid, run);
  };

  const waiting = ({ queue, leftovers }: Place): number => queue.size + leftovers.size;

  /** A Run that is gone and was not cleaned: its log, if it has one, is in a store of its namespace that pods have. */
  const forsake = (run: RunRecord, nowMs: number): ReadonlyArray<Command> => {
    if (!run.logged || isMarked(run)) return [];
    const store = departed.get(run.runtime);
    const own = store && placeOf(run.namespace, storePlace(store));
    return [...(placesOf.get(run.namespace) ?? [])].flatMap((place) => {
      if (place.servers.size === 0 && place !== own) return [];
      putBack(place, run);
      return turn(place, nowMs);
    });
  };

  const event = (run: RunRecord, reason: string, message: string, nowMs: number): Command =>
    eventOf(run, { type: 'Warning', reason, message }, micros(nowMs * 1000));

  /** Tells a Run that waits why it does, once per failure. */
  const explain = (place: Place, run: RunRecord, nowMs: number): ReadonlyArray<Command> => {
    const { failure } = place;
    const cleaning = cleanings.get(run.key);
    if (!failure || cleaning?.uid !== run.uid || cleaning.explained === failure) return [];
    cleaning.explained = failure;
    place.told += 1;
    const { reason } = failure;
    const message = `${failure.message}; it is tried again. To delete the Run and leave its artifacts there: kubectl annotate run -n ${run.namespace} ${run.name} ${ABANDON_KEY}=true`;
    return [
      { kind: 'ExplainCleanup', run, reason, message },
      ...(place.told <= MOST_EVENTS ? [event(run, reason, message, nowMs)] : []),
    ];
  };

  const fail = (place: Place, reason: string, message: string, nowMs: number): ReadonlyArray<Command> => {
    const { failure } = place;
    if (failure?.reason === reason && (failure.message === message || nowMs - failure.sinceMs < RETELL_MS))
      return [];
    place.failure = { reason, message, sinceMs: nowMs };
    place.told = 0;
    return [...place.queue.values()].flatMap((run) => explain(place, run, nowMs));
  };

  const backOff = (place: Place, nowMs: number): void => {
    // Answers to what was asked before the first failure are no news of the store.
    if (nowMs < place.fromMs) return;
    place.tries += 1;
    place.fromMs = nowMs + backoffMs(place.tries);
  };

  const nameOf = (place: Place): string => (place.store ? storeName(place.store) : place.place);

  /** What is to be done about a pod while no session has the store. */
  const wantPod = (place: Place, nowMs: number): ReadonlyArray<Command> => {
    place.lackingMs ??= nowMs;
    const pod = place.pod === undefined ? undefined : world.pods.get(place.pod);
    if (pod?.finished && !pod.terminating) {
      again.set(place.key, nowMs + SESSION_GRACE_MS);
      if (removing.has(pod.uid)) return [];
      removing.add(pod.uid);
      place.podTries += 1;
      place.podMs = nowMs + backoffMs(place.podTries);
      return [{ kind: 'DeletePod', pod, reason: 'Ended' }];
    }
    if (place.pod !== undefined) {
      const lateMs = Math.max(place.podMs, place.lackingMs) + POD_START_MS;
      if (nowMs < lateMs) {
        again.set(place.key, lateMs);
        return [];
      }
      if (!pod) {
        // Created and never seen: another takes its place.
        place.pod = undefined;
        return wantPod(place, nowMs);
      }
      again.set(place.key, nowMs + POD_START_MS);
      const why = pod.terminating ? 'it is going' : (pod.trouble?.message ?? 'it has not started');
      return fail(
        place,
        'CleanupPodNotReady',
        `pod ${pod.name}, which is to remove the artifacts from ${nameOf(place)}, does not answer: ${cut(why)}`,
        nowMs,
      );
    }
    const fromMs = Math.max(place.lackingMs + SESSION_GRACE_MS, place.podMs);
    if (!place.store) return [];
    if (nowMs < fromMs) {
      again.set(place.key, fromMs);
      return [];
    }
    const suffix = Math.floor(random() * 36 ** 6).toString(36);
    const name = `kruntimes-cleanup-${suffix.padStart(6, '0')}`;
    place.pod = objectKey(place.namespace, name);
    place.podMs = nowMs;
    again.set(place.key, nowMs + POD_START_MS);
    const { namespace, store } = place;
    return [{ kind: 'CreateCleanupPod', key: place.pod, namespace, name, store }];
  };

  const forget = (place: Place): void => {
    places.delete(place.key);
    const others = placesOf.get(place.namespace);
    others?.delete(place);
    if (others?.size === 0) placesOf.delete(place.namespace);
  };

  /** Nothing to do: the pod that was created for it goes after a while. */
  const rest = (place: Place, nowMs: number): ReadonlyArray<Command> => {
    place.failure = undefined;
    place.lackingMs = undefined;
    place.tries = 0;
    place.fromMs = 0;
    const pod = place.pod === undefined ? undefined : world.pods.get(place.pod);
    if (!pod) {
      if (place.servers.size === 0 && place.pod === undefined) forget(place);
      again.remove(place.key);
      return [];
    }
    place.idleMs ??= nowMs;
    if (nowMs < place.idleMs + IDLE_MS) {
      again.set(place.key, place.idleMs + IDLE_MS);
      return [];
    }
    again.remove(place.key);
    if (pod.terminating || removing.has(pod.uid)) return [];
    removing.add(pod.uid);
    return [{ kind: 'DeletePod', pod, reason: 'Idle' }];
  };

  /**
   * A pod of ours that fails for long goes until the next try: a new one mounts what is there by then, a Secret that was
   * mended for one, and meanwhile it would only take up room.
   */
  const dismiss = (place: Place, nowMs: number): ReadonlyArray<Command> => {
    const pod = place.pod === undefined ? undefined : world.pods.get(place.pod);
    const isAlone = pod !== undefined && place.servers.size === 1 && place.servers.has(pod.uid);
    if (!isAlone || place.asked.size > 0 || place.fromMs - nowMs < DISMISS_MS || removing.has(pod.uid))
      return [];
    removing.add(pod.uid);
    return [{ kind: 'DeletePod', pod, reason: 'Failing' }];
  };

  /** The pod that had the Run, as it may still have its log; else each in turn. */
  const serverFor = (place: Place, { namespace, status }: RunRecord): PodUid | undefined => {
    const { assignedPod } = status;
    const own =
      assignedPod === undefined ? undefined : world.pods.get(objectKey(namespace, assignedPod))?.uid;
    if (own !== undefined && place.servers.has(own)) return own;
    const [first] = place.servers;
    if (first === undefined) return undefined;
    place.servers.delete(first);
    place.servers.add(first);
    return first;
  };

  /** Notes whether logs wait for a pod that does not come by itself, and gives up those that have for long. */
  const seeToOrphans = (place: Place, nowMs: number): void => {
    if (place.orphansMs !== undefined && nowMs >= place.orphansMs + ORPHANS_MS) place.leftovers.clear();
    if (place.leftovers.size === 0) {
      if (place.asked.size === 0) place.orphansMs = undefined;
      return;
    }
    if (place.servers.size > 0 || place.orphansMs !== undefined) return;
    for (const { runtime } of place.leftovers.values()) {
      const store = departed.get(runtime);
      if (store === undefined || storePlace(store) !== place.place) continue;
      place.store ??= store;
      place.orphansMs = nowMs;
      return;
    }
  };

  /** Asks for what can be asked for now. */
  const turn = (place: Place, nowMs: number): ReadonlyArray<Command> => {
    const commands: Command[] = [];
    for (const [uid, { run, untilMs }] of place.asked) {
      if (nowMs < untilMs) continue;
      place.asked.delete(uid);
      putBack(place, run);
      backOff(place, nowMs);
      const message = `${nameOf(place)} has not answered for ${ANSWER_MS / 1000} s`;
      commands.push(...fail(place, 'NoAnswer', message, nowMs));
    }
    seeToOrphans(place, nowMs);
    const isIdle = place.queue.size === 0 && place.asked.size === 0;
    const isUnserved = place.servers.size === 0 && place.orphansMs === undefined;
    if (isIdle && (place.leftovers.size === 0 || isUnserved)) return [...commands, ...rest(place, nowMs)];
    place.idleMs = undefined;
    if (place.servers.size === 0) {
      if (nowMs >= place.fromMs) return [...commands, ...wantPod(place, nowMs)];
      again.set(place.key, place.fromMs);
      return commands;
    }
    place.lackingMs = undefined;
    const most = place.tries > 0 ? 1 : WINDOW;
    for (const source of [place.queue, place.leftovers])
      for (const [uid, run] of source) {
        if (nowMs < place.fromMs || place.asked.size >= most) break;
        const podUid = serverFor(place, run);
        if (podUid === undefined) break;
        source.delete(uid);
        place.asked.set(uid, { run, podUid, untilMs: nowMs + ANSWER_MS });
        commands.push({ kind: 'RemoveArtifacts', run, podUid, store: place.place });
      }
    const unanswered = earliest(...[...place.asked.values()].map(({ untilMs }) => untilMs));
    const next = earliest(unanswered, waiting(place) > 0 && nowMs < place.fromMs ? place.fromMs : undefined);
    if (next === undefined) again.remove(place.key);
    else again.set(place.key, next);
    return commands;
  };

  const leave = (key: ObjectKey, nowMs: number): ReadonlyArray<Command> => {
    const cleaning = cleanings.get(key);
    if (!cleaning) return [];
    cleanings.delete(key);
    stuck.remove(key);
    const [store] = cleaning.left;
    const place = store && places.get(placeKey(namespaceOfKey(key), storePlace(store)));
    if (!place) return [];
    const wasThere = place.queue.delete(cleaning.uid) || place.asked.delete(cleaning.uid);
    return wasThere ? turn(place, nowMs) : [];
  };

  const release = (
    run: RunRecord,
    reason: Extract<Command, { kind: 'ReleaseRun' }>['reason'],
    nowMs: number,
  ): ReadonlyArray<Command> => {
    const others = leave(run.key, nowMs);
    // Known, with nothing left: a later version of it is not begun with again.
    cleanings.set(run.key, { uid: run.uid, left: [] });
    const stores = (run.status.artifactStores ?? []).map(storeName).join(', ');
    return [
      ...others,
      { kind: 'ReleaseRun', run, reason },
      ...(reason === 'Abandoned'
        ? [event(run, 'ArtifactsAbandoned', `its artifacts stay in ${stores || 'no store'}`, nowMs)]
        : []),
    ];
  };

  /** On to the Run's next store, or to its end. */
  const proceed = (run: RunRecord, cleaning: Cleaning, nowMs: number): ReadonlyArray<Command> => {
    const [store] = cleaning.left;
    if (!store) return release(run, 'Removed', nowMs);
    const place = placeOf(run.namespace, storePlace(store));
    place.store = store;
    place.queue.set(run.uid, run);
    return [...turn(place, nowMs), ...(place.queue.has(run.uid) ? explain(place, run, nowMs) : [])];
  };

  const lookAtRun = (key: ObjectKey, run: RunRecord | undefined, nowMs: number): ReadonlyArray<Command> => {
    const cleaning = cleanings.get(key);
    if (!run || !isDue(run)) return leave(key, nowMs);
    if (run.uid === cleaning?.uid)
      return run.abandoned && cleaning.left.length > 0 ? release(run, 'Abandoned', nowMs) : [];
    const left = leave(key, nowMs);
    if (run.abandoned) return [...left, ...release(run, 'Abandoned', nowMs)];
    const fresh: Cleaning = { uid: run.uid, left: run.status.artifactStores ?? [] };
    cleanings.set(key, fresh);
    return [...left, ...proceed(run, fresh, nowMs)];
  };

  const onAnswer = (
    { namespace, store, runUid, podUid, error }: Extract<WorldChange, { kind: 'ArtifactsRemoved' }>,
    nowMs: number,
  ): ReadonlyArray<Command> => {
    const place = places.get(placeKey(namespace, store));
    const question = place?.asked.get(runUid);
    if (!place || question?.podUid !== podUid) return [];
    place.asked.delete(runUid);
    const { run } = question;
    const cleaning = cleanings.get(run.key);
    if (error !== '') {
      putBack(place, run);
      backOff(place, nowMs);
      const message = `the artifacts cannot be removed from ${nameOf(place)}: ${cut(error)}`;
      const told = fail(place, 'StoreFailed', message, nowMs);
      return [...told, ...explain(place, run, nowMs), ...turn(place, nowMs), ...dismiss(place, nowMs)];
    }
    place.tries = 0;
    place.fromMs = 0;
    place.failure = undefined;
    if (cleaning?.uid !== runUid) return turn(place, nowMs);
    cleaning.left = cleaning.left.filter((each) => storePlace(each) !== store);
    return [...turn(place, nowMs), ...proceed(run, cleaning, nowMs)];
  };

  /** Asks again for what this pod was asked for. */
  const takeBack = (place: Place, isOf: (uid: RunUid, podUid: PodUid) => boolean): void => {
    for (const [uid, { run, podUid }] of place.asked)
      if (isOf(uid, podUid)) {
        place.asked.delete(uid);
        putBack(place, run);
      }
  };

  const onSession = (
    { key: podUid, before, after }: Extract<WorldChange, { kind: 'Session' }>,
    nowMs: number,
  ): ReadonlyArray<Command> => {
    if (before?.artifactStore === after?.artifactStore && before?.podKey === after?.podKey && after)
      return [];
    const commands: Command[] = [];
    for (const [session, isThere] of [
      [before, false],
      [after, true],
    ] as const) {
      if (!session || session.artifactStore === '') continue;
      const place = placeOf(namespaceOfKey(session.podKey), session.artifactStore);
      if (isThere) {
        place.servers.add(podUid);
        place.podTries = 0;
      } else {
        place.servers.delete(podUid);
        takeBack(place, (_uid, asked) => asked === podUid);
      }
      commands.push(...turn(place, nowMs));
    }
    return commands;
  };

  const onPod = (
    before: PodRecord | undefined,
    after: PodRecord | undefined,
    nowMs: number,
  ): ReadonlyArray<Command> => {
    const cleans = (after ?? before)?.cleans;
    const pod = after ?? before;
    if (!pod || cleans === undefined) return [];
    const place = placeOf(pod.namespace, cleans);
    if (!after) {
      removing.delete(pod.uid);
      if (place.pod !== pod.key) return [];
      place.pod = undefined;
      return turn(place, nowMs);
    }
    if (place.pod === undefined && !after.terminating) {
      place.pod = after.key;
      place.podMs = nowMs;
    }
    if (place.pod !== after.key && !after.terminating && !removing.has(after.uid)) {
      removing.add(after.uid);
      return [{ kind: 'DeletePod', pod: after, reason: 'Surplus' }];
    }
    return place.servers.size === 0 || after.finished ? turn(place, nowMs) : [];
  };

  const noteRuntime = (
    key: ObjectKey,
    before: RuntimeRecord | undefined,
    after: RuntimeRecord | undefined,
  ): void => {
    departed.delete(key);
    const store = before && !after ? storeOf(before) : undefined;
    if (store) departed.set(key, store);
    const [first] = departed.keys();
    if (first !== undefined && departed.size > MOST_DEPARTED) departed.delete(first);
  };

  const onChange = (change: WorldChange, nowMs: number): ReadonlyArray<Command> => {
    switch (change.kind) {
      case 'Run':
        return [
          ...lookAtRun(change.key, change.after, nowMs),
          ...(change.before && change.before.uid !== change.after?.uid ? forsake(change.before, nowMs) : []),
        ];
      case 'Session':
        return onSession(change, nowMs);
      case 'Pod':
        return onPod(change.before, change.after, nowMs);
      case 'ArtifactsRemoved':
        return onAnswer(change, nowMs);
      case 'Runtime':
        noteRuntime(change.key, change.before, change.after);
        return [];
      case 'Refused':
        return [];
      default:
        return change satisfies never;
    }
  };

  const onPodRefused = (place: Place, error: EffectError, nowMs: number): ReadonlyArray<Command> => {
    place.pod = undefined;
    place.podTries += 1;
    place.podMs = nowMs + backoffMs(place.podTries);
    if (isNamespaceGone(error)) {
      place.leftovers.clear();
      place.orphansMs = undefined;
      return [...place.queue.values()].flatMap((run) => release(run, 'NamespaceGone', nowMs));
    }
    const message = `no pod can be created that removes the artifacts from ${nameOf(place)}: ${cut(error.message)}`;
    return [...fail(place, 'CleanupPodRefused', message, nowMs), ...turn(place, nowMs)];
  };

  const onOutcome = (outcome: Outcome, nowMs: number): ReadonlyArray<Command> => {
    const { command } = outcome;
    switch (command.kind) {
      case 'RemoveArtifacts': {
        const place = places.get(placeKey(command.run.namespace, command.store));
        if (outcome.kind === 'Done' || !place) return [];
        takeBack(place, (uid) => uid === command.run.uid);
        // The end of the session is on its way.
        again.set(place.key, nowMs + FIRST_RETRY_MS);
        return [];
      }
      case 'CreateCleanupPod': {
        const place = places.get(placeKey(command.namespace, storePlace(command.store)));
        if (!place || place.pod !== command.key) return [];
        return outcome.kind === 'Failed' ? onPodRefused(place, outcome.error, nowMs) : [];
      }
      case 'ReleaseRun':
        if (outcome.kind === 'Failed') stuck.set(command.run.key, nowMs + REFUSED_MS);
        return [];
      case 'DeletePod':
        if (command.pod.cleans !== undefined && outcome.kind === 'Failed') removing.delete(command.pod.uid);
        return [];
      default:
        return [];
    }
  };

  return {
    apply: (news, nowMs) =>
      news.kind === 'Change' ? onChange(news.change, nowMs) : onOutcome(news.outcome, nowMs),
    dueMs: () => earliest(again.nextMs(), stuck.nextMs()),
    wake: (nowMs) => [
      ...again.takeDue(nowMs).flatMap((key) => {
        const place = places.get(key);
        return place ? turn(place, nowMs) : [];
      }),
      ...stuck.takeDue(nowMs).flatMap((key) => {
        cleanings.delete(key);
        return lookAtRun(key, world.runs.get(key), nowMs);
      }),
    ],
  };
};
