/**
 * One ordered queue of deadlines: at most one per key, O(log n) to set, move, remove or take.
 *
 * Mutable, owned by the one fold that made it; time comes in as a number, so it runs in virtual time as it does in
 * real time. This is what stands where others have a timer per object.
 */
import { orderedMap } from './ordered-map.js';

type Entry<K> = Readonly<{ dueMs: number; tie: number; key: K }>;

/** A queue of keys by due time (milliseconds of the caller's clock). */
export type Deadlines<K> = Readonly<{
  /** Sets or moves the key's deadline. */
  set: (key: K, dueMs: number) => void;
  remove: (key: K) => void;
  /** The key's deadline. */
  get: (key: K) => number | undefined;
  /** The earliest deadline. */
  nextMs: () => number | undefined;
  /** Removes and returns every key due at `nowMs`, earliest first. */
  takeDue: (nowMs: number) => ReadonlyArray<K>;
  size: () => number;
  /** Brings every deadline forward, by so many milliseconds: the clock was set back. */
  bringForward: (byMs: number) => void;
}>;

/** An empty queue. */
export const deadlines = <K extends string>(): Deadlines<K> => {
  const byTime = orderedMap<Entry<K>, undefined>((a, b) => a.dueMs - b.dueMs || a.tie - b.tie);
  const byKey = new Map<K, Entry<K>>();
  let ties = 0;
  const remove = (key: K): void => {
    const entry = byKey.get(key);
    if (entry === undefined) return;
    byKey.delete(key);
    byTime.delete(entry);
  };
  const set = (key: K, dueMs: number): void => {
    if (byKey.get(key)?.dueMs === dueMs) return;
    remove(key);
    ties += 1;
    const entry = { dueMs, tie: ties, key };
    byKey.set(key, entry);
    byTime.set(entry, undefined);
  };
  return {
    set,
    remove,
    get: (key) => byKey.get(key)?.dueMs,
    nextMs: () => byTime.minKey()?.dueMs,
    takeDue: (nowMs) => {
      const due: K[] = [];
      for (
        let first = byTime.minKey();
        first !== undefined && first.dueMs <= nowMs;
        first = byTime.minKey()
      ) {
        due.push(first.key);
        remove(first.key);
      }
      return due;
    },
    size: () => byKey.size,
    bringForward: (byMs) => {
      for (const { key, dueMs } of [...byTime.keys()]) set(key, dueMs - byMs);
    },
  };
};
