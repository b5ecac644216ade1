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
 *
 * Here: which Runs are asked for, of which pod, and what an answer means. `place.ts` is what is known of a store,
 * `failures.ts` what Runs are told, `own-pods.ts` the pods that are created for it, `orphans.ts` logs without a Runtime.
 */
import { type RecordedStore, storeName, storePlace } from '../../model/artifact-store.js';
import type { Command } from '../../model/command.js';
import type { EffectError } from '../../model/effect-error.js';
import { namespaceOfKey, type ObjectKey, objectKey, type PodUid, type RunUid } from '../../model/ids.js';
import type { News } from '../../model/news.js';
import type { Outcome } from '../../model/outcome.js';
import type { PodRecord } from '../../model/pod.js';
import { isMarked, type RunRecord } from '../../model/run-record.js';
import type { RuntimeRecord } from '../../model/runtime-record.js';
import type { World, WorldChange } from '../../model/world.js';
import { deadlines } from '../deadlines.js';
import { phaseOf } from '../lifecycle.js';
import { earliest, type TimedMachine } from '../timed-machine.js';
import { cut, explain, fail, warning } from './failures.js';
import { noneDeparted, seeToOrphans } from './orphans.js';
import { ownPods } from './own-pods.js';
import {
  backOff,
  type Cleaning,
  nameOf,
  noPlaces,
  type Place,
  placeKey,
  RETRY,
  recover,
  waiting,
} from './place.js';

/** Runs of one store that pods are asked for at a time. */
export const WINDOW = 8;
/** A pod that has not answered for so long will not; longer than a store's own tries take. Milliseconds. */
export const ANSWER_MS = 120_000;
/** A finalizer that could not be taken off is tried again after this, milliseconds. */
const REFUSED_MS = 5000;

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

/** Whether the namespace is on its way out, so that nothing can be created in it. */
const isNamespaceGone = ({ kind, message, causes = [] }: EffectError): boolean =>
  kind === 'NotFound' ||
  (kind === 'Forbidden' &&
    [message, ...causes.map((cause) => cause.message)].some((text) => text.includes('being terminated')));

