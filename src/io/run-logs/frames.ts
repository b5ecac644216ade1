/**
 * How records stand in a spool file. A flood is mostly tiny lines, so both ways are one pass over one buffer, without
 * an object per field: length (4 bytes), seq (6), time (8, a double), flags (1), attempt (4), bytes dropped (6), line.
 */
import type { Record as LogRecord } from '../../proto/gen/logs.js';

/** Bytes of a record beside its line. */
const HEADER = 29;
/** What a log in the artifact store begins with: the form of what follows. */
export const STORED_HEAD = Buffer.from('krt log 1\n');
/** No line is longer: anything else is a torn or foreign file. */
const MAX_LINE = 64 * 1024;
/** So many bytes that begin with no whole record never will. */
export const MAX_FRAME = HEADER + MAX_LINE;
const STDERR = 1;
const PARTIAL = 2;

/** Records as they are appended. */
export const frame = (records: ReadonlyArray<LogRecord>): Buffer => {
  const bytes = Buffer.allocUnsafe(records.reduce((sum, { line }) => sum + HEADER + line.length, 0));
  let at = 0;
  for (const { seq, timeMicros, stream, line, partial, droppedBytes, attempt } of records) {
    bytes.writeUInt32LE(line.length, at);
    bytes.writeUIntLE(seq, at + 4, 6);
    bytes.writeDoubleLE(timeMicros, at + 10);
    bytes[at + 18] = (stream === 'stderr' ? STDERR : 0) | (partial ? PARTIAL : 0);
    bytes.writeUInt32LE(attempt, at + 19);
    bytes.writeUIntLE(droppedBytes, at + 23, 6);
    bytes.set(line, at + HEADER);
    at += HEADER + line.length;
  }
  return bytes;
};

/** Whole records at the start of `bytes`, and how many bytes they take; a torn or damaged record and what follows is left. */
export const unframe = (bytes: Buffer): Readonly<{ records: ReadonlyArray<LogRecord>; taken: number }> => {
  const records: LogRecord[] = [];
  let at = 0;
  while (at + HEADER <= bytes.length) {
    const length = bytes.readUInt32LE(at);
    if (length > MAX_LINE || at + HEADER + length > bytes.length) break;
    const flags = bytes[at + 18] ?? 0;
    const timeMicros = bytes.readDoubleLE(at + 10);
    // No message could carry it.
    if (!Number.isSafeInteger(timeMicros)) break;
    records.push({
      seq: bytes.readUIntLE(at + 4, 6),
      timeMicros,
      stream: (flags & STDERR) === 0 ? 'stdout' : 'stderr',
      line: bytes.subarray(at + HEADER, at + HEADER + length),
      partial: (flags & PARTIAL) !== 0,
      droppedBytes: bytes.readUIntLE(at + 23, 6),
      attempt: bytes.readUInt32LE(at + 19),
    });
    at += HEADER + length;
  }
  return { records, taken: at };
};
