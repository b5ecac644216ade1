/**
 * The files of a store: `log-<n>` holds the changes after `snapshot-<n>`. A snapshot gets its name only when it is
 * complete and synced; then the files before it are removed.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';

import type { Entry } from './entry.js';
import type { LogRecord } from './record.js';
import { decodeRecords, encodeRecord, syncedBehind } from './record.js';
import { syncFolder } from './sync-folder.js';

const numbersOf = (folder: string, prefix: string): number[] =>
  readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && /^[0-9]+$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((a, b) => a - b);

/** What was read from a folder: the snapshot's records, then the logs' in order. */
export type Recovered = Readonly<{
  snapshot: readonly LogRecord[];
  changes: readonly LogRecord[];
  /** Number of the newest log, which is written next. */
  logNumber: number;
  logBytes: number;
}>;

/** Room that was made for records and not needed (see LogWriter). */
const isUnused = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0);

/** What a person can do about a damaged log. */
const damagedLog = (path: string, at: number): Error =>
  new Error(
    `${path} is damaged at byte ${at}, and more was written after it; restore the folder from a copy, or go on without what follows: truncate -s ${at} ${path}`,
  );

/**
 * Reads a store's folder; creates it when absent. Cuts a torn tail off the newest log: what was being written and was
 * never acknowledged. Throws on damage elsewhere, and where a log is missing.
 */
export const recoverFiles = (folder: string): Recovered => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Of a process that ended while it wrote one.
  for (const name of readdirSync(folder))
    if (/^snapshot-[0-9]+\.tmp$/.test(name)) rmSync(join(folder, name), { force: true });
  const base = numbersOf(folder, 'snapshot-').at(-1) ?? 0;
  const logs = numbersOf(folder, 'log-').filter((n) => n >= base);
  // From the snapshot's own on, each is there: a log is made before the snapshot that it follows.
  const first = Math.max(base, 1);
  if (base > 0 || logs.length > 0)
    for (let n = first; n <= (logs.at(-1) ?? first); n += 1)
      if (!logs.includes(n)) throw new Error(`${join(folder, `log-${n}`)} is missing; restore the folder`);
  let snapshot: LogRecord[] = [];
  if (base > 0) {
    const file = readFileSync(join(folder, `snapshot-${base}`));
    const read = decodeRecords(file);
    if (read.validBytes !== file.length) {
      throw new Error(
        `${join(folder, `snapshot-${base}`)} is damaged at byte ${read.validBytes}; restore the folder`,
      );
    }
    snapshot = read.records;
  }
  const changes: LogRecord[] = [];
  let logBytes = 0;
  let revision = snapshot.find(({ resource }) => resource === '')?.revision ?? 0;
  for (const n of logs) {
    const path = join(folder, `log-${n}`);
    const file = readFileSync(path);
    const read = decodeRecords(file);
    if (read.validBytes !== file.length) {
      if (n !== logs.at(-1) && !isUnused(file.subarray(read.validBytes)))
        throw damagedLog(path, read.validBytes);
      const last = read.records.findLast(({ kind }) => kind !== 'S')?.revision ?? revision;
      if (syncedBehind(file, read.validBytes) > last) throw damagedLog(path, read.validBytes);
      truncateSync(path, read.validBytes);
    }
    for (const record of read.records) {
      if (record.kind === 'S') continue;
      changes.push(record);
      revision = record.revision;
    }
    logBytes = read.validBytes;
  }
  return { snapshot, changes, logNumber: logs.at(-1) ?? Math.max(base, 1), logBytes };
};

/** Entries written to a snapshot before others get a turn. */
const snapshotBatch = 500;

/**
 * Writes a snapshot and, once it is durable, removes the files it replaces. `marker` carries the revision that the
 * snapshot is complete up to. When it cannot be written nothing of it is left, and the files before it stay.
 */
export const writeSnapshot = async (
  folder: string,
  n: number,
  marker: Entry,
  entries: Iterable<Entry>,
): Promise<void> => {
  const temporary = join(folder, `snapshot-${n}.tmp`);
  const file = await open(temporary, 'w', 0o600);
  try {
    let batch: Buffer[] = encodeRecord('D', marker);
    for (const entry of entries) {
      batch.push(...encodeRecord('P', entry));
      if (batch.length >= snapshotBatch * 2) {
        await file.appendFile(Buffer.concat(batch));
        batch = [];
      }
    }
    await file.appendFile(Buffer.concat(batch));
    await file.sync();
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw cause;
  } finally {
    await file.close();
  }
  await rename(temporary, join(folder, `snapshot-${n}`));
  syncFolder(folder);
  for (const old of numbersOf(folder, 'log-')) if (old < n) rmSync(join(folder, `log-${old}`));
  for (const old of numbersOf(folder, 'snapshot-')) if (old < n) rmSync(join(folder, `snapshot-${old}`));
};