/** The machine behind `streams/pipelines/cleanup.ts`. */
export const cleanup = (
  world: World,
  { random, storeOf = () => undefined }: CleanupOptions,
): TimedMachine<News, Command> => {
  const places = noPlaces();
  const { cleanings } = places;
  const departed = noneDeparted(storeOf);
  const again = deadlines<string>();
  const pods = ownPods({ world, places, again, random });
  /** Runs whose finalizer could not be taken off. */
  const stuck = deadlines<ObjectKey>();

  /** A Run that is gone and was not cleaned: its log, if it has one, is in a store of its namespace that pods have. */
  const forsake = (run: RunRecord, nowMs: number): ReadonlyArray<Command> => {
    if (!run.logged || isMarked(run)) return [];
    const store = departed.storeOf(run.runtime);
    const own = store && places.of(run.namespace, storePlace(store));
    return places.inNamespace(run.namespace).flatMap((place) => {
      if (place.servers.size === 0 && place !== own) return [];
      places.putBack(place, run);
      return turn(place, nowMs);
    });
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

  /** Asks for what can be asked for now. */
  const turn = (place: Place, nowMs: number): ReadonlyArray<Command> => {
    const commands: Command[] = [];
    for (const [uid, { run, untilMs }] of place.asked) {
      if (nowMs < untilMs) continue;
      place.asked.delete(uid);
      places.putBack(place, run);
      backOff(place, nowMs, random());
      const message = `${nameOf(place)} has not answered for ${ANSWER_MS / 1000} s`;
      commands.push(...fail(places, place, 'NoAnswer', message, nowMs));
    }
    seeToOrphans(departed, place, nowMs);
    const isIdle = place.queue.size === 0 && place.asked.size === 0;
    const isUnserved = place.servers.size === 0 && place.orphansMs === undefined;
    if (isIdle && (place.leftovers.size === 0 || isUnserved))
      return [...commands, ...pods.rest(place, nowMs)];
    place.idleMs = undefined;
    if (place.servers.size === 0) {
      if (nowMs >= place.fromMs) return [...commands, ...pods.want(place, nowMs)];
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
    const place = store && places.find(placeKey(namespaceOfKey(key), storePlace(store)));
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
        ? [warning(run, 'ArtifactsAbandoned', `its artifacts stay in ${stores || 'no store'}`, nowMs)]
        : []),
    ];
  };

  /** On to the Run's next store, or to its end. */
  const proceed = (run: RunRecord, cleaning: Cleaning, nowMs: number): ReadonlyArray<Command> => {
    const [store] = cleaning.left;
    if (!store) return release(run, 'Removed', nowMs);
    const place = places.of(run.namespace, storePlace(store));
    place.store = store;
    place.queue.set(run.uid, run);
    return [...turn(place, nowMs), ...(place.queue.has(run.uid) ? explain(places, place, run, nowMs) : [])];
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
    const place = places.find(placeKey(namespace, store));
    const question = place?.asked.get(runUid);
    if (!place || question?.podUid !== podUid) return [];
    place.asked.delete(runUid);
    const { run } = question;
    const cleaning = cleanings.get(run.key);
    if (error !== '') {
      places.putBack(place, run);
      backOff(place, nowMs, random());
      const message = `the artifacts cannot be removed from ${nameOf(place)}: ${cut(error)}`;
      const told = fail(places, place, 'StoreFailed', message, nowMs);
      return [
        ...told,
        ...explain(places, place, run, nowMs),
        ...turn(place, nowMs),
        ...pods.dismiss(place, nowMs),
      ];
    }
    recover(place);
    if (cleaning?.uid !== runUid) return turn(place, nowMs);
    cleaning.left = cleaning.left.filter((each) => storePlace(each) !== store);
    return [...turn(place, nowMs), ...proceed(run, cleaning, nowMs)];
  };

  /** Asks again for what this pod was asked for. */
  const takeBack = (place: Place, isOf: (uid: RunUid, podUid: PodUid) => boolean): void => {
    for (const [uid, { run, podUid }] of place.asked)
      if (isOf(uid, podUid)) {
        place.asked.delete(uid);
        places.putBack(place, run);
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
      const place = places.of(namespaceOfKey(session.podKey), session.artifactStore);
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
    const pod = after ?? before;
    if (pod?.cleans === undefined) return [];
    const place = places.of(pod.namespace, pod.cleans);
    if (!after) return pods.gone(place, pod) ? turn(place, nowMs) : [];
    const seen = pods.seen(place, after, nowMs);
    return seen === 'look' ? turn(place, nowMs) : seen;
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
        departed.note(change.key, change.before, change.after);
        return [];
      case 'Refused':
        return [];
      default:
        return change satisfies never;
    }
  };

  const onPodRefused = (place: Place, error: EffectError, nowMs: number): ReadonlyArray<Command> => {
    const told = pods.refused(place, error, nowMs);
    if (!isNamespaceGone(error)) return [...told, ...turn(place, nowMs)];
    // Nobody is told: who waited is let go.
    place.leftovers.clear();
    place.orphansMs = undefined;
    return [...place.queue.values()].flatMap((run) => release(run, 'NamespaceGone', nowMs));
  };

  const onOutcome = (outcome: Outcome, nowMs: number): ReadonlyArray<Command> => {
    const { command } = outcome;
    switch (command.kind) {
      case 'RemoveArtifacts': {
        const place = places.find(placeKey(command.run.namespace, command.store));
        if (outcome.kind === 'Done' || !place) return [];
        takeBack(place, (uid) => uid === command.run.uid);
        // The end of the session is on its way.
        again.set(place.key, nowMs + RETRY.firstMs);
        return [];
      }
      case 'CreateCleanupPod': {
        const place = places.find(placeKey(command.namespace, storePlace(command.store)));
        if (!place || place.pod !== command.key) return [];
        return outcome.kind === 'Failed' ? onPodRefused(place, outcome.error, nowMs) : [];
      }
      case 'ReleaseRun':
        if (outcome.kind === 'Failed') stuck.set(command.run.key, nowMs + REFUSED_MS);
        return [];
      case 'DeletePod':
        if (command.pod.cleans !== undefined && outcome.kind === 'Failed') pods.notDeleted(command.pod.uid);
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
        const place = places.find(key);
        return place ? turn(place, nowMs) : [];
      }),
      ...stuck.takeDue(nowMs).flatMap((key) => {
        cleanings.delete(key);
        return lookAtRun(key, world.runs.get(key), nowMs);
      }),
    ],
  };
};
