/** What a watch with a selection has to say about a change in the store. */
import type { KubeObject } from '../object.js';
import type { Entry, StoreEvent } from '../store/entry.js';

/** Type of a watch event. */
export type WatchType = 'ADDED' | 'MODIFIED' | 'DELETED';

/** An event as a watcher with a selection sees it: the stored object, or one made for this watcher. */
export type Seen = Readonly<
  { type: WatchType } & ({ entry: Entry } | { entry: undefined; left: KubeObject })
>;

/** The object of an event. One that is stored may have to be parsed for it. */
export const seenObject = (seen: Seen): KubeObject =>
  seen.entry === undefined ? seen.left : seen.entry.object;

/**
 * The event as seen through a selection: an object that comes into the selection is added, one that leaves it is
 * deleted, in its last state inside. Undefined when the watcher has nothing to hear.
 */
export const seenEvent = (event: StoreEvent, includes: (entry: Entry) => boolean): Seen | undefined => {
  const { entry, previous } = event;
  const was = previous !== undefined && includes(previous);
  if (event.type === 'DELETED') return was ? { type: 'DELETED', entry } : undefined;
  const is = includes(entry);
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', entry };
  if (!was || previous === undefined) return undefined;
  const { object } = previous;
  const left: KubeObject = {
    ...object,
    metadata: { ...object.metadata, resourceVersion: String(event.revision) },
  };
  return { type: 'DELETED', left, entry: undefined };
};

/** By what is sent soon after it is written; it must not outlive that by much, being as large as the object's text. */
const lines = new WeakMap<KubeObject, Partial<Record<WatchType, Buffer>>>();
const end = Buffer.from('}\n');
const heads: Readonly<Record<WatchType, Buffer>> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
};

/** The line of a stored object, made once and shared by all watchers while the object is held. */
export const sharedLine = (type: WatchType, entry: Entry): Buffer => {
  const make = (): Buffer => Buffer.concat([heads[type], entry.bytes, end]);
  // From history: nobody else is about to send it.
  if (!entry.isWarm) return make();
  const { object } = entry;
  let known = lines.get(object);
  if (known === undefined) {
    known = {};
    lines.set(object, known);
  }
  known[type] ??= make();
  return known[type];
};
