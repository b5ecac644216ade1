/**
 * A log in the artifact store: one object per attempt and pod, its records as they stand in the spool, gaps included.
 * It is written whole each time, so a reader finds an earlier state or a later one, and never half of one.
 */
import { type ArtifactOwner, logKey, runPrefix } from '../../decide/artifacts/keys.js';
import type { Record as LogRecord } from '../../proto/gen/logs.js';
import { type ArtifactStore, StoreError } from '../artifacts/store.js';
import { frame, MAX_FRAME, STORED_HEAD, unframe } from './frames.js';
import { type ReadOptions, selectRecords, wholeLog } from './read.js';
import type { ReadableLog } from './run-logs.js';

/** Media type of the object. */
const STORED_TYPE = 'application/vnd.kruntimes.log';

/** The object's bytes: the log up to its present end. */
async function* storedBytes(log: ReadableLog): AsyncGenerator<Buffer> {
  if (log.short) {
    yield Buffer.concat([STORED_HEAD, ...log.short]);
    return;
  }
  let head = STORED_HEAD;
  for await (const records of wholeLog(log)) {
    yield Buffer.concat([head, frame(records)]);
    head = Buffer.alloc(0);
  }
  if (head.length > 0) yield head;
}

/** Writes it; resolves to its size. Rejects with a StoreError. */
export const storeLog = async (store: ArtifactStore, key: string, log: ReadableLog): Promise<number> => {
  let size = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const bytes of storedBytes(log)) {
      size += bytes.length;
      yield bytes;
    }
  };
  await store.write(key, counted(), { contentType: STORED_TYPE, sync: false });
  return size;
};

const damaged = (store: ArtifactStore, key: string): StoreError =>
  new StoreError('Refused', `${key} in ${store.name} is damaged; what is whole of the log came before`);

async function* storedRecords(store: ArtifactStore, key: string): AsyncGenerator<ReadonlyArray<LogRecord>> {
  const stream = await store.read(key, 0);
  let held: Buffer = Buffer.alloc(0);
  let isBegun = false;
  for await (const chunk of stream) {
    held = held.length === 0 ? Buffer.from(chunk) : Buffer.concat([held, Buffer.from(chunk)]);
    if (!isBegun) {
      if (held.length < STORED_HEAD.length) continue;
      if (!held.subarray(0, STORED_HEAD.length).equals(STORED_HEAD))
        throw new StoreError('Refused', `${key} in ${store.name} is no log of this version of kruntimes`);
      held = held.subarray(STORED_HEAD.length);
      isBegun = true;
    }
    const { records, taken } = unframe(held);
    held = held.subarray(taken);
    if (records.length > 0) yield records;
    // What follows cannot be told apart any more; it is not gathered.
    if (held.length >= MAX_FRAME) throw damaged(store, key);
  }
  if (!isBegun || held.length > 0) throw damaged(store, key);
}

/** Reads it. Rejects with a StoreError, NotFound where there is none. */
export const readStored = (
  store: ArtifactStore,
  key: string,
  options: Omit<ReadOptions, 'follow'>,
): AsyncIterable<ReadonlyArray<LogRecord>> => selectRecords(() => storedRecords(store, key), options);

/**
 * Reads what one pod had of an attempt, whichever installation it belonged to: first where a pod of ours would have put
 * it. Rejects with a StoreError, NotFound where there is none.
 */
export async function* findStored(
  store: ArtifactStore,
  owner: ArtifactOwner,
  podUid: string,
  installation: string | undefined,
  options: Omit<ReadOptions, 'follow'>,
): AsyncGenerator<ReadonlyArray<LogRecord>> {
  let hasBegun = false;
  try {
    for await (const records of readStored(store, logKey(owner, podUid, installation), options)) {
      hasBegun = true;
      yield records;
    }
    return;
  } catch (cause) {
    if (hasBegun || !(cause instanceof StoreError) || cause.kind !== 'NotFound') throw cause;
  }
  const named = logKey(owner, podUid);
  let other = named;
  for await (const { key } of store.list(runPrefix(owner))) if (key.startsWith(`${named}.`)) other = key;
  yield* readStored(store, other, options);
}
