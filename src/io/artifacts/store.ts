/**
 * The port to an artifact store, and the one way to put something into it. Drivers: `filesystem.ts`, `gcs.ts`,
 * `s3.ts`; they pass one contract suite (test/io/artifacts/contract.ts).
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';

/** One object of a store. */
export type StoredKey = Readonly<{
  key: string;
  sizeBytes: number;
  /** When it became what it is, milliseconds since the epoch by the store's clock. */
  modifiedMs: number;
}>;

export type WriteOptions = Readonly<{
  contentType: string;
  signal?: AbortSignal;
  /** False: it need not survive a power cut of this machine, which makes a small one cheaper. */
  sync?: boolean;
}>;

/**
 * A store. Every call rejects with a StoreError, and with nothing else but what the bytes given to `write` throw.
 *
 * Guarantees: constant memory; an object is there whole or not at all, also when the process is killed meanwhile;
 * writing a key again replaces it.
 */
export type ArtifactStore = Readonly<{
  driver: 'filesystem' | 'gcs' | 's3';
  /** In words, for messages. */
  name: string;
  /** Resolves to the location when the object is durable and visible. Aborting leaves nothing visible. */
  write: (key: string, bytes: AsyncIterable<Buffer>, options: WriteOptions) => Promise<string>;
  /** The object from a byte on. NotFound when it is not there. */
  read: (key: string, fromByte: number) => Promise<Readable>;
  /** Objects whose keys begin with `prefix`, which ends in a slash; in no particular order. */
  list: (prefix: string) => AsyncIterable<StoredKey>;
  /** All that is below a namespace, the objects of one Run together. For looking alone: `remove` takes no less than a Run. */
  listNamespace: (namespace: string) => AsyncIterable<StoredKey>;
  /** Removes every object below `prefix`, which ends in a slash. None there is fine, and so is a second time. */
  remove: (prefix: string) => Promise<void>;
  /** Removes what writes of this owner that never ended have left. */
  sweep: () => Promise<void>;
}>;

/** Why a store did not do it. Refused: it said no, and will say no again. */
export type StoreErrorKind = 'Unavailable' | 'Full' | 'Refused' | 'NotFound';

/** A failed call. The message says what happened to which object and holds no secret. */
export class StoreError extends Error {
  constructor(
    readonly kind: StoreErrorKind,
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.name = 'StoreError';
  }
}

/** Whether the same call may succeed later without anybody doing anything about it. */
export const isWorthRetrying = (error: unknown): boolean =>
  error instanceof StoreError && (error.kind === 'Unavailable' || error.kind === 'Full');

/** What became of one artifact. */
export type StoredArtifact = Readonly<{
  location: string;
  sizeBytes: number;
  /** `sha256:` and 64 hex digits, of what is stored. */
  digest: string;
}>;

/**
 * Streams the bytes into the store, counting and hashing them on their way.
 *
 * @throws what `bytes` throws; else StoreError
 */
export const putArtifact = async (
  store: ArtifactStore,
  key: string,
  bytes: AsyncIterable<Buffer>,
  options: Readonly<{ contentType: string; signal?: AbortSignal }>,
): Promise<StoredArtifact> => {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let failure: Readonly<{ cause: unknown }> | undefined;
  // Not for await: what a driver throws into this generator, to end it, is no failure of the source.
  const measured = async function* (): AsyncGenerator<Buffer> {
    const source = bytes[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await source.next().catch((cause: unknown) => {
          failure = { cause };
          throw cause;
        });
        if (next.done) return;
        hash.update(next.value);
        sizeBytes += next.value.length;
        yield next.value;
      }
    } finally {
      if (!failure) await source.return?.();
    }
  };
  try {
    const location = await store.write(key, measured(), options);
    return { location, sizeBytes, digest: `sha256:${hash.digest('hex')}` };
  } catch (cause) {
    // A driver's library may wrap what the source threw.
    if (failure) throw failure.cause;
    throw cause;
  }
};
