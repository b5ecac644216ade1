/**
 * The durable store of objects: an append-only log, group-committed, with everything in memory.
 *
 * Guarantees: `durable()` resolves only when all changes made before it are on disk. Reads (`get`, `list`, watches)
 * see a change only when it is durable, so nobody can observe a state that a crash then loses. Writers decide on
 * `head`, which includes changes not yet durable, and must await `durable()` before they answer anything, an error
 * included. Revisions are the log's order; they are the objects' resource versions.
 *
 * A store that is opened goes on a billion revisions further. One that was put back to an earlier state cannot give a
 * revision of the state that is gone to something else: who asks for what came after it is told that nobody knows.
 *
 * Cost: all changes that arrive while one sync runs share the next one.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import sortedBTree from 'sorted-btree';

import { takeLock } from '../../lock.js';
import type { KubeObject } from '../object.js';
import { isKubeObject } from '../object.js';
import type { Entry, StoreEvent } from './entry.js';
import { entryKey, entryOf, hasSameSpec, makeEntry } from './entry.js';
import { History } from './history.js';
import { recoverFiles, writeSnapshot } from './log-files.js';
import { LogWriter, SyncFailed } from './log-writer.js';
import type { LogRecord } from './record.js';
import { encodeRecord, encodeSynced } from './record.js';

/** Options of a store. */
export type StoreOptions = Readonly<{
  folder: string;
  /** Log size from which a snapshot is taken, bytes; it must also be twice the live data. Default 64 MiB. */
  snapshotBytes?: number;
  /** The clock by which old changes are forgotten. Default: the machine's. */
  nowMs?: () => number;
  /** Age from which changes are forgotten, milliseconds. Default: five minutes. */
  historyMs?: number | undefined;
  /** Called when the disk failed in a way that leaves the state unknown: the process has to end. */
  onFatal?: (error: Error) => void;
}>;

/** Entries of one resource in key order. */
export type Tree = sortedBTree.default<string, Entry>;

type Table = {
  tree: Tree;
  /** The newest change of each key that is not yet durable. */
  pending: Map<string, Pick<Change, 'kind' | 'entry'>>;
  history: History;
  listeners: Set<(event: StoreEvent) => void>;
};

/** Revisions left out when a store is opened: more than can be lost with what was written since a copy of it. */
const LEAP = 1_000_000_000;

type Change = Readonly<{ kind: 'P' | 'D'; entry: Entry; parts: Buffer[] }>;
type Waiter = Readonly<{ resolve: () => void; reject: (error: Error) => void }>;

const newTree = (): Tree =>
  new sortedBTree.default<string, Entry>(undefined, (a, b) => (a < b ? -1 : a > b ? 1 : 0));

const objectOfRecord = (record: LogRecord): KubeObject => {
  const object: unknown = JSON.parse(record.text.toString());
  if (!isKubeObject(object))
    throw new Error(`the log holds something that is no object, at revision ${record.revision}`);
  return object;
};

const noSpec = Buffer.from('null');

/**
 * The record of a change: without a long spec that is as before, so that a status costs what a status weighs.
 */
const recordOf = (kind: 'P' | 'D', entry: Entry, before: Entry | undefined): Buffer[] => {
  const { bytes, spec } = entry;
  return spec === undefined || kind === 'D' || !hasSameSpec(entry.object, before)
    ? encodeRecord(kind, entry)
    : encodeRecord('U', entry, [bytes.subarray(0, spec.from), noSpec, bytes.subarray(spec.to)]);
};

/** See the head of the file. */
export class Store {
  readonly #folder: string;
  readonly #snapshotBytes: number;
  readonly #nowMs: () => number;
  readonly #historyMs: number | undefined;
  readonly #onFatal: (error: Error) => void;
  readonly #tables = new Map<string, Table>();
  readonly #allListeners = new Set<(event: StoreEvent) => void>();
  readonly #unlock: () => void;
  #log: LogWriter;
  #logNumber: number;
  #liveBytes = 0;
  #floor = 0;
  #headRevision = 0;
  #durableRevision = 0;
  /** The newest revision of before, and that from which this store went on. */
  #leap = { from: 0, to: 0 };
  #queue: Change[] = [];
  #waiters: Waiter[] = [];
  #flushing: Promise<void> | undefined;
  #snapshotting: Promise<void> | undefined;
  #closed = false;

  private constructor(options: StoreOptions, unlock: () => void, log: LogWriter, logNumber: number) {
    this.#folder = options.folder;
    this.#snapshotBytes = options.snapshotBytes ?? 64 * 1024 * 1024;
    this.#nowMs = options.nowMs ?? Date.now;
    this.#historyMs = options.historyMs;
    this.#onFatal = options.onFatal ?? (() => undefined);
    this.#unlock = unlock;
    this.#log = log;
    this.#logNumber = logNumber;
  }

