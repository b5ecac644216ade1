/** What does a set of measured values say? */

/** A summary of latencies, in their own unit. */
export type Summary = Readonly<{
  n: number;
  mean: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}>;

/** The smallest value that a share `q` of all are not above (nearest rank); NaN of nothing. */
export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(sorted.length * q) - 1))] ?? Number.NaN;
};

/** As the table shows it: one write too many in thousands of Runs is none on average. */
export const hundredths = (value: number): number => Math.round(value * 100) / 100;

/** All the figures of the table. */
export const summary = (values: ReadonlyArray<number>): Summary => ({
  n: values.length,
  mean: values.reduce((sum, value) => sum + value, 0) / values.length,
  p50: quantile(values, 0.5),
  p95: quantile(values, 0.95),
  p99: quantile(values, 0.99),
  max: quantile(values, 1),
});

/** Most of the intervals [from, to) that hold at a time, and for how long how many held: their integral. */
export const occupancy = (
  intervals: ReadonlyArray<Readonly<{ from: number; to: number }>>,
): Readonly<{ most: number; integral: number }> => {
  const moments = intervals
    .flatMap(({ from, to }) => [
      { at: from, by: 1 },
      { at: to, by: -1 },
    ])
    .sort((a, b) => a.at - b.at || a.by - b.by);
  let [now, most, integral, last] = [0, 0, 0, moments[0]?.at ?? 0];
  for (const { at, by } of moments) {
    integral += now * (at - last);
    last = at;
    now += by;
    most = Math.max(most, now);
  }
  return { most, integral };
};
