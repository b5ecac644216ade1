/**
 * The log's framing: `length u32 | crc32 u32 | payload`, little endian. A payload is a kind byte (P put, U put with the
 * spec of the version before, D delete), the revision as 8 bytes, the length of the resource's name as 2 bytes, the
 * name, and the object's JSON text; that of a U has null for its spec.
 *
 * Reading stops at the first frame that is short or whose checksum is wrong: what follows a torn write was never
 * acknowledged, because an acknowledgement waits for the sync of all bytes before it.
 */
import { crc32 } from 'node:zlib';

import type { Entry } from './entry.js';

/** What a record says. */
export type RecordKind = 'P' | 'U' | 'D';

/** A put or delete as read back from a log or snapshot. */
export type LogRecord = Readonly<{ kind: RecordKind; revision: number; resource: string; text: Buffer }>;

const frameBytes = 8;
const headBytes = 11;

/** Frames one entry; the object's text is not copied. `text` is what stands for the object. */
export const encodeRecord = (kind: RecordKind, entry: Entry, text: Buffer = entry.bytes): Buffer[] => {
  const name = Buffer.from(entry.resource);
  const head = Buffer.allocUnsafe(frameBytes + headBytes + name.length);
  head.writeUInt32LE(headBytes + name.length + text.length, 0);
  head.write(kind, frameBytes, 'latin1');
  head.writeBigUInt64LE(BigInt(entry.revision), frameBytes + 1);
  head.writeUInt16LE(name.length, frameBytes + 9);
  name.copy(head, frameBytes + headBytes);
  head.writeUInt32LE(crc32(text, crc32(head.subarray(frameBytes))), 4);
  return [head, text];
};

/** All whole records of a file's content and where the first broken one starts. */
export const decodeRecords = (file: Buffer): { records: LogRecord[]; validBytes: number } => {
  const records: LogRecord[] = [];
  let offset = 0;
  while (offset + frameBytes + headBytes <= file.length) {
    const length = file.readUInt32LE(offset);
    const start = offset + frameBytes;
    if (length < headBytes || start + length > file.length) break;
    const payload = file.subarray(start, start + length);
    if (crc32(payload) !== file.readUInt32LE(offset + 4)) break;
    const kind = payload.toString('latin1', 0, 1);
    const nameLength = payload.readUInt16LE(9);
    if ((kind !== 'P' && kind !== 'U' && kind !== 'D') || headBytes + nameLength > length) break;
    records.push({
      kind,
      revision: Number(payload.readBigUInt64LE(1)),
      resource: payload.toString('utf8', headBytes, headBytes + nameLength),
      text: payload.subarray(headBytes + nameLength),
    });
    offset = start + length;
  }
  return { records, validBytes: offset };
};
