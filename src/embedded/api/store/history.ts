/**
 * The newest changes of one resource, so that a watch can start from a version in the past.
 *
 * Bounded three ways: by age, so that what a quiet or a steady server holds does not grow, and by number and bytes, so
 * that a busy one does not either.
 */
import type { StoreEvent } from './entry.js';

/** Text of events kept per resource, bytes; older ones are forgotten first. */
const maxBytes = 32 * 1024 * 1024;
/** Events kept per resource. */
const maxEvents = 50_000;
/** Age from which an event is forgotten, milliseconds, if nobody says another: as old as what kube-apiserver has etcd compact. */
export const usualAgeMs = 5 * 60_000;

/** A bounded, ordered window of events. */
export class History {
  /** Those before `#start` are forgotten. */
  #events: (StoreEvent | undefined)[] = [];
  /** When each of them was pushed. */
  #times: number[] = [];
  #start = 0;
  #bytes = 0;
  #floor: number;
  readonly #maxAgeMs: number;

  /**
   * @param floor changes up to and including this revision are not known
   * @param maxAgeMs age from which an event is forgotten, milliseconds
   */
  constructor(floor: number, maxAgeMs: number = usualAgeMs) {
    this.#floor = floor;
    this.#maxAgeMs = maxAgeMs;
  }

  /** Revision up to which changes are forgotten: a watch can start at it or later. */
  get floor(): number {
    return this.#floor;
  }

  push(event: StoreEvent, nowMs: number): void {
    this.#events.push(event);
    this.#times.push(nowMs);
    this.#bytes += event.entry.bytes.length;
    while (this.#bytes > maxBytes || this.#events.length - this.#start > maxEvents) this.#forgetOldest();
    this.#cut();
  }

  /** Forgets what is too old. Costs a comparison when nothing is. */
  expire(nowMs: number): void {
    while ((this.#times[this.#start] ?? Number.POSITIVE_INFINITY) + this.#maxAgeMs <= nowMs)
      this.#forgetOldest();
    this.#cut();
  }

  /** Events after a revision, oldest first; undefined when some of them are forgotten. */
  after(revision: number): StoreEvent[] | undefined {
    if (revision < this.#floor) return undefined;
    let low = this.#start;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#events[middle]?.revision ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return this.#events.slice(low).flatMap((event) => event ?? []);
  }

  #forgetOldest(): void {
    const oldest = this.#events[this.#start];
    if (oldest === undefined) return;
    this.#events[this.#start] = undefined;
    this.#start += 1;
    this.#bytes -= oldest.entry.bytes.length;
    this.#floor = oldest.revision;
  }

  /** Shortens the lists, once in a while, since the rest is copied. */
  #cut(): void {
    const isAll = this.#start > 0 && this.#start === this.#events.length;
    if (!isAll && (this.#start <= 1024 || this.#start * 2 <= this.#events.length)) return;
    this.#events = this.#events.slice(this.#start);
    this.#times = this.#times.slice(this.#start);
    this.#start = 0;
  }
}
