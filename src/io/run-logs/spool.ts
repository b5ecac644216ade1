/**
 * The log of one attempt on disk, bounded: its beginning and its end, by default its first MiB and its last nine or ten.
 *
 * A folder of segments; the first is the beginning and is kept for ever, the others have a ninth of the end each, and the
 * oldest of them goes when there are more than ten. A segment's name says where it stands: `<first seq>-<stdout bytes before>-<stderr bytes before>`, so that
 * what a dropped one held is known, and a restarted runtimed knows where to resume. Appending never waits: what is
 * not yet on disk is held in memory, and its size is reported, for the source to be slowed down.
 */
import { type FileHandle, mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LogBounds } from '../../model/log-bounds.js';
import type { Record as LogRecord } from '../../proto/gen/logs.js';
import { frame, unframe } from './frames.js';

/** Segments that the tail consists of, the one being written not counted. */
export const TAIL_SEGMENTS = 9;

/** Bytes of each stream. */
export type StreamBytes = Readonly<{ stdout: number; stderr: number }>;

/** One file of the spool. */
export type Segment = Readonly<{ path: string; firstSeq: number; before: StreamBytes }>;

type OpenSegment = Segment & { size: number };

/** Bytes of its stream that a record stands for. */
export const recordSpan = ({ line, partial, droppedBytes }: LogRecord): number =>
  droppedBytes > 0 ? droppedBytes : line.length + (partial ? 0 : 1);

/** The position after a record. */
export const after = (bytes: StreamBytes, record: LogRecord): StreamBytes =>
  record.stream === 'stderr'
    ? { ...bytes, stderr: bytes.stderr + recordSpan(record) }
    : { ...bytes, stdout: bytes.stdout + recordSpan(record) };

const segmentAt = (folder: string, name: string): Segment | undefined => {
  const match = /^(\d+)-(\d+)-(\d+)$/.exec(name);
  return match
    ? {
        path: join(folder, name),
        firstSeq: Number(match[1]),
        before: { stdout: Number(match[2]), stderr: Number(match[3]) },
      }
    : undefined;
};

/** The segments of a folder, in order; none when there is no such folder. */
export const segmentsOf = async (folder: string): Promise<ReadonlyArray<Segment>> => {
  const names = await readdir(folder).catch((): string[] => []);
  return names.flatMap((name) => segmentAt(folder, name) ?? []).sort((a, b) => a.firstSeq - b.firstSeq);
};

/** Where an attempt's log ends on disk: the next seq and the bytes that are in it. */
export const endOfSpool = async (
  folder: string,
): Promise<Readonly<{ nextSeq: number; bytes: StreamBytes }>> => {
  const last = (await segmentsOf(folder)).at(-1);
  if (!last) return { nextSeq: 1, bytes: { stdout: 0, stderr: 0 } };
  const { records } = unframe(await readFile(last.path));
  return {
    nextSeq: (records.at(-1)?.seq ?? last.firstSeq - 1) + 1,
    bytes: records.reduce(after, last.before),
  };
};

/** What the spool tells about itself. */
export type SpoolWatch = Readonly<{
  /** Memory (bytes waiting) and disk (bytes in files) changed by so much. */
  changed: (waiting: number, stored: number) => void;
  /** Records became readable. */
  appended: () => void;
  /** Nothing more is stored: the disk is full or gone. */
  failed: (cause: unknown) => void;
}>;

/** Appends records. */
export class Spool {
  readonly #folder: string;
  readonly #watch: SpoolWatch;
  readonly #segments: OpenSegment[] = [];
  #waiting: Array<Readonly<{ bytes: Buffer; seq: number; before: StreamBytes }>> = [];
  #position: StreamBytes;
  #file: FileHandle | undefined;
  #writing: Promise<void> | undefined;
  #failed = false;
  readonly #bounds: LogBounds;

  constructor(folder: string, position: StreamBytes, bounds: LogBounds, watch: SpoolWatch) {
    this.#bounds = bounds;
    this.#folder = folder;
    this.#position = position;
    this.#watch = watch;
  }

  /** Appends records that follow each other, at least one. Returns them as they are written, if they are. */
  append(records: ReadonlyArray<LogRecord>): Buffer | undefined {
    const before = this.#position;
    this.#position = records.reduce(after, before);
    const [first] = records;
    if (this.#failed || !first) return undefined;
    const bytes = frame(records);
    this.#waiting.push({ bytes, seq: first.seq, before });
    this.#watch.changed(bytes.length, 0);
    this.#writing ??= this.#write();
    return bytes;
  }

  /** Resolves when all that was appended is on disk, or cannot be. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  /** Closes the file. Nothing may be appended any more. */
  async close(): Promise<void> {
    await this.settled();
    await this.#file?.close();
    this.#file = undefined;
  }

  async #write(): Promise<void> {
    try {
      for (let batch = this.#waiting; batch.length > 0; batch = this.#waiting) {
        this.#waiting = [];
        const size = batch.reduce((sum, { bytes }) => sum + bytes.length, 0);
        await this.#writeBatch(batch).finally(() => this.#watch.changed(-size, 0));
        this.#watch.appended();
      }
    } catch (cause) {
      this.#failed = true;
      const left = this.#waiting.reduce((sum, { bytes }) => sum + bytes.length, 0);
      this.#waiting = [];
      this.#watch.changed(-left, 0);
      this.#watch.failed(cause);
    } finally {
      this.#writing = undefined;
    }
  }

  async #writeBatch(
    batch: ReadonlyArray<Readonly<{ bytes: Buffer; seq: number; before: StreamBytes }>>,
  ): Promise<void> {
    let rest = batch;
    for (let [first] = rest; first; [first] = rest) {
      const segment = await this.#segmentFor(first.seq, first.before);
      let size = 0;
      let count = 0;
      for (const { bytes } of rest) {
        size += bytes.length;
        count += 1;
        if (segment.size + size >= this.#roomOf(segment)) break;
      }
      await this.#file?.writev(rest.slice(0, count).map(({ bytes }) => bytes));
      segment.size += size;
      this.#watch.changed(0, size);
      rest = rest.slice(count);
    }
  }

  #roomOf(segment: OpenSegment): number {
    const { headBytes, tailBytes } = this.#bounds;
    return segment === this.#segments[0] ? headBytes : Math.ceil(tailBytes / TAIL_SEGMENTS);
  }

  /** The segment being written, or a new one when that is full. */
  async #segmentFor(seq: number, before: StreamBytes): Promise<OpenSegment> {
    const current = this.#segments.at(-1);
    if (current && this.#file && current.size < this.#roomOf(current)) return current;
    await this.#file?.close();
    this.#file = undefined;
    await mkdir(this.#folder, { recursive: true, mode: 0o770 });
    if (!current) await this.#adopt();
    const path = join(this.#folder, `${seq}-${before.stdout}-${before.stderr}`);
    this.#file = await open(path, 'w', 0o660);
    const segment = { path, firstSeq: seq, before, size: 0 };
    this.#segments.push(segment);
    while (this.#segments.length > 2 + TAIL_SEGMENTS) {
      const [dropped] = this.#segments.splice(1, 1);
      if (!dropped) break;
      await rm(dropped.path, { force: true });
      this.#watch.changed(0, -dropped.size);
    }
    return segment;
  }

  /** Segments that a runtimed before this one wrote; they were counted when they were found. */
  async #adopt(): Promise<void> {
    for (const segment of await segmentsOf(this.#folder)) {
      const file = await open(segment.path, 'r');
      try {
        this.#segments.push({ ...segment, size: (await file.stat()).size });
      } finally {
        await file.close();
      }
    }
  }
}
