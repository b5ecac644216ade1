/**
 * Brings logs into the artifact store: that of an ended attempt once, and that of one that goes on from time to time,
 * so that there is something of it when the pod dies.
 *
 * Nothing waits for it: an end is written before its log is shipped. What is to be shipped is on disk in the spools,
 * whose bound is its bound; here are only ids. A store that is away is tried again with a backoff, for as long as the
 * pod lives. A few uploads at a time, and of one log at most 256 KiB/s in the mean.
 */
import { backoffMs } from '../../decide/backoff.js';
import { deadlines } from '../../decide/deadlines.js';
import { StoreError } from '../artifacts/store.js';
import type { RunLogs } from './run-logs.js';

/** How old a record of a log that goes on may be and not be in the store, milliseconds. */
const LIVE_MS = 10_000;
/** The same once the pod is told to end. */
const HURRY_MS = 1_000;
/** A large log is shipped less often: each time all of it is written anew. */
const LIVE_BYTES_PER_MS = 256;
/** Uploads at a time. */
const SHIPS = 2;
const FIRST_PAUSE_MS = 500;
const LAST_PAUSE_MS = 60_000;

export type ShipperParts = Readonly<{
  logs: Pick<RunLogs, 'ship' | 'isLive'>;
  /** Stores a log; resolves to its size. */
  store: (id: string, log: Parameters<Parameters<RunLogs['ship']>[1]>[0]) => Promise<number>;
  /** The store took one not; it is tried again. Told once until it works. */
  onTrouble: (id: string, cause: StoreError, retryInMs: number) => void;
  /** It cannot be read, and is not tried again. */
  onLost: (id: string, cause: unknown) => void;
  onRecovered: () => void;
  /** Pause after a first failure; doubled from there on. */
  firstPauseMs?: number;
  /** A log that goes on is shipped this long after the first record that is not in the store. */
  liveMs?: number;
}>;

export class LogShipper {
  readonly #parts: ShipperParts;
  /** Logs that go on and have something that is not in the store, by when they are to be shipped. */
  readonly #due = deadlines<string>();
  /** The earliest next time of logs that go on and were shipped. */
  readonly #notBefore = new Map<string, number>();
  /** Attempts that are over, and their logs not yet wholly on disk. */
  readonly #closing = new Set<string>();
  /** To be shipped now, in this order. */
  readonly #queue = new Set<string>();
  readonly #busy = new Map<string, Promise<void>>();
  readonly #idleWaits = new Set<() => void>();
  #liveMs: number;
  #longestPauseMs = LAST_PAUSE_MS;
  #pauseTimer: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerMs = Number.POSITIVE_INFINITY;
  #failures = 0;
  #isPaused = false;
  #isStopped = false;

  constructor(parts: ShipperParts) {
    this.#parts = parts;
    this.#liveMs = parts.liveMs ?? LIVE_MS;
  }

