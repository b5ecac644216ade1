/**
 * Reads one attempt's log from its spool: batches of records, from a cursor on, to the end or following it.
 *
 * Reads files only, in steps of 256 KiB, one at a time as the reader asks for them; a reader that is slower than the
 * log grows meets the gap that the spool's bound leaves, as a record that says how many bytes are missing.
 */
import { open } from 'node:fs/promises';

import type { Record as LogRecord } from '../../proto/gen/logs.js';
import { unframe } from './frames.js';
import type { ReadableLog } from './run-logs.js';
import { after, type Segment, type StreamBytes } from './spool.js';

/** Bytes read at once; more than any one record. */
const STEP_BYTES = 256 * 1024;

export type ReadOptions = Readonly<{
  follow: boolean;
  /** Records with a greater seq only. */
  afterSeq: number;
  /** The last so many; 0 for all. */
  tail: number;
  /** '' for both. */
  stream: string;
}>;

/** Bytes between two segments that are no longer kept, as records of their own. */
const gap = (from: StreamBytes, next: Segment, attempt: number): ReadonlyArray<LogRecord> =>
  (['stdout', 'stderr'] as const)
    .map((stream) => ({ stream, droppedBytes: next.before[stream] - from[stream] }))
    .filter(({ droppedBytes }) => droppedBytes > 0)
    .map(({ stream, droppedBytes }, index, all) => ({
      seq: next.firstSeq - all.length + index,
      timeMicros: 0,
      stream,
      line: Buffer.alloc(0),
      partial: true,
      droppedBytes,
      attempt,
    }));

/** Whole records from `offset` on; none when the file is gone or has no more. */
const readStep = async (
  path: string,
  offset: number,
): Promise<Readonly<{ records: ReadonlyArray<LogRecord>; taken: number; isGone: boolean }>> => {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return { records: [], taken: 0, isGone: true };
  try {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(STEP_BYTES), 0, STEP_BYTES, offset);
    return { ...unframe(buffer.subarray(0, bytesRead)), isGone: false };
  } finally {
    await file.close();
  }
};

/**
 * All records, gaps included, until the log's present end; then waits for more if it is to be followed. If it is not,
 * what is written meanwhile is left out, so that the log of a Run that never stops writing has an end, too.
 */
async function* allRecords(
  { segments: present, attempt, isLive, lastSeq }: ReadableLog,
  afterSeq: number,
  changed: (() => Promise<void>) | undefined,
): AsyncGenerator<ReadonlyArray<LogRecord>> {
  const untilSeq = changed ? Number.POSITIVE_INFINITY : lastSeq();
  let current: Segment | undefined;
  let offset = 0;
  let position: StreamBytes | undefined;
  for (;;) {
    // Asked before reading, so that what comes in between is not missed.
    const change = changed?.();
    const wasLive = isLive();
    const segments = present();
    current ??= segments.filter(({ firstSeq }) => firstSeq <= afterSeq + 1).at(-1) ?? segments[0];
    while (current) {
      position ??= current.before;
      const { records, taken, isGone } = await readStep(current.path, offset);
      if (records.length > 0) {
        offset += taken;
        position = records.reduce(after, position);
        const last = records.at(-1)?.seq ?? 0;
        yield last > untilSeq ? records.filter(({ seq }) => seq <= untilSeq) : records;
        if (last >= untilSeq) return;
        continue;
      }
      const here: number = current.firstSeq;
      // A segment with a successor is complete; one without may grow.
      const next: Segment | undefined = (isGone ? present() : segments).find(
        ({ firstSeq }) => firstSeq > here,
      );
      if (!next) break;
      const missing = gap(position, next, attempt);
      if (missing.length > 0) yield missing;
      current = next;
      offset = 0;
      position = next.before;
    }
    if (!change || !wasLive) return;
    await change;
  }
}

/** Batches of records with a greater seq (and perhaps others), in order; each call begins anew. */
export type RecordSource = (afterSeq: number, isLast: boolean) => AsyncIterable<ReadonlyArray<LogRecord>>;

/** Those of a source's records that are asked for. Memory: a number per record of the tail. */
export async function* selectRecords(
  source: RecordSource,
  { afterSeq, tail, stream }: Omit<ReadOptions, 'follow'>,
): AsyncGenerator<ReadonlyArray<LogRecord>> {
  const wanted = (record: LogRecord, from: number): boolean =>
    record.seq > from && (stream === '' || record.stream === stream);
  let from = afterSeq;
  if (tail > 0) {
    const last: number[] = [];
    for await (const records of source(afterSeq, false))
      for (const record of records)
        if (wanted(record, afterSeq)) {
          last.push(record.seq);
          if (last.length > tail) last.shift();
        }
    from = Math.max(afterSeq, (last[0] ?? 1) - 1);
  }
  for await (const records of source(from, true)) {
    const some = records.filter((record) => wanted(record, from));
    if (some.length > 0) yield some;
  }
}

/** Everything up to the log's present end. */
export const wholeLog = (log: ReadableLog): AsyncIterable<ReadonlyArray<LogRecord>> =>
  allRecords(log, 0, undefined);

/**
 * @param changed resolves at the next change of the log, for following; the caller's signal ends the wait by
 *   returning the generator
 */
export const readLog = (
  log: ReadableLog,
  { follow, ...options }: ReadOptions,
  changed: () => Promise<void>,
): AsyncIterable<ReadonlyArray<LogRecord>> =>
  selectRecords(
    (afterSeq, isLast) => allRecords(log, afterSeq, follow && isLast ? changed : undefined),
    options,
  );
