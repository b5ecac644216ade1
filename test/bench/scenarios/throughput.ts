/** How many Runs a second, for as long as one likes? Every slot is kept busy; durable writes as always. */

import { apiLimit, spawnLimit } from '../limits.js';
import { closedLoop } from '../load.js';
import { timeBetween } from '../processor-time.js';
import { openRuns, type Sample } from '../runs.js';
import type { Bench, Figures, Scenario } from '../scenario.js';
import { stageFaults, stagesOf } from '../stages.js';
import { hundredths, quantile, summary } from '../stats.js';
import { failures, noOp, WARM, warmUp } from './one-run.js';

/** Nothing, or lines of output. */
const scriptOf = (lines: number): string =>
  lines === 0 ? ':' : `for ((i = 0; i < ${lines}; i++)); do echo "line $i"; done`;

/** Runs that ended in each second between the first and the last end. */
const perSecond = (ends: ReadonlyArray<number>): ReadonlyArray<number> => {
  const first = Math.min(...ends);
  const seconds = Math.floor((Math.max(...ends) - first) / 1_000);
  const counts = Array.from({ length: seconds }, () => 0);
  for (const at of ends) {
    const second = Math.floor((at - first) / 1_000);
    if (second < seconds) counts[second] = (counts[second] ?? 0) + 1;
  }
  return counts;
};

/** Bytes that the store grew by for each of some Runs with a script of so many characters. */
const storedPerRun = async (
  bench: Bench,
  runtime: string,
  characters: number,
): Promise<number | undefined> => {
  const plane = await bench.plane();
  const runs = await openRuns(plane);
  const inline = `:\n#${'x'.repeat(characters)}`;
  const count = 50;
  try {
    for (;;) {
      const before = plane.storeLog();
      await closedLoop(count, 4, async () => {
        await runs.run(runs.name(), { ...noOp(runtime), source: { inline } });
      });
      const after = plane.storeLog();
      if (before === undefined || after === undefined) return undefined;
      // Else a snapshot came in between, and what was in the log before it is gone.
      if (after.number === before.number) return (after.bytes - before.bytes) / count;
    }
  } finally {
    runs.close();
  }
};

const measure = async (bench: Bench): Promise<Figures> => {
  const plane = await bench.plane();
  const count = bench.parameter('runs', 6_000);
  const width = bench.parameter('at-a-time', 64);
  const runtime = await plane.runtime({ pods: 2, slots: 64 });
  const runs = await openRuns(plane);
  const script = scriptOf(bench.parameter('lines', 0));
  const spec = { ...noOp(runtime), source: { inline: script } };
  await warmUp(runs, spec, bench.parameter('warm-up', WARM), width);
  const spawns = [await spawnLimit(bench.folder, script, 600, width)];
  bench.say(`${count} Runs, ${width} at a time`);
  const samples: Sample[] = [];
  const [writesFrom, before] = [await plane.revision(), bench.stopwatch()];
  const began = performance.now();
  await closedLoop(count, width, async () => {
    samples.push(await runs.run(runs.name(), spec));
  });
  const wallMs = performance.now() - began;
  const used = timeBetween(before, bench.stopwatch());
  const allWrites = ((await plane.revision()) - writesFrom) / count;
  runs.close();
  spawns.push(await spawnLimit(bench.folder, script, 600, width));
  const bare = await apiLimit(plane, 1_000, width);
  const small = await storedPerRun(bench, runtime, 100);
  const large = await storedPerRun(bench, runtime, 100_000);
  const rate = (count / wallMs) * 1_000;
  const spawnRate =
    (spawns.reduce((sum, { took }) => sum + took.length, 0) /
      spawns.reduce((sum, spawned) => sum + spawned.wallMs, 0)) *
    1_000;
  const share = (rate / spawnRate) * 100;
  const writes = summary(samples.map((run) => run.writes));
  const seconds = perSecond(samples.map((run) => run.seen));
  return {
    parameters: { runs: count, 'at-a-time': width, pods: 2, slots: 64, script },
    rows: [
      { label: 'Runs per second', unit: '/s', values: rate },
      { label: '  of bare spawns', unit: '%', values: share },
      { label: '  its worst second', unit: '/s', values: quantile(seconds, 0) },
      { label: 'create → end seen', unit: 'ms', values: summary(samples.map((run) => run.seen - run.began)) },
      ...Object.entries(stagesOf(samples)).map(([label, values]) => ({
        label: `  ${label}`,
        unit: 'ms',
        values: summary(values),
      })),
      { label: 'writes per Run after creation', unit: '', values: writes },
      ...(plane.kind === 'embedded'
        ? [{ label: 'all API writes per Run, creation, Events and the rest', unit: '', values: allWrites }]
        : []),
      ...(small === undefined
        ? []
        : [{ label: 'stored per Run, script of 100 characters', unit: 'B', values: small }]),
      ...(large === undefined
        ? []
        : [{ label: 'stored per Run, script of 100,000', unit: 'B', values: large }]),
      { label: 'limit: bare spawns per second', unit: '/s', values: spawnRate },
      {
        label: 'limit: API create + patch + patch per second',
        unit: '/s',
        values: (bare.took.length / bare.wallMs) * 1_000,
      },
    ],
    targets: [
      ...(plane.kind === 'embedded'
        ? [
            { label: 'Runs / bare spawns', value: share, unit: '%', atLeast: 45 },
            { label: 'Runs per second', value: rate, unit: '/s', atLeast: 350 },
          ]
        : [{ label: 'Runs per second', value: rate, unit: '/s', atLeast: 100 }]),
      { label: 'writes per Run', value: hundredths(writes.mean), unit: '', atMost: 2 },
      ...(small === undefined || large === undefined
        ? []
        : [
            {
              label: 'stored for 100,000 characters more, times the script',
              value: (large - small) / 100_000,
              unit: 'x',
              atMost: 1.1,
            },
          ]),
    ],
    errors: [...failures(samples), ...stageFaults(samples)],
    cpuPerRun: Object.fromEntries(Object.entries(used).map(([program, ms]) => [program, ms / count])),
    raw: {
      wholeMs: samples.map((run) => run.seen - run.began),
      ...stagesOf(samples),
      perSecond: seconds,
    },
  };
};

export const throughput: Scenario = {
  name: 'c',
  question: 'sustained throughput on 2 pods x 64 slots',
  measure,
};
