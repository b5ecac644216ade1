/**
 * The log's framing: `length u32 | crc32 u32 | payload`, little endian. A payload is a kind byte (P put, U put with the
 * spec of the version before, D delete, S all up to this revision is synced), the revision as 8 bytes, the length of the
 * resource's name as 2 bytes, the name, and the object's JSON text; that of a U has null for its spec, an S has neither.
 *
 * Reading stops at the first frame that is short or whose checksum is wrong. A torn write looks so, and what follows it
 * was never acknowledged, because an acknowledgement waits for the sync of all bytes before it. Damage to what had been
 * synced looks so, too: then an S further on says that more was (`syncedBehind`).
 */
import { crc32 } from 'node:zlib';

import type { Entry } from './entry.js';

/** What a record says. */
export type RecordKind = 'P' | 'U' | 'D';

const KINDS: ReadonlyArray<string> = ['P', 'U', 'D', 'S'];

/** A put or delete as read back from a log or snapshot, or how far it was synced then. */
export type LogRecord = Readonly<{
  kind: RecordKind | 'S';
  revision: number;
  resource: string;
  text: Buffer;
}>;

const frameBytes = 8;
const headBytes = 11;

/** Frames one entry; the object's text is not copied. `texts` are, one after the other, what stands for the object. */
export const encodeRecord = (
  kind: RecordKind,
  entry: Entry,
  texts: readonly Buffer[] = [entry.bytes],
): Buffer[] => {
  const name = Buffer.from(entry.resource);
  const length = texts.reduce((sum, text) => sum + text.length, 0);
  const head = Buffer.allocUnsafe(frameBytes + headBytes + name.length);
  head.writeUInt32LE(headBytes + name.length + length, 0);
  head.write(kind, frameBytes, 'latin1');
  head.writeBigUInt64LE(BigInt(entry.revision), frameBytes + 1);
  head.writeUInt16LE(name.length, frameBytes + 9);
  name.copy(head, frameBytes + headBytes);
  head.writeUInt32LE(
    texts.reduce((sum, text) => crc32(text, sum), crc32(head.subarray(frameBytes))),
    4,
  );
  return [head, ...texts];
};

/** Says, at the begin of what is written at a time, up to which revision all was synced before. */
export const encodeSynced = (revision: number): Buffer => {
  const record = Buffer.alloc(frameBytes + headBytes);
  record.writeUInt32LE(headBytes, 0);
  record.write('S', frameBytes, 'latin1');
  record.writeBigUInt64LE(BigInt(revision), frameBytes + 1);
  record.writeUInt32LE(crc32(record.subarray(frameBytes)), 4);
  return record;
};

const syncedHead = Buffer.from([headBytes, 0, 0, 0]);

/** The greatest revision that an S behind `from` calls synced, wherever in the bytes it is; 0: there is none. */
export const syncedBehind = (file: Buffer, from: number): number => {
  let greatest = 0;
  for (let at = file.indexOf(syncedHead, from); at >= 0; at = file.indexOf(syncedHead, at + 1)) {
    const { records } = decodeRecords(file.subarray(at, at + frameBytes + headBytes));
    for (const { kind, revision } of records) if (kind === 'S') greatest = Math.max(greatest, revision);
  }
  return greatest;
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
    if (!KINDS.includes(kind) || headBytes + nameLength > length) break;
    records.push({
      kind: kind as LogRecord['kind'],
      revision: Number(payload.readBigUInt64LE(1)),
      resource: payload.toString('utf8', headBytes, headBytes + nameLength),
      text: payload.subarray(headBytes + nameLength),
    });
    offset = start + length;
  }
  return { records, validBytes: offset };
};