  /** Opens the store of a folder, or a new one. Throws when another process has it or a file is damaged. */
  static async open(options: StoreOptions): Promise<Store> {
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    const lock = takeLock(join(options.folder, 'lock'));
    if (E.isLeft(lock))
      throw new Error(
        `${options.folder} is in use by process ${lock.left}; stop it or choose another data folder`,
      );
    const unlock = lock.right;
    try {
      const recovered = recoverFiles(options.folder);
      const log = await LogWriter.open(options.folder, recovered.logNumber, recovered.logBytes);
      const store = new Store(options, unlock, log, recovered.logNumber);
      store.#recover(recovered.snapshot, recovered.changes);
      return store;
    } catch (error) {
      unlock();
      throw error;
    }
  }

  /** Newest durable revision. */
  get revision(): number {
    return this.#durableRevision;
  }

  /** Newest version that is durable. */
  get(resource: string, namespace: string | undefined, name: string): Entry | undefined {
    return this.#tables.get(resource)?.tree.get(entryKey(namespace, name));
  }

  /** Newest version, perhaps not yet durable: only to decide on a write. */
  head(resource: string, namespace: string | undefined, name: string): Entry | undefined {
    const table = this.#tables.get(resource);
    if (table === undefined) return undefined;
    const key = entryKey(namespace, name);
    const pending = table.pending.get(key);
    if (pending === undefined) return table.tree.get(key);
    return pending.kind === 'D' ? undefined : pending.entry;
  }

  /** The durable entries of a resource, as a tree that does not change any more. Costs nothing. */
  snapshot(resource: string): Tree {
    return this.#table(resource).tree.clone();
  }

  /** The durable entries of a resource in key order, of one namespace when one is given. */
  *list(resource: string, namespace?: string): Generator<Entry> {
    const tree = this.#tables.get(resource)?.tree;
    if (tree === undefined) return;
    const prefix = namespace === undefined || namespace === '' ? '' : `${namespace}/`;
    for (const [key, entry] of tree.entries(prefix)) {
      if (!key.startsWith(prefix)) return;
      yield entry;
    }
  }

  /** How many durable entries a resource has. */
  count(resource: string): number {
    return this.#tables.get(resource)?.tree.size ?? 0;
  }

