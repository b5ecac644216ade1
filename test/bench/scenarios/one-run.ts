/**
 * One Run at a time: how long from the create request until a watching client sees its end? Closed loop (`a`), and
 * arrivals of a Poisson process (`a-open`). Bare spawns of the same script are measured in between, so that ratios
 * compare what happened in the same minute.
 */

import { apiLimit, grpcLimit, httpLimit, spawnLimit, syncLimit } from '../limits.js';
import { closedLoop, openLoop, poisson, seeded } from '../load.js';
import { timeBetween } from '../processor-time.js';
import { openRuns, type RunSpec, type Runs, type Sample } from '../runs.js';
import type { Bench, Figures, Row, Scenario } from '../scenario.js';
import { stageFaults, stagesOf } from '../stages.js';
import { hundredths, summary } from '../stats.js';

const SCRIPT = ':';
/** Runs of a control plane that has just begun, told apart: node compiles what is used, the more the more it is used. */
const FIRST = 100;
/** Runs after which more of them make no Run faster. */
export const WARM = 3_000;

/** What was not as it should be, Run by Run. */
export const failures = (samples: ReadonlyArray<Sample>): ReadonlyArray<string> =>
  samples.flatMap(({ name, phase, message }) =>
    phase === 'Succeeded' ? [] : [`${name}: ${phase} ${message}`],
  );

/** Runs that do nothing. */
export const noOp = (runtime: string): RunSpec => ({
  runtime,
  source: { inline: SCRIPT },
  entrypoint: 'script',
});

/** Runs whose figures do not count: code is compiled, connections are made. */
export const warmUp = async (runs: Runs, spec: RunSpec, count: number, width: number): Promise<void> => {
  await closedLoop(count, width, async () => {
    await runs.run(runs.name(), spec);
  });
};

const latencyRows = (samples: ReadonlyArray<Sample>): ReadonlyArray<Row> => [
  { label: 'create → end seen', unit: 'ms', values: summary(samples.map((run) => run.seen - run.began)) },
  ...Object.entries(stagesOf(samples)).map(([label, values]) => ({
    label: `  ${label}`,
    unit: 'ms',
    values: summary(values),
  })),
  { label: 'create → answered', unit: 'ms', values: summary(samples.map((run) => run.created - run.began)) },
];

