/** Owner references: dependents go with their last owner (background), before it (foreground), or stay (orphan). */
import type { KubeObject } from '../object.js';
import type { Registry } from '../resources/registry.js';
import type { Entry, StoreEvent } from '../store/entry.js';
import type { Store } from '../store/store.js';
import type { DeleteStored } from './namespaces.js';

const idOf = ({ resource, key }: Entry): string => `${resource} ${key}`;
const owners = ({ metadata }: KubeObject): string[] => (metadata.ownerReferences ?? []).map(({ uid }) => uid);
const isLeaving = ({ metadata }: KubeObject, finalizer: string): boolean =>
  metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).includes(finalizer);

/** Follows all objects and deletes what has lost its owners. Returns how to stop. */
export const collectGarbage = (
  store: Store,
  registry: Registry,
  deleteStored: DeleteStored,
): (() => void) => {
  /** Owner's uid → ids of its dependents. */
  const dependents = new Map<string, Map<string, Entry>>();
  const alive = new Map<string, Entry>();

  const link = (entry: Entry): void => {
    for (const uid of owners(entry.object)) {
      let known = dependents.get(uid);
      if (known === undefined) {
        known = new Map();
        dependents.set(uid, known);
      }
      known.set(idOf(entry), entry);
    }
  };
  const unlink = (entry: Entry): void => {
    for (const uid of owners(entry.object)) {
      const known = dependents.get(uid);
      known?.delete(idOf(entry));
      if (known?.size === 0) dependents.delete(uid);
    }
  };
  const head = ({ resource, object: { metadata } }: Entry): KubeObject | undefined => {
    const current = store.head(resource, metadata.namespace, metadata.name ?? '')?.object;
    return current?.metadata.uid === metadata.uid ? current : undefined;
  };
  const dependentsOf = (uid: string): Entry[] => [...(dependents.get(uid)?.values() ?? [])];

  const collectIfOrphaned = (entry: Entry): void => {
    const object = head(entry);
    if (object === undefined || object.metadata.deletionTimestamp !== undefined) return;
    const uids = owners(object);
    if (uids.length === 0 || uids.some((uid) => alive.has(uid))) return;
    // An owner of a kind that is not served may exist all the same: nothing is known about it.
    if (
      !(object.metadata.ownerReferences ?? []).every(
        ({ apiVersion, kind }) => registry.ofKind(apiVersion, kind) !== undefined,
      )
    )
      return;
    deleteStored(entry.resource, object);
  };
  const withoutFinalizer = (object: KubeObject, finalizer: string): KubeObject => ({
    ...object,
    metadata: {
      ...object.metadata,
      finalizers: (object.metadata.finalizers ?? []).filter((name) => name !== finalizer),
    },
  });
  const release = (entry: Entry, finalizer: string): void => {
    const object = head(entry);
    if (object === undefined) return;
    const released = withoutFinalizer(object, finalizer);
    if ((released.metadata.finalizers ?? []).length === 0) store.remove(entry.resource, released);
    else store.put(entry.resource, released);
  };
  const orphan = (owner: Entry, uid: string): void => {
    for (const dependent of dependentsOf(uid)) {
      const object = head(dependent);
      if (object === undefined) continue;
      const kept = (object.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid);
      const { ownerReferences: _all, ...metadata } = object.metadata;
      store.put(dependent.resource, {
        ...object,
        metadata: kept.length === 0 ? metadata : { ...metadata, ownerReferences: kept },
      });
    }
    release(owner, 'orphan');
  };
  const deleteForeground = (owner: Entry, uid: string): void => {
    const left = dependentsOf(uid).filter((dependent) => head(dependent) !== undefined);
    for (const dependent of left) {
      const object = head(dependent);
      if (object !== undefined && object.metadata.deletionTimestamp === undefined)
        deleteStored(dependent.resource, object);
    }
    const blocks = (dependent: Entry): boolean =>
      (head(dependent)?.metadata.ownerReferences ?? []).some(
        (reference) => reference.uid === uid && reference.blockOwnerDeletion === true,
      );
    if (!left.some(blocks)) release(owner, 'foregroundDeletion');
  };

  const follow = ({ type, entry, previous }: StoreEvent): void => {
    const uid = entry.object.metadata.uid ?? '';
    if (previous !== undefined) unlink(previous);
    if (type === 'DELETED') {
      alive.delete(uid);
      for (const dependent of dependentsOf(uid)) collectIfOrphaned(dependent);
      for (const owner of owners(entry.object)) {
        const waiting = alive.get(owner);
        if (waiting !== undefined && isLeaving(waiting.object, 'foregroundDeletion'))
          deleteForeground(waiting, owner);
      }
      return;
    }
    alive.set(uid, entry);
    link(entry);
    if (type === 'ADDED' || owners(previous?.object ?? entry.object).join() !== owners(entry.object).join())
      collectIfOrphaned(entry);
    if (isLeaving(entry.object, 'orphan')) orphan(entry, uid);
    else if (isLeaving(entry.object, 'foregroundDeletion')) deleteForeground(entry, uid);
  };

  const all = store.resources().flatMap((resource) => [...store.list(resource)]);
  for (const entry of all) {
    alive.set(entry.object.metadata.uid ?? '', entry);
    link(entry);
  }
  for (const entry of all) follow({ type: 'MODIFIED', revision: entry.revision, entry, previous: entry });
  for (const entry of all) collectIfOrphaned(entry);
  return store.subscribeAll(follow);
};
