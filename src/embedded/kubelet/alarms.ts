/**
 * The kubelet's one timer: instants by key, one `setTimeout` for the earliest. A handful of entries per pod, so the
 * earliest is found by looking at all of them.
 */

import { forwardMs } from '../../io/wall-clock.js';

export type Alarms = Readonly<{
  /** Calls `ring` at `atMs` (epoch milliseconds); replaces an earlier alarm of the same key. */
  set: (key: string, atMs: number, ring: () => void) => void;
  clear: (key: string) => void;
  /** Drops all of them. */
  stop: () => void;
}>;

/** Longest delay a timer of node can have; later instants are approached in steps. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

export const alarms = (now: () => number = forwardMs): Alarms => {
  const entries = new Map<string, Readonly<{ atMs: number; ring: () => void }>>();
  let timer: NodeJS.Timeout | undefined;
  let timerAtMs = Number.POSITIVE_INFINITY;

  const ringDue = (): void => {
    timer = undefined;
    timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = now();
    const due = [...entries].filter(([, entry]) => entry.atMs <= nowMs);
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
    set: (key, atMs, ring) => {
      entries.set(key, { atMs, ring });
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