  /** Names of all resources that have or had entries. */
  resources(): string[] {
    return [...this.#tables.keys()];
  }

  /** Writes an object's new version; await `durable()` before telling anybody. */
  put(resource: string, object: KubeObject): Entry {
    this.#headRevision += 1;
    const { namespace, name = '' } = object.metadata;
    const before = this.head(resource, namespace, name);
    const entry = makeEntry(resource, object, this.#headRevision, before);
    this.#enqueue('P', entry, before);
    return entry;
  }

  /** Removes an object, given its last state; await `durable()` before telling anybody. */
  remove(resource: string, object: KubeObject): Entry {
    this.#headRevision += 1;
    const entry = makeEntry(resource, object, this.#headRevision, undefined);
    this.#enqueue('D', entry, undefined);
    return entry;
  }

  /** Resolves when every change made so far is on disk; rejects when it could not be written and was undone. */
  durable(): Promise<void> {
    if (this.#durableRevision === this.#headRevision) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Durable changes of a resource after a revision; undefined when they are no longer known. */
  since(resource: string, revision: number): StoreEvent[] | undefined {
    const { from, to } = this.#leap;
    return revision > from && revision < to ? undefined : this.#table(resource).history.after(revision);
  }

  /** Oldest revision from which a watch of the resource can start. */
  floor(resource: string): number {
    return this.#table(resource).history.floor;
  }

  /** Calls the listener for every durable change of a resource from now on. Returns how to stop it. */
  subscribe(resource: string, listener: (event: StoreEvent) => void): () => void {
    const { listeners } = this.#table(resource);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Calls the listener for every durable change of any resource. */
  subscribeAll(listener: (event: StoreEvent) => void): () => void {
    this.#allListeners.add(listener);
    return () => this.#allListeners.delete(listener);
  }

  /** Writes what is queued, then closes the files and gives the folder back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.durable().catch(() => undefined);
    this.#closed = true;
    await this.#flushing;
    await this.#snapshotting;
    await this.#log.close();
    this.#unlock();
  }

  #table(resource: string): Table {
    let table = this.#tables.get(resource);
    if (table === undefined) {
      table = {
        tree: newTree(),
        pending: new Map(),
        history: new History(this.#floor, this.#historyMs),
        listeners: new Set(),
      };
      this.#tables.set(resource, table);
    }
    return table;
  }

  #recover(snapshot: readonly LogRecord[], changes: readonly LogRecord[]): void {
    for (const record of snapshot) {
      if (record.resource === '') {
        this.#floor = record.revision;
        this.#durableRevision = record.revision;
        continue;
      }
      const entry = entryOf(
        record.resource,
        objectOfRecord(record),
        record.revision,
        Buffer.from(record.text),
      );
      this.#table(record.resource).tree.set(entry.key, entry);
      this.#liveBytes += entry.bytes.length;
    }
    const nowMs = this.#nowMs();
    for (const record of changes) {
      if (record.revision <= this.#floor) continue;
      this.#apply(record.kind === 'D' ? 'D' : 'P', this.#entryOfChange(record), nowMs);
    }
    const from = this.#durableRevision;
    this.#leap = { from, to: from > 0 ? from + LEAP : 0 };
    this.#durableRevision = this.#leap.to;
    this.#headRevision = this.#leap.to;
  }

  /** Newest revision that a record has: there is none of those that were left out. */
  get #recordedRevision(): number {
    const { from, to } = this.#leap;
    return this.#durableRevision === to ? from : this.#durableRevision;
  }

  #entryOfChange(record: LogRecord): Entry {
    const object = objectOfRecord(record);
    if (record.kind !== 'U')
      return entryOf(record.resource, object, record.revision, Buffer.from(record.text));
    const before = this.get(record.resource, object.metadata.namespace, object.metadata.name ?? '');
    if (before === undefined)
      throw new Error(`the log changes an object that is not there, at revision ${record.revision}`);
    object.spec = before.object.spec;
    return entryOf(record.resource, object, record.revision, Buffer.from(JSON.stringify(object)));
  }

  #apply(kind: 'P' | 'D', entry: Entry, nowMs: number): void {
    const table = this.#table(entry.resource);
    const previous = table.tree.get(entry.key);
    this.#liveBytes -= previous?.bytes.length ?? 0;
    if (kind === 'P') {
      table.tree.set(entry.key, entry);
      this.#liveBytes += entry.bytes.length;
    } else {
      table.tree.delete(entry.key);
    }
    if (table.pending.get(entry.key)?.entry === entry) table.pending.delete(entry.key);
    this.#durableRevision = entry.revision;
    const event: StoreEvent = {
      type: kind === 'D' ? 'DELETED' : previous === undefined ? 'ADDED' : 'MODIFIED',
      revision: entry.revision,
      entry,
      previous,
    };
    table.history.push(event, nowMs);
    for (const listener of table.listeners) listener(event);
    for (const listener of this.#allListeners) listener(event);
  }

  #enqueue(kind: 'P' | 'D', entry: Entry, before: Entry | undefined): void {
    if (this.#closed) throw new Error('the store is closed');
    this.#table(entry.resource).pending.set(entry.key, { kind, entry });
    this.#queue.push({ kind, entry, parts: recordOf(kind, entry, before) });
    this.#flushing ??= this.#flush();
  }

  async #flush(): Promise<void> {
    // Lets everything that was decided in this turn of the event loop into the first batch.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue;
      const waiters = this.#waiters;
      this.#queue = [];
      this.#waiters = [];
      const buffers = [encodeSynced(this.#recordedRevision), ...batch.flatMap(({ parts }) => parts)];
      try {
        await this.#append(buffers);
      } catch (error) {
        await this.#undo(batch, waiters, error instanceof Error ? error : new Error(String(error)));
        continue;
      }
      const nowMs = this.#nowMs();
      for (const { kind, entry } of batch) this.#apply(kind, entry, nowMs);
      // Of all resources: one that is written no more would keep what it has.
      for (const { history } of this.#tables.values()) history.expire(nowMs);
      for (const { resolve } of waiters) resolve();
      await this.#rotateWhenLarge();
    }
    this.#flushing = undefined;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  async #append(buffers: Buffer[]): Promise<void> {
    try {
      await this.#log.append(Buffer.concat(buffers));
    } catch (error) {
      if (error instanceof SyncFailed) this.#onFatal(error);
      throw error;
    }
  }

  /**
   * A batch could not be written (disk full): it and all that built on it never happened. The log is cut back before
   * anybody is told, and before anything else is written: a cut that comes later takes what was written then.
   */
  async #undo(batch: readonly Change[], waiters: readonly Waiter[], error: Error): Promise<void> {
    const lost = [...batch, ...this.#queue.splice(0)];
    const told = [...waiters, ...this.#waiters.splice(0)];
    for (const { entry } of lost) this.#table(entry.resource).pending.clear();
    this.#headRevision = this.#durableRevision;
    try {
      await this.#log.cutBack();
    } catch (cause) {
      this.#onFatal(new Error('the log could not be cut back', { cause }));
    }
    for (const { reject } of told) reject(error);
  }

  async #rotateWhenLarge(): Promise<void> {
    if (
      this.#snapshotting !== undefined ||
      this.#log.bytes <= Math.max(this.#snapshotBytes, 2 * this.#liveBytes)
    )
      return;
    const next = this.#logNumber + 1;
    let log: LogWriter;
    try {
      log = await LogWriter.open(this.#folder, next, 0);
    } catch {
      // The disk is full, or read-only: the log that there is grows on while it can.
      return;
    }
    await this.#log.close();
    this.#log = log;
    this.#logNumber = next;
    const trees = [...this.#tables.values()].map(({ tree }) => tree.clone());
    const marker = entryOf(
      '',
      { apiVersion: '', kind: '', metadata: {} },
      this.#durableRevision,
      Buffer.alloc(0),
    );
    const entries = (function* (): Generator<Entry> {
      for (const tree of trees) yield* tree.values();
    })();
    this.#snapshotting = writeSnapshot(this.#folder, next, marker, entries)
      // All logs since the last one are there still, and the next is written when this one is large.
      .catch(() => undefined)
      .finally(() => {
        this.#snapshotting = undefined;
      });
  }
}
