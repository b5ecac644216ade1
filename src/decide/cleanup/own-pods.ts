/**
 * When is a pod created that does nothing but remove artifacts, and when does it go?
 *
 * It is created while Runs wait and no session has their store, after the sessions had time to come back. It goes when it
 * ended, when there is nothing more to do, or when its store fails for long.
 */
import type { Command } from '../../model/command.js';
import type { EffectError } from '../../model/effect-error.js';
import { objectKey, type PodUid } from '../../model/ids.js';
import type { PodRecord } from '../../model/pod.js';
import type { World } from '../../model/world.js';
import { backoffMs } from '../backoff.js';
import type { Deadlines } from '../deadlines.js';
import { cut, fail } from './failures.js';
import { nameOf, type Place, type Places, RETRY, recover } from './place.js';

/** Sessions come back by themselves, after a rollout or a new operator: so long no pod is created in their stead. */
export const SESSION_GRACE_MS = 5000;
/** A pod of ours that has no session after this is a problem worth telling, milliseconds. */
export const POD_START_MS = 30_000;
/** How long such a pod stays when there is nothing more to do, milliseconds. */
export const IDLE_MS = 30_000;
/** A pod that waits at least so long for its next try is not kept for it, milliseconds. */
const DISMISS_MS = 15_000;

type OwnPodsOptions = Readonly<{
  world: World;
  places: Places;
  /** When each place is looked at again. */
  again: Deadlines<string>;
  /** Uniform in [0, 1). */
  random: () => number;
}>;

/** Decisions about those pods. Each may note a later look in `again`. */
export type OwnPods = Readonly<{
  /** What is to be done about a pod while Runs wait and no session has the store. */
  want: (place: Place, nowMs: number) => ReadonlyArray<Command>;
  /** Nothing to do: the pod goes after a while. */
  rest: (place: Place, nowMs: number) => ReadonlyArray<Command>;
  /**
   * A pod of ours that fails for long goes until the next try: a new one mounts what is there by then, a Secret that was
   * mended for one, and meanwhile it would only take up room.
   */
  dismiss: (place: Place, nowMs: number) => ReadonlyArray<Command>;
  /** The pod was seen: whether the place has to be looked at now, or the pod is one too many. */
  seen: (place: Place, pod: PodRecord, nowMs: number) => ReadonlyArray<Command> | 'look';
  /** It is gone; true if the place has to be looked at now. */
  gone: (place: Place, pod: PodRecord) => boolean;
  /** It could not be created. */
  refused: (place: Place, error: EffectError, nowMs: number) => ReadonlyArray<Command>;
  /** It could not be deleted. */
  notDeleted: (podUid: PodUid) => void;
}>;

/** No pod yet. */
export const ownPods = ({ world, places, again, random }: OwnPodsOptions): OwnPods => {
  /** Pods whose deletion was asked for. */
  const removing = new Set<PodUid>();

  const podOf = ({ pod }: Place): PodRecord | undefined =>
    pod === undefined ? undefined : world.pods.get(pod);

  const remove = (
    pod: PodRecord,
    reason: Extract<Command, { kind: 'DeletePod' }>['reason'],
  ): ReadonlyArray<Command> => {
    if (removing.has(pod.uid)) return [];
    removing.add(pod.uid);
    return [{ kind: 'DeletePod', pod, reason }];
  };

  const postpone = (place: Place, nowMs: number): void => {
    place.podMs = nowMs + backoffMs(place.podTries, random(), RETRY);
    place.podTries += 1;
  };

  const create = (place: Place, nowMs: number): ReadonlyArray<Command> => {
    const { namespace, store } = place;
    if (!store) return [];
    const fromMs = Math.max((place.lackingMs ?? nowMs) + SESSION_GRACE_MS, place.podMs);
    if (nowMs < fromMs) {
      again.set(place.key, fromMs);
      return [];
    }
    const suffix = Math.floor(random() * 36 ** 6).toString(36);
    const name = `kruntimes-cleanup-${suffix.padStart(6, '0')}`;
    const key = objectKey(namespace, name);
    place.pod = key;
    place.podMs = nowMs;
    again.set(place.key, nowMs + POD_START_MS);
    return [{ kind: 'CreateCleanupPod', key, namespace, name, store }];
  };

  const want = (place: Place, nowMs: number): ReadonlyArray<Command> => {
    place.lackingMs ??= nowMs;
    if (place.pod === undefined) return create(place, nowMs);
    const pod = podOf(place);
    if (pod?.finished && !pod.terminating) {
      again.set(place.key, nowMs + SESSION_GRACE_MS);
      if (!removing.has(pod.uid)) postpone(place, nowMs);
      return remove(pod, 'Ended');
    }
    const lateMs = Math.max(place.podMs, place.lackingMs) + POD_START_MS;
    if (nowMs < lateMs) {
      again.set(place.key, lateMs);
      return [];
    }
    if (!pod) {
      // Created and never seen: another takes its place.
      place.pod = undefined;
      return create(place, nowMs);
    }
    again.set(place.key, nowMs + POD_START_MS);
    const why = pod.terminating ? 'it is going' : (pod.trouble?.message ?? 'it has not started');
    const message = `pod ${pod.name}, which is to remove the artifacts from ${nameOf(place)}, does not answer: ${cut(why)}`;
    return fail(places, place, 'CleanupPodNotReady', message, nowMs);
  };

  const rest = (place: Place, nowMs: number): ReadonlyArray<Command> => {
    recover(place);
    place.lackingMs = undefined;
    const pod = podOf(place);
    if (!pod) {
      if (place.servers.size === 0 && place.pod === undefined) places.forget(place);
      again.remove(place.key);
      return [];
    }
    place.idleMs ??= nowMs;
    if (nowMs < place.idleMs + IDLE_MS) {
      again.set(place.key, place.idleMs + IDLE_MS);
      return [];
    }
    again.remove(place.key);
    return pod.terminating ? [] : remove(pod, 'Idle');
  };

  const dismiss = (place: Place, nowMs: number): ReadonlyArray<Command> => {
    const pod = podOf(place);
    const isAlone = pod !== undefined && place.servers.size === 1 && place.servers.has(pod.uid);
    const isNeeded = place.asked.size > 0 || place.fromMs - nowMs < DISMISS_MS;
    return isAlone && !isNeeded ? remove(pod, 'Failing') : [];
  };

  return {
    want,
    rest,
    dismiss,
    seen: (place, pod, nowMs) => {
      if (place.pod === undefined && !pod.terminating) {
        place.pod = pod.key;
        place.podMs = nowMs;
      }
      if (place.pod !== pod.key && !pod.terminating) {
        const surplus = remove(pod, 'Surplus');
        if (surplus.length > 0) return surplus;
      }
      return place.servers.size === 0 || pod.finished ? 'look' : [];
    },
    gone: (place, pod) => {
      removing.delete(pod.uid);
      if (place.pod !== pod.key) return false;
      place.pod = undefined;
      return true;
    },
    refused: (place, error, nowMs) => {
      place.pod = undefined;
      postpone(place, nowMs);
      const message = `no pod can be created that removes the artifacts from ${nameOf(place)}: ${cut(error.message)}`;
      return fail(places, place, 'CleanupPodRefused', message, nowMs);
    },
    notDeleted: (podUid) => {
      removing.delete(podUid);
    },
  };
};
