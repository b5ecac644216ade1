/**
 * Which logs of Runs that are gone wait for a pod that does not come by itself, as their Runtime was deleted before them?
 *
 * For those a pod is created, but not for ever: `log-sweeps.ts` sees to what is left.
 */
import { type RecordedStore, storePlace } from '../../model/artifact-store.js';
import type { ObjectKey } from '../../model/ids.js';
import type { RuntimeRecord } from '../../model/runtime-record.js';
import type { Place } from './place.js';

/** How long it is tried to remove logs for which a pod has to be created, milliseconds. */
export const ORPHANS_MS = 600_000;
/** Runtimes that were deleted, remembered with their stores. */
const MOST_DEPARTED = 1000;

/** The stores of Runtimes that were deleted. */
export type Departed = Readonly<{
  storeOf: (runtime: ObjectKey) => RecordedStore | undefined;
  note: (key: ObjectKey, before: RuntimeRecord | undefined, after: RuntimeRecord | undefined) => void;
}>;

/** None; the one that went first is forgotten first. @param storeOf the store of a Runtime, as its Runs would record it */
export const noneDeparted = (storeOf: (runtime: RuntimeRecord) => RecordedStore | undefined): Departed => {
  const stores = new Map<ObjectKey, RecordedStore>();
  return {
    storeOf: (runtime) => stores.get(runtime),
    note: (key, before, after) => {
      stores.delete(key);
      const store = before && !after ? storeOf(before) : undefined;
      if (store) stores.set(key, store);
      const [first] = stores.keys();
      if (first !== undefined && stores.size > MOST_DEPARTED) stores.delete(first);
    },
  };
};

/** Notes whether the place's logs need a pod to be created, and gives up those that have for long. */
export const seeToOrphans = (departed: Departed, place: Place, nowMs: number): void => {
  if (place.orphansMs !== undefined && nowMs >= place.orphansMs + ORPHANS_MS) place.leftovers.clear();
  if (place.leftovers.size === 0) {
    if (place.asked.size === 0) place.orphansMs = undefined;
    return;
  }
  if (place.servers.size > 0 || place.orphansMs !== undefined) return;
  for (const { runtime } of place.leftovers.values()) {
    const store = departed.storeOf(runtime);
    if (store === undefined || storePlace(store) !== place.place) continue;
    place.store ??= store;
    place.orphansMs = nowMs;
    return;
  }
};
