/**
 * Killing every process that was started with a certain environment entry, whoever its parent is now. For those who
 * have to clean up after a process that was killed itself.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { hasEnvironEntry, processFact, processIds } from './proc.js';

/** Ids of living processes, our own excepted, whose environment began with `marker=value`. Linux only, else empty. */
export const findMarked = (marker: string, value: string): readonly number[] =>
  processIds().filter(
    (pid) =>
      pid !== process.pid && hasEnvironEntry(pid, `${marker}=${value}`) && processFact(pid) !== undefined,
  );

/**
 * Sends SIGKILL to all of them, and again until a look finds none: a process may fork while it is being looked for.
 *
 * @param boundMs how long to go on, milliseconds.
 * @returns ids that are still alive after that: empty, but for processes in uninterruptible sleep.
 */
export const killMarked = async (
  marker: string,
  value: string,
  { boundMs = 5_000 }: Readonly<{ boundMs?: number }> = {},
): Promise<readonly number[]> => {
  const end = performance.now() + boundMs;
  for (;;) {
    const found = findMarked(marker, value);
    if (found.length === 0 || performance.now() > end) return found;
    for (const pid of found) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone by itself, or not ours to kill; the next look tells.
      }
    }
    await delay(2);
  }
};
