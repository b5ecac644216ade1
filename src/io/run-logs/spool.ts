/**
 * The log of one attempt on disk, bounded: its beginning and its end, by default its first MiB and its last nine or ten.
 *
 * Segments, all logs' in one folder: most logs are short, and a folder for each costs more than what is in it. The first
 * segment is the beginning and is kept for ever, the others have a ninth of the end each, and the oldest of them goes when
 * there are more than ten. A segment's name says where it stands: `<id>@<first seq>-<stdout bytes before>-<stderr bytes
 * before>`, so that what a dropped one held is known, and a restarted runtimed knows where to resume.
 *
 * What comes first is written at once: it is in the page cache sooner than a thread would be awake. A log that goes on is
 * written by threads; what is not yet on disk is held in memory, and its size is reported, for the source to be slowed
 * down.
 */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  writev,
  writevSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

import type { LogBounds } from '../../model/log-bounds.js';
import type { Record as LogRecord } from '../../proto/gen/logs.js';
import { errorCode } from '../error-code.js';
import { frame, unframe } from './frames.js';

/** Segments that the tail consists of, the one being written not counted. */
export const TAIL_SEGMENTS = 9;
/** So much of a log is written at once; what comes after it must not stop the process when the disk is slow. */
const AT_ONCE_BYTES = 8 * 1024;
/** Mode of a segment, and of the first one of a log that the artifact store has. */
const MODE = 0o660;
const SHIPPED_MODE = 0o440;
const OWNER_WRITES = 0o200;

const writeBehind = promisify(writev);

/** Bytes of each stream. */
export type StreamBytes = Readonly<{ stdout: number; stderr: number }>;

/** One file of the spool. */
export type Segment = Readonly<{ path: string; firstSeq: number; before: StreamBytes }>;

type OpenSegment = Segment & { size: number };

/** A log as it was found on disk, its segments in order. */
export type FoundLog = Readonly<{
  segments: ReadonlyArray<Segment & Readonly<{ size: number }>>;
  /** It was marked as one that the artifact store has. */
  isShipped: boolean;
}>;

/** Bytes of its stream that a record stands for. */
export const recordSpan = ({ line, partial, droppedBytes }: LogRecord): number =>
  droppedBytes > 0 ? droppedBytes : line.length + (partial ? 0 : 1);

/** The position after a record. */
export const after = (bytes: StreamBytes, record: LogRecord): StreamBytes =>
  record.stream === 'stderr'
    ? { ...bytes, stderr: bytes.stderr + recordSpan(record) }
    : { ...bytes, stdout: bytes.stdout + recordSpan(record) };

/** The logs in a folder by their ids. */
export const findLogs = (root: string): ReadonlyMap<string, FoundLog> => {
  const found = new Map<string, Array<OpenSegment & { mode: number }>>();
  for (const name of readdirSync(root)) {
    const match = /^(.+)@(\d+)-(\d+)-(\d+)$/.exec(name);
    if (!match) continue;
    const [, id = '', seq, stdout, stderr] = match;
    const path = join(root, name);
    const { size, mode } = statSync(path);
    const before = { stdout: Number(stdout), stderr: Number(stderr) };
    const segment = { path, firstSeq: Number(seq), before, size, mode };
    const others = found.get(id);
    if (others) others.push(segment);
    else found.set(id, [segment]);
  }
  return new Map(
    [...found].map(([id, segments]) => {
      segments.sort((a, b) => a.firstSeq - b.firstSeq);
      return [id, { segments, isShipped: ((segments[0]?.mode ?? 0) & OWNER_WRITES) === 0 }];
    }),
  );
};

/** Where a log ends on disk: the next seq and the bytes that are in it. */
export const endOfLog = async (
  segments: ReadonlyArray<Segment>,
): Promise<Readonly<{ nextSeq: number; bytes: StreamBytes }>> => {
  const last = segments.at(-1);
  if (!last) return { nextSeq: 1, bytes: { stdout: 0, stderr: 0 } };
  const { records } = unframe(await readFile(last.path));
  return {
    nextSeq: (records.at(-1)?.seq ?? last.firstSeq - 1) + 1,
    bytes: records.reduce(after, last.before),
  };
};

/** Marks a log as one that the artifact store has: its first segment is not written any more, and says so. */
export const markShipped = ([first]: ReadonlyArray<Segment>): void => {
  try {
    if (first) chmodSync(first.path, SHIPPED_MODE);
  } catch {
    // Somebody removed it. A restarted runtimed stores a log without the mark once more, which changes nothing.
  }
};

/** What the spool tells about itself. */
export type SpoolWatch = Readonly<{
  /** Memory (bytes waiting) and disk (bytes in files) changed by so much. */
  changed: (waiting: number, stored: number) => void;
  /** Records became readable; told after the call that appended them. */
  appended: () => void;
  /** Nothing more is stored: the disk is full or gone. */
  failed: (cause: unknown) => void;
}>;

/** What a spool is made of. */
export type SpoolParts = Readonly<{
  /** Folder of all spools. */
  root: string;
  id: string;
  /** What a runtimed before this one wrote of it. */
  found: FoundLog['segments'];
  /** Where it ends. */
  position: StreamBytes;
  bounds: LogBounds;
  watch: SpoolWatch;
}>;

type Waiting = Readonly<{ bytes: Buffer; seq: number; before: StreamBytes }>;

