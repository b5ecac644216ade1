/** The two loads with the parameters the peer publishes: many creators at once, few Runs, two pods. */
import { setTimeout as pause } from 'node:timers/promises';

import { closedLoop } from '../load.js';
import { type ProcessorTimes, timeBetween } from '../processor-time.js';
import { openRuns, type Sample } from '../runs.js';
import type { Bench, Figures, Scenario } from '../scenario.js';
import { stageFaults, stagesOf } from '../stages.js';
import { occupancy, quantile, summary } from '../stats.js';
import { failures, noOp, WARM, warmUp } from './one-run.js';

/** Bursts of Runs; each creator creates its share one after the other, without waiting for their ends. */
const bursts = async (
  bench: Bench,
  parameters: Readonly<{ runs: number; creators: number; slots: number; script: string; rounds: number }>,
): Promise<
  Readonly<{
    rounds: ReadonlyArray<ReadonlyArray<Sample>>;
    all: ReadonlyArray<Sample>;
    /** Processor time of all programs from the first create request to the last end, per Run of a round. */
    usedMs: ReadonlyArray<ProcessorTimes>;
  }>
> => {
  const plane = await bench.plane();
  const { slots, creators, script } = parameters;
  const runtime = await plane.runtime({ pods: 2, slots });
  const runs = await openRuns(plane);
  await warmUp(runs, noOp(runtime), bench.parameter('warm-up', WARM), creators);
  const spec = { ...noOp(runtime), source: { inline: script } };
  const rounds: Sample[][] = [];
  const usedMs: ProcessorTimes[] = [];
  const pauseMs = bench.parameter('pause', 0);
  for (let round = 0; round < parameters.rounds; round += 1) {
    // What the round before has left to be done is done in the pause, or is a part of this one.
    if (pauseMs > 0) await pause(pauseMs);
    const before = bench.stopwatch();
    const ending: Array<Promise<Sample>> = [];
    await closedLoop(parameters.runs, creators, async () => {
      const { answered, ended } = runs.start(runs.name(), spec);
      ending.push(ended);
      await answered;
    });
    rounds.push(await Promise.all(ending));
    usedMs.push(timeBetween(before, bench.stopwatch()));
  }
  runs.close();
  return { rounds, all: rounds.flat(), usedMs };
};

const total = (used: ProcessorTimes): number => Object.values(used).reduce((sum, ms) => sum + ms, 0);

const measureBurst = async (bench: Bench): Promise<Figures> => {
  const parameters = {
    runs: bench.parameter('runs', 50),
    creators: bench.parameter('creators', 25),
    slots: bench.parameter('slots', 64),
    rounds: bench.parameter('rounds', 10),
    script: 'echo hello',
  };
  const { rounds, all, usedMs } = await bursts(bench, parameters);
  const whole = all.map((run) => run.seen - run.began);
  const median = (q: number): number =>
    quantile(
      rounds.map((round) =>
        quantile(
          round.map((run) => run.seen - run.began),
          q,
        ),
      ),
      0.5,
    );
  return {
    parameters: { ...parameters, pods: 2 },
    rows: [
      { label: 'create → end seen, all rounds', unit: 'ms', values: summary(whole) },
      { label: 'create → assigned', unit: 'ms', values: summary(stagesOf(all)['create → assigned']) },
      {
        label: 'assigned → seen',
        unit: 'ms',
        values: summary(all.map((run) => (run.seenMicros - run.scheduledMicros) / 1000)),
      },
      {
        label: 'processor time to the last end, per Run',
        unit: 'ms',
        values: summary(usedMs.map((used) => total(used) / parameters.runs)),
      },
      { label: 'median round: p50', unit: 'ms', values: median(0.5) },
      { label: 'median round: p95', unit: 'ms', values: median(0.95) },
      {
        label: 'all of a round ended after',
        unit: 'ms',
        values: summary(
          rounds.map(
            (round) => Math.max(...round.map((run) => run.seen)) - Math.min(...round.map((run) => run.began)),
          ),
        ),
      },
    ],
    targets: [
      { label: 'p50 (median round)', value: median(0.5), unit: 'ms', atMost: 60 },
      { label: 'p95 (median round)', value: median(0.95), unit: 'ms', atMost: 100 },
    ],
    errors: [...failures(all), ...stageFaults(all)],
    cpuPerRun: Object.fromEntries(
      Object.keys(usedMs[0] ?? {}).map((program) => [
        program,
        usedMs.reduce((sum, used) => sum + (used[program] ?? 0), 0) / all.length,
      ]),
    ),
    raw: { wholeMs: whole, ...stagesOf(all) },
  };
};

const measureSlots = async (bench: Bench): Promise<Figures> => {
  const parameters = {
    runs: bench.parameter('runs', 50),
    creators: bench.parameter('creators', 10),
    slots: bench.parameter('slots', 4),
    rounds: bench.parameter('rounds', 2),
    script: 'sleep 0.5',
  };
  const { rounds, all } = await bursts(bench, parameters);
  const slots = parameters.slots * 2;
  /** Of the time in which more Runs waited than there were slots, the part of the slots that executed. */
  const use = rounds.map((round) => {
    const starts = round.map((run) => run.startMicros).sort((a, b) => a - b);
    const first = starts[slots - 1] ?? 0;
    const last = starts.at(-1) ?? 0;
    const within = round
      .map((run) => ({ from: Math.max(first, run.startMicros), to: Math.min(last, run.completionMicros) }))
      .filter(({ from, to }) => to > from);
    return occupancy(within).integral / ((last - first) * slots);
  });
  const most = Math.max(
    ...rounds.map(
      (round) => occupancy(round.map((run) => ({ from: run.startMicros, to: run.completionMicros }))).most,
    ),
  );
  const rate = rounds.map(
    (round) =>
      round.length /
      ((Math.max(...round.map((run) => run.seen)) - Math.min(...round.map((run) => run.began))) / 1_000),
  );
  return {
    parameters: { ...parameters, pods: 2 },
    rows: [
      { label: 'create → end seen', unit: 'ms', values: summary(all.map((run) => run.seen - run.began)) },
      { label: 'slots in use while others wait', unit: '%', values: quantile(use, 0.5) * 100 },
      { label: 'most at a time', unit: '', values: most },
      { label: 'Runs per second (ideal 16)', unit: '/s', values: quantile(rate, 0.5) },
    ],
    targets: [
      { label: 'slots in use while others wait', value: quantile(use, 0.5) * 100, unit: '%', atLeast: 95 },
    ],
    errors: [
      ...failures(all),
      ...stageFaults(all),
      ...(most > slots ? [`${most} Runs at a time on ${slots} slots`] : []),
    ],
    raw: { wholeMs: all.map((run) => run.seen - run.began), ...stagesOf(all) },
  };
};

export const burst: Scenario = {
  name: 'b1',
  question: 'the peer’s burst: 50 Runs, 25 creators, 2 pods x 64 slots (it publishes p50 580, p95 628 ms)',
  measure: measureBurst,
};

export const slotUse: Scenario = {
  name: 'b2',
  question:
    'the peer’s backlog: 50 Runs of 500 ms, 10 creators, 2 pods x 4 slots (it publishes 5.05 of 16 per second)',
  measure: measureSlots,
};