  /** The log has more than it had, or has ended. */
  changed(id: string): void {
    if (this.#closing.has(id)) {
      if (!this.#parts.logs.isLive(id)) this.#enqueue(id);
      return;
    }
    if (this.#queue.has(id) || this.#due.get(id) !== undefined) return;
    const now = performance.now();
    this.#due.set(id, Math.max(now + HURRY_MS, this.#notBefore.get(id) ?? now + this.#liveMs));
    this.#arm();
  }

  /** The attempt is over and its end recorded: its log is stored for good. */
  ended(id: string): void {
    this.#due.remove(id);
    this.#notBefore.delete(id);
    if (this.#parts.logs.isLive(id)) this.#closing.add(id);
    else this.#enqueue(id);
  }

  /** The log is not to be in the store. Resolves, when nothing of it is under way, to whether it may be there. */
  async drop(id: string): Promise<boolean> {
    const wasShipped = this.#notBefore.has(id) || this.#busy.has(id);
    this.#due.remove(id);
    this.#notBefore.delete(id);
    this.#closing.delete(id);
    this.#queue.delete(id);
    await this.#busy.get(id);
    this.#settle();
    return wasShipped;
  }

  /** The same for all attempts of a Run. */
  async dropRun(uid: string): Promise<void> {
    const ids = [...this.#notBefore.keys(), ...this.#closing, ...this.#queue, ...this.#busy.keys()];
    for (const id of new Set(ids)) if (id === uid || id.startsWith(`${uid}.`)) await this.drop(id);
  }

  /** The pod is told to end: what there is is shipped at once, and more often from now on. */
  hurry(): void {
    this.#liveMs = HURRY_MS;
    for (const id of this.#due.takeDue(Number.POSITIVE_INFINITY)) this.#enqueue(id);
    // There is no time for a long pause any more.
    this.#longestPauseMs = HURRY_MS;
    clearTimeout(this.#pauseTimer);
    this.#isPaused = false;
    this.#pump();
  }

  /** Resolves when nothing is to be shipped. */
  settled(): Promise<void> {
    return this.#isSettled ? Promise.resolve() : new Promise((resolve) => this.#idleWaits.add(resolve));
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  get #isSettled(): boolean {
    return this.#queue.size === 0 && this.#busy.size === 0 && this.#closing.size === 0;
  }

  #settle(): void {
    if (!this.#isSettled) return;
    for (const resolve of this.#idleWaits) resolve();
    this.#idleWaits.clear();
  }

  #enqueue(id: string): void {
    this.#closing.delete(id);
    this.#queue.add(id);
    this.#pump();
  }

  /** One timer, for the earliest. */
  #arm(): void {
    const next = this.#due.nextMs();
    if (next === undefined || next >= this.#timerMs || this.#isStopped) return;
    clearTimeout(this.#timer);
    this.#timerMs = next;
    this.#timer = setTimeout(
      () => {
        this.#timerMs = Number.POSITIVE_INFINITY;
        for (const id of this.#due.takeDue(performance.now())) this.#enqueue(id);
        this.#arm();
      },
      Math.max(1, Math.ceil(next - performance.now())),
    );
  }

  #pump(): void {
    if (this.#isPaused || this.#isStopped) return;
    for (const id of this.#queue) {
      if (this.#busy.size >= SHIPS) return;
      if (this.#busy.has(id)) continue;
      this.#queue.delete(id);
      const ship = this.#ship(id).finally(() => {
        this.#busy.delete(id);
        this.#pump();
        this.#settle();
      });
      this.#busy.set(id, ship);
    }
  }

  /** Never rejects. */
  async #ship(id: string): Promise<void> {
    const { logs, store, onTrouble, onLost, onRecovered, firstPauseMs = FIRST_PAUSE_MS } = this.#parts;
    const isLive = logs.isLive(id);
    let size = 0;
    if (isLive) this.#notBefore.set(id, performance.now() + this.#liveMs);
    try {
      await logs.ship(id, async (log) => {
        size = await store(id, log);
      });
      if (this.#failures > 0) onRecovered();
      this.#failures = 0;
    } catch (cause) {
      if (!(cause instanceof StoreError)) {
        onLost(id, cause);
        return;
      }
      this.#failures += 1;
      const bounds = { firstMs: firstPauseMs, longestMs: this.#longestPauseMs };
      const ms = backoffMs(this.#failures - 1, Math.random(), bounds);
      if (this.#failures === 1) onTrouble(id, cause, ms);
      this.#queue.add(id);
      this.#pause(ms);
    }
    if (isLive && this.#notBefore.has(id))
      this.#notBefore.set(id, performance.now() + Math.max(this.#liveMs, size / LIVE_BYTES_PER_MS));
  }

  /** The store does not take them: all wait. */
  #pause(ms: number): void {
    if (this.#isPaused || this.#isStopped) return;
    this.#isPaused = true;
    this.#pauseTimer = setTimeout(() => {
      this.#isPaused = false;
      this.#pump();
    }, ms);
    this.#pauseTimer.unref();
  }
}
