/** A map ordered by its keys, O(log n) in every operation: sorted-btree, under a name that says what we use of it. */
import sorted from 'sorted-btree';

/** A B+ tree from K to V. */
export type OrderedMap<K, V> = InstanceType<typeof sorted.default<K, V>>;

/** An empty map in the order of `compare`. Keys that compare equal are one key. */
export const orderedMap = <K, V>(compare: (a: K, b: K) => number): OrderedMap<K, V> =>
  new sorted.default<K, V>(undefined, compare);
