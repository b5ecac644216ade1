/** The newest changes of one resource, so that a watch can start from a version in the past. */
import type { StoreEvent } from './entry.js';

/** Text of events kept per resource, bytes; older ones are forgotten first. */
const maxBytes = 32 * 1024 * 1024;
/** Events kept per resource. */
const maxEvents = 50_000;

/** A bounded, ordered window of events. */
export class History {
  #events: StoreEvent[] = [];
  #start = 0;
  #bytes = 0;
  #floor: number;

  /** @param floor changes up to and including this revision are not known */
  constructor(floor: number) {
    this.#floor = floor;
  }

  /** Revision up to which changes are forgotten: a watch can start at it or later. */
  get floor(): number {
    return this.#floor;
  }

  push(event: StoreEvent): void {
    this.#events.push(event);
    this.#bytes += event.entry.bytes.length;
    while (this.#bytes > maxBytes || this.#events.length - this.#start > maxEvents) {
      const oldest = this.#events[this.#start];
      if (oldest === undefined) break;
      this.#start += 1;
      this.#bytes -= oldest.entry.bytes.length;
      this.#floor = oldest.revision;
    }
    if (this.#start > 1024 && this.#start * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#start);
      this.#start = 0;
    }
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
    return this.#events.slice(low);
  }
}
