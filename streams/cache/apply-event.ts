/**
 * The cache: what do an informer's events add up to?
 *
 * A pure fold: an event in, the next cache and the changes it made out. The tree shares its nodes between versions, so
 * an event costs O(log n) and an old cache stays what it was. A list is gathered aside and swapped in at its end, so
 * readers never see half of one; the swap yields a change for what differs and for nothing else.
 */
import BTree from 'sorted-btree';

import type { ObjectKey } from '../../src/model/ids.js';
import type { InformerEvent } from '../watch/informer-events.js';

type Entry<A> = Readonly<{ resourceVersion: string; object: A }>;
type Tree<A> = BTree.default<ObjectKey, Entry<A>>;

/** What is known of one kind of object. */
export type Cache<A> = Readonly<{
  /** A first list is complete: what is not here is not there. */
  isSynced: boolean;
  objects: Tree<A>;
  /** The list that is coming in. */
  incoming: Tree<A> | undefined;
}>;

/** One object's step. `before` or `after` is absent where it was not or is no more there, never both. */
export type Change<A> = Readonly<{ key: ObjectKey; before: A | undefined; after: A | undefined }>;

/** What an event led to. */
export type Applied<A> = Readonly<{ cache: Cache<A>; changes: ReadonlyArray<Change<A>> }>;

const byKey = (a: ObjectKey, b: ObjectKey): number => (a < b ? -1 : a > b ? 1 : 0);
const emptyTree = <A>(): Tree<A> => new BTree.default<ObjectKey, Entry<A>>(undefined, byKey);

/** Nothing known yet. */
export const emptyCache = <A>(): Cache<A> => ({
  isSynced: false,
  objects: emptyTree<A>(),
  incoming: undefined,
});

/** One object, if it is there. */
export const cached = <A>(cache: Cache<A>, key: ObjectKey): A | undefined => cache.objects.get(key)?.object;

/** Number of objects. */
export const cacheSize = <A>(cache: Cache<A>): number => cache.objects.size;

/** All objects, by key. */
export function* cachedObjects<A>(cache: Cache<A>): IterableIterator<A> {
  for (const { object } of cache.objects.values()) yield object;
}

const unchanged = <A>(cache: Cache<A>): Applied<A> => ({ cache, changes: [] });

const put = <A>(cache: Cache<A>, key: ObjectKey, entry: Entry<A>): Applied<A> => {
  const known = cache.objects.get(key);
  // The same version again is the same object; keeping ours keeps what was derived from it.
  const isSame = known !== undefined && known.resourceVersion === entry.resourceVersion;
  if (cache.incoming !== undefined)
    return unchanged({ ...cache, incoming: cache.incoming.with(key, isSame ? known : entry, true) });
  if (isSame) return unchanged(cache);
  return {
    cache: { ...cache, objects: cache.objects.with(key, entry, true) },
    changes: [{ key, before: known?.object, after: entry.object }],
  };
};

const drop = <A>(cache: Cache<A>, key: ObjectKey): Applied<A> => {
  if (cache.incoming !== undefined)
    return cache.incoming.has(key)
      ? unchanged({ ...cache, incoming: cache.incoming.without(key) })
      : unchanged(cache);
  const known = cache.objects.get(key);
  if (known === undefined) return unchanged(cache);
  return {
    cache: { ...cache, objects: cache.objects.without(key) },
    changes: [{ key, before: known.object, after: undefined }],
  };
};

/** The complete list takes the place of what was known. */
const swap = <A>(cache: Cache<A>): Applied<A> => {
  const { objects, incoming } = cache;
  if (incoming === undefined) return unchanged(cache.isSynced ? cache : { ...cache, isSynced: true });
  const changes: Change<A>[] = [];
  objects.forEachPair((key, entry) => {
    if (!incoming.has(key)) changes.push({ key, before: entry.object, after: undefined });
  });
  incoming.forEachPair((key, entry) => {
    const known = objects.get(key);
    if (known !== entry) changes.push({ key, before: known?.object, after: entry.object });
  });
  return { cache: { isSynced: true, objects: incoming, incoming: undefined }, changes };
};

/** The cache after `event`, and what changed by it. */
export const applyEvent = <A>(cache: Cache<A>, event: InformerEvent<A>): Applied<A> => {
  switch (event.kind) {
    case 'Init':
      return unchanged({ ...cache, incoming: emptyTree<A>() });
    case 'Apply':
      return put(cache, event.key, { resourceVersion: event.resourceVersion, object: event.object });
    case 'Delete':
    case 'Rejected':
      return drop(cache, event.key);
    case 'InitDone':
      return swap(cache);
    case 'Connected':
    case 'Disconnected':
    case 'Rewound':
      return unchanged(cache);
  }
};
