/** How long to wait before the next try? Pure; the caller brings the randomness and the clock. */

/** Bounds of the delays, milliseconds. */
export type Backoff = Readonly<{ firstMs: number; maxMs: number }>;

/**
 * Of a watch: soon enough that a restarted API server is found within its first second, and one that was away for long
 * within ten (client-go: 30), because until then no Run is seen; slow enough that thousands of clients do not keep a
 * struggling one down.
 */
export const WATCH_BACKOFF: Backoff = { firstMs: 200, maxMs: 10_000 };

/**
 * Delay after `failures` earlier ones in a row (0 for the first): doubled each time up to the maximum, of which the
 * upper half is random (`random` in [0, 1)). What the server asked for (`atLeastMs`) is kept.
 */
export const backoffMs = (
  failures: number,
  random: number,
  { firstMs, maxMs }: Backoff = WATCH_BACKOFF,
  atLeastMs = 0,
): number => {
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(failures, 30));
  return Math.max(atLeastMs, Math.round(full / 2 + (full / 2) * random));
};
