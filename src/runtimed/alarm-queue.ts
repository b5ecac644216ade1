/** Which alarm rings next? One ordered queue of all of them; setting, moving and removing one is O(log n). */
import BTreeModule from 'sorted-btree';

import type { Micros } from '../model/time.js';
import type { AlarmKind } from './attempt.js';

// The package is CommonJS: under Node the class is one level down.
const BTree = BTreeModule.default;

export type Alarm = Readonly<{ id: string; alarm: AlarmKind; at: Micros }>;

const compare = (a: Alarm, b: Alarm): number =>
  a.at - b.at || (a.id < b.id ? -1 : a.id > b.id ? 1 : a.alarm < b.alarm ? -1 : a.alarm > b.alarm ? 1 : 0);

/** Alarms by time. There is at most one of a kind per id. */
export class AlarmQueue {
  readonly #byTime = new BTree<Alarm, undefined>(undefined, compare);
  readonly #byId = new Map<string, ReadonlyMap<AlarmKind, Alarm>>();

  set(alarm: Alarm): void {
    const own = new Map(this.#byId.get(alarm.id));
    const before = own.get(alarm.alarm);
    if (before) this.#byTime.delete(before);
    own.set(alarm.alarm, alarm);
    this.#byId.set(alarm.id, own);
    this.#byTime.set(alarm, undefined);
  }

  /** Removes all alarms of that id. */
  clear(id: string): void {
    for (const alarm of this.#byId.get(id)?.values() ?? []) this.#byTime.delete(alarm);
    this.#byId.delete(id);
  }

  /** When the next one rings. */
  get next(): Micros | undefined {
    return this.#byTime.minKey()?.at;
  }

  get size(): number {
    return this.#byTime.size;
  }

  /** Takes out, in order, all that are due at `now`. */
  due(now: Micros): ReadonlyArray<Alarm> {
    const rung: Alarm[] = [];
    for (let first = this.#byTime.minKey(); first && first.at <= now; first = this.#byTime.minKey()) {
      rung.push(first);
      this.#byTime.delete(first);
      const own = new Map(this.#byId.get(first.id));
      own.delete(first.alarm);
      if (own.size === 0) this.#byId.delete(first.id);
      else this.#byId.set(first.id, own);
    }
    return rung;
  }
}