/** A new file; the folder is made again when somebody has removed it. */
const createSegment = (path: string): number => {
  try {
    return openSync(path, 'w', MODE);
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') throw cause;
    mkdirSync(dirname(path), { recursive: true, mode: 0o770 });
    return openSync(path, 'w', MODE);
  }
};

/** Appends records. */
export class Spool {
  readonly #parts: SpoolParts;
  readonly #segments: OpenSegment[];
  #waiting: Waiting[] = [];
  #position: StreamBytes;
  #fd: number | undefined;
  #writing: Promise<void> | undefined;
  #failed = false;
  /** Bytes that were written at once. */
  #atOnce = 0;

  constructor(parts: SpoolParts) {
    this.#parts = parts;
    this.#position = parts.position;
    this.#segments = [...parts.found];
  }

  /** What there is of it on disk, in order. */
  get segments(): FoundLog['segments'] {
    return this.#segments;
  }

  /** Appends records that follow each other, at least one. Returns them as they are written, if they are. */
  append(records: ReadonlyArray<LogRecord>): Buffer | undefined {
    const before = this.#position;
    this.#position = records.reduce(after, before);
    const [first] = records;
    if (this.#failed || !first) return undefined;
    const bytes = frame(records);
    this.#waiting.push({ bytes, seq: first.seq, before });
    this.#parts.watch.changed(bytes.length, 0);
    if (this.#writing !== undefined) return bytes;
    if (this.#atOnce + bytes.length <= AT_ONCE_BYTES) this.#writeAtOnce();
    else this.#writing = this.#write();
    return bytes;
  }

  /** Resolves when all that was appended is on disk, or cannot be. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Closes the file. Nothing may be appended any more. */
  async close(): Promise<void> {
    await this.settled();
    this.#close();
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  #writeAtOnce(): void {
    const { watch } = this.#parts;
    const { batch, size: all } = this.#take();
    try {
      for (const { fd, bytes, size } of this.#pieces(batch)) {
        let written = writevSync(fd, bytes);
        while (written < size) written += writevSync(fd, [Buffer.concat(bytes).subarray(written)]);
      }
      this.#atOnce += all;
      queueMicrotask(() => watch.appended());
    } catch (cause) {
      this.#fail(cause);
    } finally {
      watch.changed(-all, 0);
    }
  }

  async #write(): Promise<void> {
    const { watch } = this.#parts;
    try {
      while (this.#waiting.length > 0) {
        const { batch, size: all } = this.#take();
        try {
          for (const { fd, bytes, size } of this.#pieces(batch)) {
            let { bytesWritten: written } = await writeBehind(fd, bytes);
            while (written < size)
              written += (await writeBehind(fd, [Buffer.concat(bytes).subarray(written)])).bytesWritten;
          }
        } finally {
          watch.changed(-all, 0);
        }
        watch.appended();
      }
    } catch (cause) {
      this.#fail(cause);
    } finally {
      this.#writing = undefined;
    }
  }

  #take(): Readonly<{ batch: ReadonlyArray<Waiting>; size: number }> {
    const batch = this.#waiting;
    this.#waiting = [];
    return { batch, size: batch.reduce((sum, { bytes }) => sum + bytes.length, 0) };
  }

  #fail(cause: unknown): void {
    this.#failed = true;
    const { watch } = this.#parts;
    watch.changed(-this.#take().size, 0);
    watch.failed(cause);
  }

  /** What is to be written where. Whoever asks for the next piece has written the one before. */
  *#pieces(
    batch: ReadonlyArray<Waiting>,
  ): Generator<Readonly<{ fd: number; bytes: ReadonlyArray<Buffer>; size: number }>> {
    let rest = batch;
    for (let [first] = rest; first; [first] = rest) {
      const { fd, segment } = this.#segmentFor(first.seq, first.before);
      let size = 0;
      let count = 0;
      for (const { bytes } of rest) {
        size += bytes.length;
        count += 1;
        if (segment.size + size >= this.#roomOf(segment)) break;
      }
      yield { fd, bytes: rest.slice(0, count).map(({ bytes }) => bytes), size };
      segment.size += size;
      this.#parts.watch.changed(0, size);
      rest = rest.slice(count);
    }
  }

  #roomOf(segment: OpenSegment): number {
    const { headBytes, tailBytes } = this.#parts.bounds;
    return segment === this.#segments[0] ? headBytes : Math.ceil(tailBytes / TAIL_SEGMENTS);
  }

  /** The segment being written, or a new one when that is full. */
  #segmentFor(seq: number, before: StreamBytes): Readonly<{ fd: number; segment: OpenSegment }> {
    const { root, id, watch } = this.#parts;
    const current = this.#segments.at(-1);
    if (current && this.#fd !== undefined && current.size < this.#roomOf(current))
      return { fd: this.#fd, segment: current };
    this.#close();
    const path = join(root, `${id}@${seq}-${before.stdout}-${before.stderr}`);
    const fd = createSegment(path);
    this.#fd = fd;
    const segment = { path, firstSeq: seq, before, size: 0 };
    // Of the same name is one that was begun and has nothing whole in it.
    if (current?.path === path) this.#segments.pop();
    this.#segments.push(segment);
    while (this.#segments.length > 2 + TAIL_SEGMENTS) {
      const [dropped] = this.#segments.splice(1, 1);
      if (!dropped) break;
      rmSync(dropped.path, { force: true });
      watch.changed(0, -dropped.size);
    }
    return { fd, segment };
  }
}
