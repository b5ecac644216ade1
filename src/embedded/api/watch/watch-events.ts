/** What a watch with a selection has to say about a change in the store. */
import type { KubeObject } from '../object.js';
import type { Entry, StoreEvent } from '../store/entry.js';

/** Type of a watch event. */
export type WatchType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** An event as a watcher with a selection sees it; `entry` when the object is exactly the stored one. */
export type Seen = Readonly<{ type: WatchType; object: KubeObject; entry: Entry | undefined }>;

/**
 * The event as seen through a selection: an object that comes into the selection is added, one that leaves it is
 * deleted, in its last state inside. Undefined when the watcher has nothing to hear.
 */
export const seenEvent = (event: StoreEvent, includes: (object: KubeObject) => boolean): Seen | undefined => {
  const { entry, previous } = event;
  const was = previous !== undefined && includes(previous.object);
  if (event.type === 'DELETED') return was ? { type: 'DELETED', object: entry.object, entry } : undefined;
  const is = includes(entry.object);
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', object: entry.object, entry };
  if (!was || previous === undefined) return undefined;
  const left: KubeObject = {
    ...previous.object,
    metadata: { ...previous.object.metadata, resourceVersion: String(event.revision) },
  };
  return { type: 'DELETED', object: left, entry: undefined };
};

const lines = new WeakMap<Entry, Partial<Record<WatchType, Buffer>>>();
const end = Buffer.from('}\n');
const heads: Readonly<Record<WatchType, Buffer>> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
};

/** The line of a stored object, made once and shared by all watchers. */
export const sharedLine = (type: WatchType, entry: Entry): Buffer => {
  let known = lines.get(entry);
  if (known === undefined) {
    known = {};
    lines.set(entry, known);
  }
  known[type] ??= Buffer.concat([heads[type], entry.bytes, end]);
  return known[type];
};
