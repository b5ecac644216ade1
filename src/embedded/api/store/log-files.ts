/**
 * The files of a store: `log-<n>` holds the changes after `snapshot-<n>`. A snapshot gets its name only when it is
 * complete and synced; then the files before it are removed.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';

import type { Entry } from './entry.js';
import type { LogRecord } from './record.js';
import { decodeRecords, encodeRecord } from './record.js';
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

/** Reads a store's folder; creates it when absent. Cuts a torn tail off the newest log. Throws on damage elsewhere. */
export const recoverFiles = (folder: string): Recovered => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const base = numbersOf(folder, 'snapshot-').at(-1) ?? 0;
  const logs = numbersOf(folder, 'log-').filter((n) => n >= base);
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
  for (const n of logs) {
    const path = join(folder, `log-${n}`);
    const file = readFileSync(path);
    const read = decodeRecords(file);
    if (read.validBytes !== file.length) {
      if (n !== logs.at(-1) && !isUnused(file.subarray(read.validBytes)))
        throw new Error(`${path} is damaged at byte ${read.validBytes}; restore the folder`);
      truncateSync(path, read.validBytes);
    }
    for (const record of read.records) changes.push(record);
    logBytes = read.validBytes;
  }
  return { snapshot, changes, logNumber: logs.at(-1) ?? Math.max(base, 1), logBytes };
};

/** Entries written to a snapshot before others get a turn. */
const snapshotBatch = 500;

/**
 * Writes a snapshot and, once it is durable, removes the files it replaces. `marker` carries the revision that the
 * snapshot is complete up to.
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
  } finally {
    await file.close();
  }
  await rename(temporary, join(folder, `snapshot-${n}`));
  syncFolder(folder);
  for (const old of numbersOf(folder, 'log-')) if (old < n) rmSync(join(folder, `log-${old}`));
  for (const old of numbersOf(folder, 'snapshot-')) if (old < n) rmSync(join(folder, `snapshot-${old}`));
};
