/**
 * Does a series grow? The Theil–Sen slope with its confidence interval (Sen 1968): the median of the slopes between all
 * pairs, so that a few wild samples do not matter. Pure.
 *
 * Heap and memory go up and down with every collection; what grows is the floor. So samples are first reduced to the
 * least of each block.
 */

/** One sample. */
export type Sample = Readonly<{ atMs: number; value: number }>;

/** Per minute, with 95 % confidence. */
export type Trend = Readonly<{ slope: number; low: number; high: number; points: number }>;

const Z_95 = 1.96;

/** The least of each block of so many milliseconds. */
export const floors = (samples: ReadonlyArray<Sample>, blockMs: number): ReadonlyArray<Sample> => {
  const blocks = new Map<number, Sample>();
  for (const sample of samples) {
    const block = Math.floor(sample.atMs / blockMs);
    const least = blocks.get(block);
    if (least === undefined || sample.value < least.value)
      blocks.set(block, { atMs: block * blockMs, value: sample.value });
  }
  return [...blocks.values()];
};

/** Undefined for fewer than 8 points: too few to say anything. */
export const trendOf = (samples: ReadonlyArray<Sample>): Trend | undefined => {
  const n = samples.length;
  if (n < 8) return undefined;
  const slopes: number[] = [];
  samples.forEach((a, i) => {
    for (const b of samples.slice(i + 1))
      if (b.atMs !== a.atMs) slopes.push(((b.value - a.value) / (b.atMs - a.atMs)) * 60_000);
  });
  slopes.sort((a, b) => a - b);
  const at = (rank: number): number =>
    slopes[Math.max(0, Math.min(slopes.length - 1, Math.round(rank)))] ?? 0;
  const spread = Z_95 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  return {
    slope: at((slopes.length - 1) / 2),
    low: at((slopes.length - spread) / 2 - 1),
    high: at((slopes.length + spread) / 2),
    points: n,
  };
};

/** Whether it grows, with confidence. */
export const isGrowing = (trend: Trend | undefined): boolean => trend !== undefined && trend.low > 0;
