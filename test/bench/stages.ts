/** Where did the time of the Runs go? By the status' timestamps; the stages' sum is checked against the whole. */
import type { Sample } from './runs.js';

/** Milliseconds of each Run, by stage. */
export type Stages = Readonly<
  Record<
    'create → assigned' | 'assigned → started' | 'started → ended' | 'ended → seen',
    ReadonlyArray<number>
  >
>;

/**
 * Sum and whole may differ by how wide the wall's time is, milliseconds: Date.now() tells whole ones, and every process
 * keeps its fractions within them (src/io/wall-clock.ts).
 */
const TOLERANCE_MS = 1;

/** The stages of each Run. */
export const stagesOf = (samples: ReadonlyArray<Sample>): Stages => ({
  'create → assigned': samples.map((run) => (run.scheduledMicros - run.beganMicros) / 1000),
  'assigned → started': samples.map((run) => (run.startMicros - run.scheduledMicros) / 1000),
  'started → ended': samples.map((run) => (run.completionMicros - run.startMicros) / 1000),
  'ended → seen': samples.map((run) => (run.seenMicros - run.completionMicros) / 1000),
});

/** What does not fit: a stage that is missing or takes less than nothing, a sum that is not the whole. */
export const stageFaults = (samples: ReadonlyArray<Sample>): ReadonlyArray<string> => {
  const stages = Object.entries(stagesOf(samples));
  return samples.flatMap((run, index) => {
    const parts = stages.map(([stage, values]) => ({ stage, ms: values[index] ?? Number.NaN }));
    const bad = parts.find(({ ms }) => !(ms > -TOLERANCE_MS));
    if (bad !== undefined) return [`${run.name}: ${bad.stage} took ${bad.ms} ms`];
    const off = parts.reduce((sum, { ms }) => sum + ms, 0) - (run.seen - run.began);
    return Math.abs(off) > TOLERANCE_MS ? [`${run.name}: its stages miss the whole by ${off} ms`] : [];
  });
};
