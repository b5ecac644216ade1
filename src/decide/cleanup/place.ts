/** What is known of one store as the Runs of one namespace use it, and of all of them. */
import { type RecordedStore, storeName } from '../../model/artifact-store.js';
import type { ObjectKey, PodUid, RunUid } from '../../model/ids.js';
import type { RunRecord } from '../../model/run-record.js';
import { type Backoff, backoffMs } from '../backoff.js';

/** The longest wait before a store that failed is asked again, milliseconds, but for chance. */
export const LONGEST_RETRY_MS = 60_000;
/** Waits of a store that fails, and of the creation of its pod. */
export const RETRY: Backoff = { firstMs: 1000, longestMs: LONGEST_RETRY_MS };
/** Logs of Runs that are gone, remembered per store. */
const MOST_LEFTOVERS = 100_000;

/** Why the Runs of one store wait. */
export type Failure = Readonly<{ reason: string; message: string; sinceMs: number }>;

/** One store in one namespace. All times are milliseconds of the fold's clock. */
export type Place = {
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
  /** Not asked before this. */
  fromMs: number;
  failure: Failure | undefined;
  /** Runs that were told of the failure. */
  told: number;
  lackingMs: number | undefined;
  idleMs: number | undefined;
};

/** A Run that is being cleaned: the stores that are left, and of which failure it was told. */
export type Cleaning = { readonly uid: RunUid; left: ReadonlyArray<RecordedStore>; explained?: Failure };

/** The place's key: a namespace has no blank. */
export const placeKey = (namespace: string, place: string): string => `${namespace} ${place}`;

/** What people are told that the store is. */
export const nameOf = ({ store, place }: Place): string => (store ? storeName(store) : place);

/** Runs that are not asked for yet. */
export const waiting = ({ queue, leftovers }: Place): number => queue.size + leftovers.size;

/** Asks the store no more for a while, longer each time. @param chance uniform in [0, 1) */
export const backOff = (place: Place, nowMs: number, chance: number): void => {
  // Answers to what was asked before the first failure are no news of the store.
  if (nowMs < place.fromMs) return;
  place.fromMs = nowMs + backoffMs(place.tries, chance, RETRY);
  place.tries += 1;
};

/** The store works: nothing is held back. */
export const recover = (place: Place): void => {
  place.tries = 0;
  place.fromMs = 0;
  place.failure = undefined;
};

/** All places, and the Runs that are being cleaned. */
export type Places = Readonly<{
  cleanings: Map<ObjectKey, Cleaning>;
  find: (key: string) => Place | undefined;
  /** The place, new if need be. */
  of: (namespace: string, place: string) => Place;
  inNamespace: (namespace: string) => ReadonlyArray<Place>;
  forget: (place: Place) => void;
  /** To the end of the place's queue, or to its leftovers if the Run is gone. */
  putBack: (place: Place, run: RunRecord) => void;
}>;

/** None yet. */
export const noPlaces = (): Places => {
  const cleanings = new Map<ObjectKey, Cleaning>();
  const all = new Map<string, Place>();
  const byNamespace = new Map<string, Set<Place>>();
  return {
    cleanings,
    find: (key) => all.get(key),
    of: (namespace, place) => {
      const key = placeKey(namespace, place);
      const known = all.get(key);
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
      all.set(key, fresh);
      byNamespace.set(namespace, (byNamespace.get(namespace) ?? new Set()).add(fresh));
      return fresh;
    },
    inNamespace: (namespace) => [...(byNamespace.get(namespace) ?? [])],
    forget: (place) => {
      all.delete(place.key);
      const others = byNamespace.get(place.namespace);
      others?.delete(place);
      if (others?.size === 0) byNamespace.delete(place.namespace);
    },
    putBack: (place, run) => {
      if (cleanings.get(run.key)?.uid === run.uid) place.queue.set(run.uid, run);
      else if (place.leftovers.size < MOST_LEFTOVERS) place.leftovers.set(run.uid, run);
    },
  };
};
