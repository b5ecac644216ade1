/**
 * The logs of all attempts of this pod: output in; records to runtimed's own stdout and to the spools; kept until the
 * pod ends, the Run is gone (which the operator is asked), or 256 MiB are full: then the oldest ended ones go, those that
 * the artifact store has before all others.
 *
 * Memory is bounded: at most a line per stream and what waits for the disk; when more than 8 MiB wait, `pressure$`
 * says so and the Runtime Server's stream is not read, whose own pipes then hold the script back.
 */

import { rmSync } from 'node:fs';

import { BehaviorSubject, distinctUntilChanged, map, type Observable, Subject } from 'rxjs';
import { type AttemptRef, idOf } from '../../decide/sidecar/attempt.js';
import { type Line, LineSplitter } from '../../decide/sidecar/lines.js';
import type { StreamName } from '../../decide/sidecar/server-event.js';
import { executionId } from '../../model/ids.js';
import { DEFAULT_LOG_BOUNDS, type LogBounds } from '../../model/log-bounds.js';
import type { Micros } from '../../model/time.js';
import type { Cursor } from '../../proto/gen/executor.js';
import type { Record as LogRecord } from '../../proto/gen/logs.js';
import { endOfLog, type FoundLog, findLogs, markShipped, type Segment, Spool } from './spool.js';

/** All spools together. */
export const ALL_SPOOLS_BYTES = 256 * 1024 * 1024;
/** What waits for the disk, all spools together, before the source is held back, and when it may go on. */
export const HIGH_WATER_BYTES = 8 * 1024 * 1024;
const LOW_WATER_BYTES = 2 * 1024 * 1024;
/** What the smallest spool takes of a disk and of memory, roughly. Bounds their number. */
const SMALLEST_BYTES = 8 * 1024;
/** A short log, and all of them that are kept in memory until they are shipped. */
const SHORT_BYTES = 8 * 1024;
const ALL_SHORT_BYTES = 4 * 1024 * 1024;
/** Of the last stderr line, for status.message. */
const LAST_LINE_BYTES = 1024;

/** Whose log it is, as it stands in every record. */
export type LogOwner = Readonly<{ ref: AttemptRef; runtime: string }>;

/** Records on their way to runtimed's stdout, at least one. */
export type EmitRecords = (owner: LogOwner, records: ReadonlyArray<LogRecord>) => void;

type Entry = {
  readonly owner: LogOwner | undefined;
  readonly uid: string;
  readonly attempt: number;
  /** Its files; of an open log the spool has them. */
  segments: FoundLog['segments'];
  /** Undefined once the attempt has ended. */
  live: Live | undefined;
  /** When that was, by the clock of `LogKeeping`; of a runtimed before this one, when that was seen. */
  endedMs: number;
  stored: number;
  /** Something was written. */
  hasRecords: boolean;
  /** What was written, while it is short. */
  short: Buffer[] | undefined;
  shortBytes: number;
  /** Of a log that this process has closed. */
  extent: LogExtent | undefined;
  /** Being copied to the artifact store: it has to stay. */
  isHeld: boolean;
};

type Live = {
  readonly spool: Spool;
  readonly splitters: Readonly<Record<StreamName, LineSplitter>>;
  nextSeq: number;
  lastStderr: string;
};

export type LogKeeping = Readonly<{
  /** Each log will be shipped at its end. */
  isShipping?: boolean;
  /** How much of each is kept. */
  bounds?: LogBounds;
  /** Milliseconds of a clock that never goes back. Default: performance.now. */
  now?: () => number;
}>;

/** What a reader needs to know of one attempt's log. */
export type ReadableLog = Readonly<{
  /** Its files, in order, as they are now. */
  segments: () => ReadonlyArray<Segment>;
  attempt: number;
  isLive: () => boolean;
  /** The last record there is now; of an ended log infinity. */
  lastSeq: () => number;
  /** All of it, as it stands in the spool, where it is short and has ended. */
  short?: ReadonlyArray<Buffer>;
}>;

/** How much an attempt has written: records, and bytes of both streams. */
export type LogExtent = Readonly<{ records: number; bytes: number }>;

/** The last line that is not blank, cut to what a message may hold. */
const lastText = (lines: ReadonlyArray<Line>): string | undefined => {
  for (let i = lines.length - 1; i >= 0; i -= 1) {
    const text = lines[i]?.bytes.subarray(0, LAST_LINE_BYTES).toString().trim() ?? '';
    if (text !== '') return text;
  }
  return undefined;
};

