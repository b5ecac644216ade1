/** One version of one object, as it is kept, logged and sent. */
import type { KubeObject } from '../object.js';

/** An object version. `bytes` is its JSON text, made once and used by the log, by reads and by all watchers. */
export type Entry = Readonly<{
  /** Storage resource, `<group>/<plural>` with an empty group for core. */
  resource: string;
  /** Sort key within the resource: `<namespace>/<name>`, or the name of a cluster-wide object. */
  key: string;
  revision: number;
  object: KubeObject;
  bytes: Buffer;
}>;

/** A durable change, in the order of revisions. */
export type StoreEvent = Readonly<{
  type: 'ADDED' | 'MODIFIED' | 'DELETED';
  revision: number;
  /** The new version; of a deleted object the last one, with the deletion's revision. */
  entry: Entry;
  previous: Entry | undefined;
}>;

/** Sort key of an object within its resource. */
export const entryKey = (namespace: string | undefined, name: string): string =>
  namespace === undefined || namespace === '' ? name : `${namespace}/${name}`;

/** Makes an entry: sets the resource version and serialises. */
export const makeEntry = (resource: string, object: KubeObject, revision: number): Entry => {
  const versioned: KubeObject = {
    ...object,
    metadata: { ...object.metadata, resourceVersion: String(revision) },
  };
  return entryOf(resource, versioned, revision, Buffer.from(JSON.stringify(versioned)));
};

/** An entry from what is already serialised. */
export const entryOf = (resource: string, object: KubeObject, revision: number, bytes: Buffer): Entry => ({
  resource,
  key: entryKey(object.metadata.namespace, object.metadata.name ?? ''),
  revision,
  object,
  bytes,
});
