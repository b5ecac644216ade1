/**
 * Does a series grow? Whether, by the Mann–Kendall test, with its correction for equal values (Mann 1945, Kendall 1975):
 * do more pairs rise than fall? By how much, by the Theil–Sen slope (Sen 1968): the median of the slopes of all pairs.
 * So a few wild samples do not matter, and no shape is assumed. Pure.
 *
 * A leak is told from a cache that fills by two things: it is larger than what is allowed by more than chance, and it goes
 * on, so the later half of the samples grows by more than that, too.
 */

/** One sample. */
export type Sample = Readonly<{ atMs: number; value: number }>;

/**
 * `slope` is per minute. `score` is how many standard deviations the pairs that rise are more than chance would have it.
 */
export type Trend = Readonly<{ slope: number; score: number }>;

/**
 * One flat series in 2,000 reaches it by chance. A soak has about 100 series, so one soak in 20 has one; with the usual
 * 1.96 every soak would have one or two.
 */
const CERTAIN = 3.3;

/** With 8, a leak of 1 KiB a Run in each of seven processes of a soak was certain in three of them, with 12 in all. */
export const FEWEST = 12;

const sumOver = (counts: Iterable<number>, of: (count: number) => number): number => {
  let sum = 0;
  for (const count of counts) sum += of(count);
  return sum;
};

const varianceTerm = (n: number): number => n * (n - 1) * (2 * n + 5);

const MINUTE_MS = 60_000;

/** Of all pairs, per minute, in order. */
const slopesOf = (samples: ReadonlyArray<Sample>): ReadonlyArray<number> =>
  samples
    .flatMap((a, i) => samples.slice(i + 1).map((b) => ((b.value - a.value) / (b.atMs - a.atMs)) * MINUTE_MS))
    .sort((a, b) => a - b);

const lowerMedian = (sorted: ReadonlyArray<number>): number =>
  sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;

/** Undefined for fewer than 12 points: too few to say anything. */
export const trendOf = (samples: ReadonlyArray<Sample>): Trend | undefined => {
  const n = samples.length;
  if (n < FEWEST) return undefined;
  const slopes = slopesOf(samples);
  const rising = sumOver(slopes, Math.sign);
  const equals = new Map<number, number>();
  for (const { value } of samples) equals.set(value, (equals.get(value) ?? 0) + 1);
  const deviation = Math.sqrt((varianceTerm(n) - sumOver(equals.values(), varianceTerm)) / 18);
  return {
    slope: lowerMedian(slopes),
    score: rising === 0 ? 0 : (rising - Math.sign(rising)) / deviation,
  };
};

/** Whether it rises for certain. */
export const isRising = ({ score }: Trend): boolean => score >= CERTAIN;

/**
 * The trend of what is left when a growth of `allowed` a minute is taken off, and whether that is a leak: rises for
 * certain, and does not fall in the later half. Undefined for fewer than 12 points.
 */
export const leakOf = (
  samples: ReadonlyArray<Sample>,
  allowed: number,
): Readonly<{ beyond: Trend; isLeak: boolean }> | undefined => {
  const rest = samples.map(({ atMs, value }) => ({ atMs, value: value - (allowed * atMs) / MINUTE_MS }));
  const beyond = trendOf(rest);
  return (
    beyond && {
      beyond,
      isLeak: isRising(beyond) && lowerMedian(slopesOf(rest.slice(Math.floor(rest.length / 2)))) >= 0,
    }
  );
};