/** Of a log that is kept no more; what cannot be removed is found by the next runtimed. */
const removeFiles = (segments: ReadonlyArray<Segment>): void => {
  for (const { path } of segments)
    try {
      rmSync(path, { force: true });
    } catch {
      // Not ours any more: the pod's folder goes with the pod.
    }
};

/** Run and attempt of an execution id. */
export const partsOfId = (id: string): Readonly<{ uid: string; attempt: number }> => {
  const dot = id.lastIndexOf('.');
  return dot < 0 ? { uid: id, attempt: 1 } : { uid: id.slice(0, dot), attempt: Number(id.slice(dot + 1)) };
};

export class RunLogs {
  readonly #root: string;
  readonly #emit: EmitRecords;
  readonly #onFailure: (owner: LogOwner, cause: unknown) => void;
  /** Id → log, the one that began first first. */
  readonly #entries = new Map<string, Entry>();
  readonly #liveIds = new Set<string>();
  /** Ended logs that the artifact store has, the one that was shipped first first. */
  readonly #shippedIds = new Set<string>();
  /** Run → the attempts whose logs there are, the one that began first first. */
  readonly #attempts = new Map<string, ReadonlyArray<number>>();
  readonly #waiting = new BehaviorSubject(0);
  readonly #changesSubject = new Subject<string>();
  readonly #isShipping: boolean;
  readonly #bounds: LogBounds;
  readonly #now: () => number;
  #stored = 0;
  #shortBytes = 0;

  /**
   * @param root the folder of all spools; it is there
   * @param onFailure an attempt's log can no longer be stored; it is told once
   */
  constructor(
    root: string,
    emit: EmitRecords,
    onFailure: (owner: LogOwner, cause: unknown) => void,
    { isShipping = false, bounds = DEFAULT_LOG_BOUNDS, now = () => performance.now() }: LogKeeping = {},
  ) {
    this.#now = now;
    this.#bounds = bounds;
    this.#isShipping = isShipping;
    this.#root = root;
    this.#emit = emit;
    this.#onFailure = onFailure;
  }

