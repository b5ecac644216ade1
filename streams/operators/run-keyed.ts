/**
 * Runs effects for items, never two at once for one key, at most `concurrency` in all, urgent ones first.
 *
 * While a key is busy or waiting, a newer item of the same key *and kind* replaces the waiting one: only the newest
 * decision counts. Items of other kinds of that key wait in their order, the urgent ones before the others.
 *
 * Guarantees: every accepted item is run or replaced by a newer one of its kind; the source's completion lets what is
 * waiting and running finish; unsubscribing cancels all. Why not groupBy or mergeMap: the first keeps every key for
 * ever, the second searches its list of inner subscriptions for each event (docs/adr/0003).
 */
import { Observable, type OperatorFunction, type Subscription } from 'rxjs';

/** How items are told apart and run. */
export type KeyedOptions<I, O> = Readonly<{
  keyOf: (item: I) => string;
  kindOf: (item: I) => string;
  isBackground: (item: I) => boolean;
  /** Must complete; an error is a defect and ends everything. */
  run: (item: I) => Observable<O>;
  /** Effects in flight at most. */
  concurrency: number;
  /** Of those, background ones at most. */
  backgroundConcurrency: number;
}>;

/** A queue of keys, each in it once. A Set alone would do but for V8, where taking its first member is O(deleted). */
type Lane = { ready: string[]; head: number; readonly members: Set<string> };

const emptyLane = (): Lane => ({ ready: [], head: 0, members: new Set() });

const push = (lane: Lane, key: string): void => {
  if (lane.members.has(key)) return;
  lane.members.add(key);
  lane.ready.push(key);
};

const take = (lane: Lane): string | undefined => {
  const key = lane.ready[lane.head];
  if (key === undefined) return undefined;
  lane.members.delete(key);
  lane.head += 1;
  if (lane.head > 1024 && lane.head * 2 > lane.ready.length) {
    lane.ready = lane.ready.slice(lane.head);
    lane.head = 0;
  }
  return key;
};

/** See the head of this file. */
export const runKeyed =
  <I, O>({
    keyOf,
    kindOf,
    isBackground,
    run,
    concurrency,
    backgroundConcurrency,
  }: KeyedOptions<I, O>): OperatorFunction<I, O> =>
  (items$) =>
    new Observable<O>((out) => {
      /** Per key, the waiting items by kind, in order of arrival. */
      const waiting = new Map<string, Map<string, I>>();
      const busy = new Set<string>();
      const running = new Set<Subscription>();
      const urgent = emptyLane();
      const background = emptyLane();
      let backgroundRunning = 0;
      let isLast = false;
      let isDraining = false;

      /** The first urgent item of a key, else its first: an urgent one must not wait for what may wait itself. */
      const firstOf = (kinds: ReadonlyMap<string, I>): readonly [string, I] | undefined => {
        let first: readonly [string, I] | undefined;
        for (const entry of kinds) {
          if (!isBackground(entry[1])) return entry;
          first ??= entry;
        }
        return first;
      };

      const lineUp = (key: string): void => {
        const kinds = waiting.get(key);
        const next = kinds && firstOf(kinds);
        if (next) push(isBackground(next[1]) ? background : urgent, key);
      };

      const startOne = (): boolean => {
        if (running.size >= concurrency) return false;
        let lane = urgent;
        let key = take(urgent);
        if (key === undefined && backgroundRunning < backgroundConcurrency) {
          lane = background;
          key = take(background);
        }
        if (key === undefined) return false;
        const kinds = waiting.get(key);
        if (!kinds || busy.has(key)) return true;
        const next = firstOf(kinds);
        if (!next) return true;
        const [kind, item] = next;
        kinds.delete(kind);
        if (kinds.size === 0) waiting.delete(key);
        start(key, item, lane === background);
        return true;
      };

      const start = (key: string, item: I, inBackground: boolean): void => {
        busy.add(key);
        if (inBackground) backgroundRunning += 1;
        let subscription: Subscription | undefined;
        let isOver = false;
        const over = (): void => {
          isOver = true;
          if (subscription) running.delete(subscription);
          busy.delete(key);
          if (inBackground) backgroundRunning -= 1;
          lineUp(key);
          drain();
        };
        const started = run(item).subscribe({
          next: (output) => out.next(output),
          error: (defect: unknown) => out.error(defect),
          complete: over,
        });
        if (isOver) return;
        // Its first output made the reader leave, before it was known here.
        if (out.closed) return started.unsubscribe();
        subscription = started;
        running.add(started);
      };

      /** Iterative, because an effect that completes at once would otherwise recurse. */
      const drain = (): void => {
        if (isDraining) return;
        isDraining = true;
        while (!out.closed && startOne());
        isDraining = false;
        if (isLast && running.size === 0 && waiting.size === 0) out.complete();
      };

      const source = items$.subscribe({
        next: (item) => {
          const key = keyOf(item);
          const kinds = waiting.get(key);
          if (kinds) {
            kinds.set(kindOf(item), item);
            if (!isBackground(item) && !busy.has(key)) push(urgent, key);
          } else {
            waiting.set(key, new Map([[kindOf(item), item]]));
            if (!busy.has(key)) lineUp(key);
          }
          drain();
        },
        error: (error: unknown) => out.error(error),
        complete: () => {
          isLast = true;
          drain();
        },
      });
      return () => {
        source.unsubscribe();
        for (const subscription of running) subscription.unsubscribe();
      };
    });
