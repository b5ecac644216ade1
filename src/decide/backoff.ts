/** Backoff: how long to wait before something that failed is tried again? Pure. */

/** Milliseconds: the first wait, doubled for each further failure, and the longest. */
export type Backoff = Readonly<{ firstMs: number; longestMs: number }>;

/**
 * The wait after `failures` earlier ones in a row (0 for the first), a quarter more or less by chance.
 *
 * @param chance uniform in [0, 1)
 */
export const backoffMs = (failures: number, chance: number, { firstMs, longestMs }: Backoff): number =>
  Math.min(longestMs, firstMs * 2 ** Math.min(failures, 10)) * (0.75 + chance / 2);