const measure = async (bench: Bench): Promise<Figures> => {
  const plane = await bench.plane();
  const count = bench.parameter('runs', 500);
  const warm = bench.parameter('warm-up', WARM);
  const rounds = bench.parameter('rounds', 5);
  const runtime = await plane.runtime({ pods: 2, slots: 64 });
  const runs = await openRuns(plane);
  const spec = noOp(runtime);
  const first: Sample[] = [];
  await closedLoop(FIRST, 1, async () => {
    first.push(await runs.run(runs.name(), spec));
  });
  bench.say(`${warm} Runs to warm up`);
  await warmUp(runs, spec, warm, 4);
  const samples: Sample[] = [];
  const spawns: number[] = [];
  let cpu: Readonly<Record<string, number>> = {};
  const writesFrom = await plane.revision();
  for (let round = 0; round < rounds; round += 1) {
    bench.say(`round ${round + 1} of ${rounds}`);
    const before = bench.stopwatch();
    await closedLoop(Math.ceil(count / rounds), 1, async () => {
      samples.push(await runs.run(runs.name(), spec));
    });
    const used = timeBetween(before, bench.stopwatch());
    cpu = Object.fromEntries(
      Object.entries(used).map(([program, ms]) => [program, (cpu[program] ?? 0) + ms]),
    );
    spawns.push(...(await spawnLimit(bench.folder, SCRIPT, 60, 1)).took.slice(10));
  }
  const allWrites = ((await plane.revision()) - writesFrom) / samples.length;
  runs.close();
  const [sync, http, grpc] = [syncLimit(bench.folder), await httpLimit(), await grpcLimit()];
  const bare = await apiLimit(plane, 200, 1);
  const whole = summary(samples.map((run) => run.seen - run.began));
  const spawned = summary(spawns);
  return {
    parameters: { runs: samples.length, 'warm-up': warm, rounds, pods: 2, slots: 64, script: SCRIPT },
    rows: [
      ...latencyRows(samples),
      {
        label: `create → end seen, the first ${FIRST}`,
        unit: 'ms',
        values: summary(first.map((run) => run.seen - run.began)),
      },
      { label: 'writes per Run after creation', unit: '', values: summary(samples.map((run) => run.writes)) },
      ...(plane.kind === 'embedded'
        ? [{ label: 'all API writes per Run, its Events and the rest too', unit: '', values: allWrites }]
        : []),
      { label: 'limit: bare spawn', unit: 'ms', values: spawned },
      { label: 'limit: append + fdatasync', unit: 'ms', values: summary(sync) },
      { label: 'limit: HTTP round trip', unit: 'ms', values: summary(http) },
      { label: 'limit: gRPC stream round trip', unit: 'ms', values: summary(grpc) },
      { label: 'limit: API create + patch + patch', unit: 'ms', values: summary(bare.took.slice(50)) },
    ],
    targets: [
      ...(plane.kind === 'embedded'
        ? [
            { label: 'p50 / bare spawn p50', value: whole.p50 / spawned.p50, unit: 'x', atMost: 3 },
            { label: 'p50', value: whole.p50, unit: 'ms', atMost: 8 },
          ]
        : [{ label: 'p50', value: whole.p50, unit: 'ms', atMost: 20 }]),
      { label: 'p99 / p50', value: whole.p99 / whole.p50, unit: 'x', atMost: 3 },
      {
        label: 'writes per Run',
        value: hundredths(summary(samples.map((run) => run.writes)).mean),
        unit: '',
        atMost: 2,
      },
    ],
    errors: [...failures(samples), ...stageFaults(samples)],
    cpuPerRun: Object.fromEntries(Object.entries(cpu).map(([program, ms]) => [program, ms / samples.length])),
    raw: {
      wholeMs: samples.map((run) => run.seen - run.began),
      ...stagesOf(samples),
      firstMs: first.map((run) => run.seen - run.began),
      spawnMs: spawns,
      syncMs: sync,
      httpMs: http,
      grpcMs: grpc,
      apiTripleMs: bare.took,
    },
  };
};

const measureOpen = async (bench: Bench): Promise<Figures> => {
  const plane = await bench.plane();
  const count = bench.parameter('runs', 1_000);
  const rate = bench.parameter('rate', 50);
  const runtime = await plane.runtime({ pods: 2, slots: 64 });
  const runs = await openRuns(plane);
  const spec = noOp(runtime);
  await warmUp(runs, spec, bench.parameter('warm-up', WARM), 4);
  const samples: Sample[] = [];
  const late: number[] = [];
  const whole: number[] = [];
  await openLoop(poisson(count, rate, seeded(1)), async (_index, lateMs) => {
    const run = await runs.run(runs.name(), spec);
    samples.push(run);
    late.push(lateMs);
    whole.push(run.seen - run.began + lateMs);
  });
  runs.close();
  return {
    parameters: { runs: count, rate, pods: 2, slots: 64, script: SCRIPT },
    rows: [
      { label: 'arrival → end seen', unit: 'ms', values: summary(whole) },
      { label: '  arrival → create (timer, client)', unit: 'ms', values: summary(late) },
      ...latencyRows(samples),
    ],
    targets: [],
    errors: [...failures(samples), ...stageFaults(samples)],
    raw: { wholeMs: whole, lateMs: late, ...stagesOf(samples) },
  };
};

export const oneRun: Scenario = { name: 'a', question: 'one Run at a time, a no-op in bash', measure };

export const oneRunOpen: Scenario = {
  name: 'a-open',
  question: 'no-ops that arrive at random (Poisson), whoever is still under way',
  measure: measureOpen,
};
