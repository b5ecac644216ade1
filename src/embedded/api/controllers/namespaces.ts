/** Namespaces: what each new one gets, and how one in deletion is emptied. */
import { randomUUID } from 'node:crypto';

import type { KubeObject } from '../object.js';
import { wireTime } from '../object.js';
import type { Registry } from '../resources/registry.js';
import type { Store } from '../store/store.js';

const namespaces = '/namespaces';

/** A new object of the server's own making. */
export const ownObject = (
  apiVersion: string,
  kind: string,
  name: string,
  namespace: string | undefined,
  nowMs: number,
  rest: object = {},
): KubeObject => ({
  apiVersion,
  kind,
  metadata: {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    uid: randomUUID(),
    creationTimestamp: wireTime(nowMs),
  },
  ...rest,
});

/** What the namespaces controller does with an object that is to go; the same as a delete by a client. */
export type DeleteStored = (storage: string, object: KubeObject) => void;

/**
 * Gives every namespace its default ServiceAccount and the cluster's CA, deletes the contents of namespaces in
 * deletion and, when nothing is left, the namespace. Returns how to stop.
 */
export const keepNamespaces = (
  store: Store,
  registry: Registry,
  caPem: string,
  nowMs: () => number,
  deleteStored: DeleteStored,
): (() => void) => {
  const furnish = (namespace: string): void => {
    if (store.head('/serviceaccounts', namespace, 'default') === undefined) {
      store.put('/serviceaccounts', ownObject('v1', 'ServiceAccount', 'default', namespace, nowMs()));
    }
    if (store.head('/configmaps', namespace, 'kube-root-ca.crt') === undefined) {
      store.put(
        '/configmaps',
        ownObject('v1', 'ConfigMap', 'kube-root-ca.crt', namespace, nowMs(), { data: { 'ca.crt': caPem } }),
      );
    }
  };
  const contents = function* (namespace: string): Generator<[storage: string, object: KubeObject]> {
    for (const storage of store.resources()) {
      if (registry.ofStorage(storage)?.isNamespaced !== true) continue;
      for (const { object } of store.list(storage, namespace)) {
        const head = store.head(storage, namespace, object.metadata.name ?? '');
        if (head !== undefined) yield [storage, head.object];
      }
    }
  };
  const isTerminating = (namespace: string): boolean =>
    store.head(namespaces, undefined, namespace)?.object.metadata.deletionTimestamp !== undefined;
  const removeIfEmpty = (namespace: string): void => {
    const head = store.head(namespaces, undefined, namespace);
    if (head !== undefined && contents(namespace).next().done === true) store.remove(namespaces, head.object);
  };
  const empty = (namespace: string): void => {
    for (const [storage, object] of [...contents(namespace)])
      if (object.metadata.deletionTimestamp === undefined) deleteStored(storage, object);
    removeIfEmpty(namespace);
  };
  const left = new Set<string>();
  let turn: NodeJS.Immediate | undefined;
  /** Once for all that goes in this turn. */
  const removeSoon = (namespace: string): void => {
    left.add(namespace);
    turn ??= setImmediate(() => {
      turn = undefined;
      const all = [...left];
      left.clear();
      for (const name of all) if (isTerminating(name)) removeIfEmpty(name);
    });
  };
  const look = (object: KubeObject): void => {
    const name = object.metadata.name ?? '';
    if (object.metadata.deletionTimestamp === undefined) furnish(name);
    else empty(name);
  };
  for (const { object } of [...store.list(namespaces)]) look(object);
  const unsubscribe = store.subscribeAll(({ type, entry }) => {
    if (entry.resource === namespaces) {
      if (type !== 'DELETED') look(entry.object);
      return;
    }
    const { namespace } = entry.object.metadata;
    if (namespace !== undefined && isTerminating(namespace) && type === 'DELETED') removeSoon(namespace);
    else if (namespace !== undefined && type === 'DELETED' && isFurniture(entry.resource, entry.object))
      furnish(namespace);
    else if (namespace !== undefined && type === 'ADDED' && isTerminating(namespace)) {
      const late = store.head(entry.resource, namespace, entry.object.metadata.name ?? '')?.object;
      if (late !== undefined && late.metadata.deletionTimestamp === undefined)
        deleteStored(entry.resource, late);
    }
  });
  return () => {
    clearImmediate(turn);
    unsubscribe();
  };
};

const isFurniture = (storage: string, { metadata }: KubeObject): boolean =>
  (storage === '/serviceaccounts' && metadata.name === 'default') ||
  (storage === '/configmaps' && metadata.name === 'kube-root-ca.crt');
