/**
 * The kubelet's one timer: instants by key, one `setTimeout` for the earliest. A handful of entries per pod, so the
 * earliest is found by looking at all of them.
 */

import { forwardMs } from '../../io/wall-clock.js';

export type Alarms = Readonly<{
  /**
   * Calls `ring` at `atMs` (epoch milliseconds); replaces an earlier alarm of the same key.
   *
   * @param wallAtMs also when the wall clock says so, which is noticed with the next alarm of any key: for what others count
   *   by it. It may be ahead of ours no more than before when it is set forward after it was set back.
   */
  set: (key: string, atMs: number, ring: () => void, wallAtMs?: number) => void;
  clear: (key: string) => void;
  /** Drops all of them. */
  stop: () => void;
}>;

/** Longest delay a timer of node can have; later instants are approached in steps. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

export const alarms = (now: () => number = forwardMs, wall: () => number = Date.now): Alarms => {
  const entries = new Map<string, Readonly<{ atMs: number; wallAtMs: number; ring: () => void }>>();
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Number.POSITIVE_INFINITY;

  const ringDue = (): void => {
    timer = undefined;
    timerAtMs = Number.POSITIVE_INFINITY;
    const [nowMs, wallMs] = [now(), wall()];
    const due = [...entries].filter(([, entry]) => entry.atMs <= nowMs || entry.wallAtMs <= wallMs);
    for (const [key] of due) entries.delete(key);
    for (const [, entry] of due) entry.ring();
    arm();
  };

  const arm = (): void => {
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const { atMs } of entries.values()) earliestMs = Math.min(earliestMs, atMs);
    if (earliestMs === timerAtMs) return;
    clearTimeout(timer);
    timer = undefined;
    timerAtMs = earliestMs;
    if (earliestMs !== Number.POSITIVE_INFINITY)
      timer = setTimeout(ringDue, Math.min(Math.max(earliestMs - now(), 0), LONGEST_DELAY_MS));
  };

  return {
    set: (key, atMs, ring, wallAtMs = Number.POSITIVE_INFINITY) => {
      entries.set(key, { atMs, wallAtMs, ring });
      if (atMs < timerAtMs) arm();
    },
    clear: (key) => {
      if (entries.delete(key)) arm();
    },
    stop: () => {
      entries.clear();
      arm();
    },
  };
};