  /** True while the source is to be held back. */
  get pressure$(): Observable<boolean> {
    let isHigh = false;
    return this.#waiting.pipe(
      map((bytes) => {
        isHigh = isHigh ? bytes > LOW_WATER_BYTES : bytes > HIGH_WATER_BYTES;
        return isHigh;
      }),
      distinctUntilChanged(),
    );
  }

  /** Ids of logs that got records or ended. */
  get changes$(): Observable<string> {
    return this.#changesSubject;
  }

  /** Finds the spools of a runtimed before this one. Once, at the start. Returns those that were not shipped. */
  recover(): ReadonlyArray<string> {
    const unshipped: string[] = [];
    for (const [id, { segments, isShipped }] of findLogs(this.#root)) {
      if (isShipped) this.#shippedIds.add(id);
      else unshipped.push(id);
      this.#add(id, {
        owner: undefined,
        ...partsOfId(id),
        segments,
        live: undefined,
        endedMs: this.#now(),
        hasRecords: true,
        short: undefined,
        shortBytes: 0,
        extent: undefined,
        isHeld: false,
        stored: Math.max(
          SMALLEST_BYTES,
          segments.reduce((sum, { size }) => sum + size, 0),
        ),
      });
    }
    return unshipped;
  }

  /** Begins an attempt's log. */
  open(owner: LogOwner): void {
    const id = idOf(owner.ref);
    if (!this.#entries.get(id)?.live) this.#open(id, owner, [], 1, { stdout: 0, stderr: 0 });
  }

  /** Goes on with the log of an attempt that a runtimed before this one began. */
  async resume(owner: LogOwner): Promise<void> {
    const id = idOf(owner.ref);
    const found = this.#entries.get(id)?.segments ?? [];
    const { nextSeq, bytes } = await endOfLog(found);
    this.#open(id, owner, found, nextSeq, bytes);
  }

  #open(
    id: string,
    owner: LogOwner,
    found: FoundLog['segments'],
    nextSeq: number,
    bytes: Readonly<Record<StreamName, number>>,
  ): void {
    const before = this.#entries.get(id);
    if (before) {
      this.#stored -= before.stored;
      if (found.length === 0) removeFiles(before.segments);
    }
    const entry: Entry = {
      owner,
      uid: owner.ref.uid,
      attempt: owner.ref.attempt,
      segments: found,
      stored: found.length > 0 ? (before?.stored ?? SMALLEST_BYTES) : SMALLEST_BYTES,
      live: undefined,
      endedMs: Number.POSITIVE_INFINITY,
      hasRecords: nextSeq > 1,
      short: this.#isShipping && nextSeq === 1 ? [] : undefined,
      shortBytes: 0,
      extent: undefined,
      isHeld: false,
    };
    this.#shippedIds.delete(id);
    const spool = new Spool({
      root: this.#root,
      id,
      found,
      position: bytes,
      bounds: this.#bounds,
      watch: {
        changed: (waiting, stored) => {
          this.#waiting.next(this.#waiting.value + waiting);
          if (stored !== 0) this.#grow(entry, stored);
        },
        appended: () => this.#changesSubject.next(id),
        failed: (cause) => this.#onFailure(owner, cause),
      },
    });
    entry.live = {
      spool,
      nextSeq,
      lastStderr: '',
      splitters: { stdout: new LineSplitter(bytes.stdout), stderr: new LineSplitter(bytes.stderr) },
    };
    this.#liveIds.add(id);
    this.#add(id, entry);
  }

  #add(id: string, entry: Entry): void {
    this.#entries.set(id, entry);
    const others = this.#attempts.get(entry.uid) ?? [];
    if (!others.includes(entry.attempt)) this.#attempts.set(entry.uid, [...others, entry.attempt]);
    this.#stored += entry.stored;
    this.#trim();
  }

  #grow(entry: Entry, bytes: number): void {
    entry.stored += bytes;
    this.#stored += bytes;
    this.#trim();
  }

  /** The oldest ended logs go while there is too much. */
  #trim(): void {
    for (const ids of [this.#shippedIds, this.#entries.keys()])
      for (const id of ids) {
        if (this.#stored <= ALL_SPOOLS_BYTES) return;
        const entry = this.#entries.get(id);
        if (entry && !entry.live && !entry.isHeld) this.#drop(id, entry);
      }
  }

  #drop(id: string, entry: Entry): void {
    this.#entries.delete(id);
    this.#shippedIds.delete(id);
    this.#dropShort(entry);
    const others = (this.#attempts.get(entry.uid) ?? []).filter((attempt) => attempt !== entry.attempt);
    if (others.length === 0) this.#attempts.delete(entry.uid);
    else this.#attempts.set(entry.uid, others);
    this.#stored -= entry.stored;
    removeFiles(entry.segments);
  }

  /** Output of an attempt; of one that is not open it is ignored. */
  output(id: string, stream: StreamName, offset: number, data: Buffer, at: Micros): void {
    const entry = this.#entries.get(id);
    if (!entry?.live || !entry.owner) return;
    this.#record(entry, entry.live, entry.owner, stream, entry.live.splitters[stream].push(offset, data), at);
  }

  #record(
    entry: Entry,
    live: Live,
    owner: LogOwner,
    stream: StreamName,
    lines: ReadonlyArray<Line>,
    at: Micros,
  ): void {
    if (lines.length === 0) return;
    entry.hasRecords = true;
    const first = live.nextSeq;
    const records = lines.map(
      ({ bytes, partial, droppedBytes }, index): LogRecord => ({
        seq: first + index,
        timeMicros: at,
        stream,
        line: bytes,
        partial,
        droppedBytes,
        attempt: owner.ref.attempt,
      }),
    );
    live.nextSeq += records.length;
    if (stream === 'stderr') live.lastStderr = lastText(lines) ?? live.lastStderr;
    this.#emit(owner, records);
    const bytes = live.spool.append(records);
    if (entry.short) this.#keepShort(entry, entry.short, bytes);
  }

  /** Most logs are short: to be copied they need not be read from disk again. */
  #keepShort(entry: Entry, short: Buffer[], bytes: Buffer | undefined): void {
    const size = bytes?.length ?? 0;
    if (bytes && entry.shortBytes + size <= SHORT_BYTES && this.#shortBytes + size <= ALL_SHORT_BYTES) {
      short.push(bytes);
      entry.shortBytes += size;
      this.#shortBytes += size;
    } else this.#dropShort(entry);
  }

  #dropShort(entry: Entry): void {
    this.#shortBytes -= entry.shortBytes;
    entry.shortBytes = 0;
    entry.short = undefined;
  }

  /** No more output comes: what has no newline becomes a record. Returns the last line of stderr that is not blank. */
  finish(id: string, at: Micros): string {
    const entry = this.#entries.get(id);
    const live = entry?.live;
    if (!entry || !live || !entry.owner) return '';
    for (const stream of ['stdout', 'stderr'] as const)
      this.#record(entry, live, entry.owner, stream, live.splitters[stream].flush(), at);
    return live.lastStderr;
  }

  /** The attempt is over: readers that follow its log come to an end. */
  close(id: string): void {
    const entry = this.#entries.get(id);
    const live = entry?.live;
    if (!entry || !live) return;
    entry.extent = this.extent(id);
    // Not before all is on disk: a reader that sees the end of a live log must have seen all of it.
    void live.spool
      .close()
      .catch(() => undefined)
      .finally(() => {
        entry.segments = live.spool.segments;
        entry.live = undefined;
        entry.endedMs = this.#now();
        this.#liveIds.delete(id);
        this.#changesSubject.next(id);
      });
  }

  /** Where each open log stands in its streams: from there the Runtime Server is to send. */
  cursors(): ReadonlyArray<Cursor> {
    return [...this.#liveIds].map((id) => this.cursor(id));
  }

  /** The same of one log; of one that is not open, its start. */
  cursor(id: string): Cursor {
    const splitters = this.#entries.get(id)?.live?.splitters;
    return {
      id,
      stdoutOffset: splitters?.stdout.offset ?? 0,
      stderrOffset: splitters?.stderr.offset ?? 0,
    };
  }

  /** The log of an attempt, 0 for the newest; undefined when this pod has none. */
  find(uid: string, attempt: number): ReadableLog | undefined {
    const number = attempt > 0 ? attempt : Math.max(0, ...(this.#attempts.get(uid) ?? []));
    return number === 0 ? undefined : this.#readable(executionId(uid, number));
  }

  #readable(id: string): ReadableLog | undefined {
    const entry = this.#entries.get(id);
    return entry
      ? {
          segments: () => entry.live?.spool.segments ?? entry.segments,
          attempt: entry.attempt,
          isLive: () => this.#entries.get(id)?.live !== undefined,
          lastSeq: () => (entry.live ? entry.live.nextSeq - 1 : Number.POSITIVE_INFINITY),
        }
      : undefined;
  }

  /** Removes the logs of all attempts of a Run that have ended. */
  forget(uid: string): void {
    for (const id of this.idsOf(uid)) {
      const entry = this.#entries.get(id);
      if (entry && !entry.live) this.#drop(id, entry);
    }
  }

  /** Ids of the logs of a Run's attempts. */
  idsOf(uid: string): ReadonlyArray<string> {
    return (this.#attempts.get(uid) ?? []).map((attempt) => executionId(uid, attempt));
  }

  /** Runs with logs here, all of which ended at least so many milliseconds ago. */
  endedRuns(settledMs: number): ReadonlyArray<string> {
    const untilMs = this.#now() - settledMs;
    return [...this.#attempts.keys()].filter((uid) =>
      this.idsOf(uid).every((id) => (this.#entries.get(id)?.endedMs ?? 0) <= untilMs),
    );
  }

  /** How much an attempt has written; undefined where that was an earlier process's. */
  extent(id: string): LogExtent | undefined {
    const entry = this.#entries.get(id);
    const live = entry?.live;
    return live
      ? { records: live.nextSeq - 1, bytes: live.splitters.stdout.offset + live.splitters.stderr.offset }
      : entry?.extent;
  }

  /**
   * Copies a log elsewhere: `copy` is given it, and it stays meanwhile. One that had ended before counts as shipped
   * after. Resolves to false when nothing was written, or it is kept no more. Rejects as `copy` does.
   */
  async ship(id: string, copy: (log: ReadableLog) => Promise<void>): Promise<boolean> {
    const entry = this.#entries.get(id);
    const log = this.#readable(id);
    if (!entry?.hasRecords || !log) return false;
    const isWhole = !log.isLive();
    entry.isHeld = true;
    try {
      await copy(isWhole && entry.short ? { ...log, short: entry.short } : log);
      if (isWhole) {
        this.#dropShort(entry);
        if (this.#entries.get(id) === entry) {
          this.#shippedIds.add(id);
          markShipped(entry.segments);
        }
      }
    } finally {
      entry.isHeld = false;
    }
    return true;
  }

  /** Whether more may come. */
  isLive(id: string): boolean {
    return this.#liveIds.has(id);
  }

  /** Bytes on disk, all logs. */
  get stored(): number {
    return this.#stored;
  }
}
