/** The Kubernetes API as the commands use it: promises and callbacks, failures thrown as Failure. */
import type { Duplex } from 'node:stream';

import type { Resource } from '../../model/resource.js';
import type { DeleteOptions, ObjectRef, Patch, Selection, WriteOptions } from '../../ports.js';
import type { Ears } from './watch-objects.js';

/** All of a list, over all its pages. */
export type List = Readonly<{ items: ReadonlyArray<unknown>; resourceVersion: string }>;

/** A column as the server describes it; a priority above 0 is for `-o wide`. */
export type Column = Readonly<{ name: string; type: string; priority: number }>;
/** A line of a table, and whose it is. */
export type Row = Readonly<{
  cells: ReadonlyArray<unknown>;
  uid: string;
  namespace: string;
  name: string;
  resourceVersion: string;
}>;
/** metav1.Table, over all pages. */
export type Table = Readonly<{
  columns: ReadonlyArray<Column>;
  rows: ReadonlyArray<Row>;
  resourceVersion: string;
}>;

/** An object and what is needed to follow it. */
export type Watched = Readonly<{ uid: string; resourceVersion: string; name: string; object: unknown }>;

/** One cluster. Every call may throw a Failure; each watch ends when the function it returned is called. */
export type Api = Readonly<{
  /** `https://host:port`, for messages. */
  server: string;
  get: (resource: Resource, ref: ObjectRef) => Promise<unknown>;
  list: (resource: Resource, selection: Selection) => Promise<List>;
  /** The same as rows; of one object when given its name. */
  table: (resource: Resource, what: Selection | ObjectRef) => Promise<Table>;
  create: (resource: Resource, namespace: string, body: unknown, options?: WriteOptions) => Promise<unknown>;
  patch: (resource: Resource, ref: ObjectRef, patch: Patch, options?: WriteOptions) => Promise<unknown>;
  delete: (resource: Resource, ref: ObjectRef, options?: DeleteOptions) => Promise<unknown>;
  /** A connection to a port of a pod, the receiver's to destroy. */
  openPort: (pod: ObjectRef, port: number) => Promise<Duplex>;
  /** The log of one container as it comes, to its present end or followed; `stop` ends it early, without an error. */
  podLog: (
    pod: ObjectRef,
    options: Readonly<{ container: string; follow: boolean }>,
    chunk: (bytes: Uint8Array) => void,
  ) => Readonly<{ done: Promise<void>; stop: () => void }>;
  watch: (resource: Resource, selection: Selection, ears: Ears<Watched>) => () => void;
  /** Rows as they are and change; `columns` is told first and again after each new list. */
  watchTable: (
    resource: Resource,
    selection: Selection,
    ears: Ears<Row> & Readonly<{ columns: (columns: ReadonlyArray<Column>) => void }>,
  ) => () => void;
}>;
