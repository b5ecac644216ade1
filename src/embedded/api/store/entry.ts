/**
 * One version of one object, as it is kept, logged and sent.
 *
 * Its JSON text is kept as long as the version; what it parses to, and what others remember of that by identity, only
 * for the `WARM` versions last written or looked at. An object takes many times its text in memory, and most of what a
 * server keeps is history that nobody reads: 100,000 finished Runs are to cost their text.
 */
import type { KubeObject } from '../object.js';
import { isKubeObject } from '../object.js';
import type { Encoded, SpecRange } from './encode.js';
import { encodeObject } from './encode.js';

/** Versions whose objects are held. Enough for all that is written within a second or two. */
const WARM = 1_024;

/** What selectors look at, so that a list with one need not parse everything each time. */
export type Facets = Readonly<{
  /** Whose fields these are: some stored objects are served as two types. */
  of: unknown;
  labels: Readonly<Record<string, string>> | undefined;
  fields: Readonly<Record<string, string>>;
}>;

/** An object version. `bytes` is its JSON text, made once and used by the log, by reads and by all watchers. */
export type Entry = Readonly<{
  /** Storage resource, `<group>/<plural>` with an empty group for core. */
  resource: string;
  /** Sort key within the resource: `<namespace>/<name>`, or the name of a cluster-wide object. */
  key: string;
  revision: number;
  /** Parsed again where it is no longer held: ask once for what is done with it. */
  object: KubeObject;
  /** Whether it is held. */
  isWarm: boolean;
  bytes: Buffer;
  /** Where in `bytes` a long spec is; unknown of those that were read from the log. */
  spec: SpecRange | undefined;
}> & {
  /** Kept by whoever selects, see verbs/selection.ts. */
  facets: Facets | undefined;
};

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

const parsed = (bytes: Buffer): KubeObject => {
  const object: unknown = JSON.parse(bytes.toString());
  if (!isKubeObject(object)) throw new Error('a stored version is no object');
  return object;
};

/** The versions that are warm, the one warmed longest ago first: a ring. */
const warm: (Version | undefined)[] = new Array<Version | undefined>(WARM).fill(undefined);
let next = 0;

class Version implements Entry {
  readonly resource: string;
  readonly key: string;
  readonly revision: number;
  readonly spec: SpecRange | undefined;
  facets: Facets | undefined;
  #bytes: Buffer;
  #object: KubeObject | undefined;

  constructor(resource: string, key: string, revision: number, { bytes, spec }: Encoded, object: KubeObject) {
    this.resource = resource;
    this.spec = spec;
    this.key = key;
    this.revision = revision;
    this.facets = undefined;
    this.#bytes = bytes;
    this.#object = object;
    this.#warm();
  }

  get bytes(): Buffer {
    return this.#bytes;
  }

  get isWarm(): boolean {
    return this.#object !== undefined;
  }

  get object(): KubeObject {
    if (this.#object === undefined) {
      this.#object = parsed(this.#bytes);
      this.#warm();
    }
    return this.#object;
  }

  #warm(): void {
    warm[next]?.cool();
    warm[next] = this;
    next = (next + 1) % WARM;
  }

  cool(): void {
    this.#object = undefined;
    // A small Buffer is a part of a larger one, which it alone would keep.
    if (this.#bytes.buffer.byteLength > this.#bytes.length) {
      const own = Buffer.allocUnsafeSlow(this.#bytes.length);
      this.#bytes.copy(own);
      this.#bytes = own;
    }
  }
}

const keyOf = ({ metadata: { namespace, name = '' } }: KubeObject): string => entryKey(namespace, name);

/** Makes an entry: sets the resource version and serialises. `before` is the version that it follows. */
export const makeEntry = (
  resource: string,
  object: KubeObject,
  revision: number,
  before: Entry | undefined,
): Entry => {
  const versioned: KubeObject = {
    ...object,
    metadata: { ...object.metadata, resourceVersion: String(revision) },
  };
  const encoded = encodeObject(versioned, hasSameSpec(object, before) ? before : undefined);
  return new Version(resource, keyOf(object), revision, encoded, versioned);
};

/** Whether the spec is the very one of the version before. One that is not held is not parsed for it. */
export const hasSameSpec = (object: KubeObject, before: Entry | undefined): boolean =>
  object.spec !== undefined && before?.isWarm === true && before.object.spec === object.spec;

/** An entry from what is already serialised. */
export const entryOf = (resource: string, object: KubeObject, revision: number, bytes: Buffer): Entry =>
  new Version(resource, keyOf(object), revision, { bytes, spec: undefined }, object);
