/** How records stand in a spool file: four bytes of length, little endian, then the record as in logs.proto. */
import { Record as LogRecord } from '../../proto/gen/logs.js';

/** Bytes before each record. */
const HEADER = 4;
/** No record is longer: a line is at most 64 KiB. Anything else is a torn or foreign file. */
const MAX_RECORD = 128 * 1024;

/** One record as it is appended. */
export const frame = (record: LogRecord): Buffer => {
  const body = LogRecord.encode(record).finish();
  const bytes = Buffer.allocUnsafe(HEADER + body.length);
  bytes.writeUInt32LE(body.length, 0);
  bytes.set(body, HEADER);
  return bytes;
};

/** Whole records at the start of `bytes`, and how many bytes they take; a torn record at the end is left. */
export const unframe = (bytes: Buffer): Readonly<{ records: ReadonlyArray<LogRecord>; taken: number }> => {
  const records: LogRecord[] = [];
  let at = 0;
  while (at + HEADER <= bytes.length) {
    const length = bytes.readUInt32LE(at);
    if (length > MAX_RECORD || at + HEADER + length > bytes.length) break;
    records.push(LogRecord.decode(bytes.subarray(at + HEADER, at + HEADER + length)));
    at += HEADER + length;
  }
  return { records, taken: at };
};
