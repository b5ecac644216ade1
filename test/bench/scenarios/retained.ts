/**
 * Does a Run notice how much there is besides? One Run at a time, and as many as the slots take, on an empty system and
 * then: `d` with 10,000 Runs Pending behind another Runtime, `e` with 100,000 finished Runs retained.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { runtimes } from '../../../src/model/resources.js';
import { answer } from '../../e2e/attach.js';
import { createFinishedRuns, createRuns } from '../fleet/cohort.js';
import { addHistory } from '../fleet/history.js';
import { closedLoop } from '../load.js';
import { type Plane, planeOn } from '../plane.js';
import { type ProcessorTimes, type Stopwatch, stopwatch, timeBetween } from '../processor-time.js';
import { openRuns, type Sample } from '../runs.js';
import type { Bench, Figures, Row, Scenario } from '../scenario.js';
import { summary } from '../stats.js';
import { failures, noOp, WARM, warmUp } from './one-run.js';

/** What was measured in one surrounding. */
type Measured = Readonly<{
  oneByOne: ReadonlyArray<Sample>;
  rate: number;
  many: ReadonlyArray<Sample>;
  /** Milliseconds per Run, one by one and many at a time. */
  oneCpu: ProcessorTimes;
  manyCpu: ProcessorTimes;
}>;

const each = (used: ProcessorTimes, count: number): ProcessorTimes =>
  Object.fromEntries(Object.entries(used).map(([program, ms]) => [program, ms / count]));

const look = async (bench: Bench, plane: Plane, runtime: string, times: Stopwatch): Promise<Measured> => {
  const count = bench.parameter('runs', 400);
  const manyCount = bench.parameter('many', 2_000);
  const width = bench.parameter('at-a-time', 64);
  const runs = await openRuns(plane);
  const spec = noOp(runtime);
  await warmUp(runs, spec, bench.parameter('warm-up', WARM), 8);
  const oneByOne: Sample[] = [];
  const oneFrom = times();
  await closedLoop(count, 1, async () => {
    oneByOne.push(await runs.run(runs.name(), spec));
  });
  const oneCpu = each(timeBetween(oneFrom, times()), count);
  const many: Sample[] = [];
  const manyFrom = times();
  const began = performance.now();
  await closedLoop(manyCount, width, async () => {
    many.push(await runs.run(runs.name(), spec));
  });
  const rate = (manyCount / (performance.now() - began)) * 1_000;
  const manyCpu = each(timeBetween(manyFrom, times()), manyCount);
  runs.close();
  return { oneByOne, many, rate, oneCpu, manyCpu };
};

const rowsOf = (where: string, { oneByOne, many, rate, oneCpu, manyCpu }: Measured): ReadonlyArray<Row> => [
  {
    label: `${where}: create → end seen, one by one`,
    unit: 'ms',
    values: summary(oneByOne.map((run) => run.seen - run.began)),
  },
  {
    label: '  create → assigned: the decision and its write',
    unit: 'ms',
    values: summary(oneByOne.map((run) => (run.scheduledMicros - run.beganMicros) / 1_000)),
  },
  { label: '  operator, per Run', unit: 'ms cpu', values: oneCpu.controller ?? Number.NaN },
  { label: '  API server, per Run', unit: 'ms cpu', values: oneCpu.apiserver ?? Number.NaN },
  { label: `${where}: Runs per second`, unit: '/s', values: rate },
  {
    label: '  create → end seen',
    unit: 'ms',
    values: summary(many.map((run) => run.seen - run.began)),
  },
  { label: '  operator, per Run', unit: 'ms cpu', values: manyCpu.controller ?? Number.NaN },
  { label: '  API server, per Run', unit: 'ms cpu', values: manyCpu.apiserver ?? Number.NaN },
];

/** What is compared, of two surroundings. */
const figuresOf = (name: string, there: number, empty: Measured, full: Measured): Figures => {
  const ratio = (of: (measured: Measured) => number): number => of(full) / of(empty);
  const p50 = ({ oneByOne }: Measured): number => summary(oneByOne.map((run) => run.seen - run.began)).p50;
  const decision = ({ oneByOne }: Measured): number =>
    summary(oneByOne.map((run) => run.scheduledMicros - run.beganMicros)).p50;
  return {
    parameters: { there, pods: 2, slots: 64 },
    rows: [...rowsOf('empty', empty), ...rowsOf(name, full)],
    targets: [
      { label: 'create → end seen, p50, to the empty system', value: ratio(p50), unit: 'x', atMost: 1.2 },
      { label: 'create → assigned, p50', value: ratio(decision), unit: 'x', atMost: 1.2 },
      { label: 'Runs per second', value: ratio(({ rate }) => rate), unit: 'x', atLeast: 1 / 1.2 },
      {
        label: 'operator, processor time per Run of many',
        value: ratio(({ manyCpu }) => manyCpu.controller ?? Number.NaN),
        unit: 'x',
        atMost: 1.2,
      },
      {
        label: 'API server, processor time per Run of many',
        value: ratio(({ manyCpu }) => manyCpu.apiserver ?? Number.NaN),
        unit: 'x',
        atMost: 1.2,
      },
    ],
    errors: [empty, full].flatMap(({ oneByOne, many }) => failures([...oneByOne, ...many])),
    raw: {
      emptyMs: empty.oneByOne.map((run) => run.seen - run.began),
      fullMs: full.oneByOne.map((run) => run.seen - run.began),
    },
  };
};

const waitingRuns = async (bench: Bench, plane: Plane): Promise<number> => {
  const count = bench.parameter('backlog', 10_000);
  const tag = Date.now().toString(36);
  const name = `bench-full-${tag}`;
  await answer(
    plane.kube.create(runtimes, plane.namespace, {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Runtime',
      metadata: { name },
      spec: {
        replicas: 0,
        template: { spec: { containers: [{ name: 'runtime', image: 'none' }] } },
      },
    }),
  );
  await createRuns(plane.kube, name, count, 64, (index) => `waits-${tag}-${index}`);
  // Each is told once why it waits; that is behind us when the API is quiet.
  let revision = await plane.revision();
  for (let quiet = 0; quiet < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const now = await plane.revision();
    quiet = now - revision < 20 ? quiet + 1 : 0;
    revision = now;
  }
  return count;
};

const besideWaiting = async (bench: Bench): Promise<Figures> => {
  const plane = await bench.plane();
  const runtime = await plane.runtime({ pods: 2, slots: 64 });
  bench.say('an empty system');
  const empty = await look(bench, plane, runtime, bench.stopwatch);
  bench.say('the backlog comes');
  const there = await waitingRuns(bench, plane);
  bench.say(`the same beside ${there} Runs that wait`);
  return figuresOf('backlog', there, empty, await look(bench, plane, runtime, bench.stopwatch));
};

/**
 * On a control plane of its own, which is stopped in between: the history is put into its store, because a hundred
 * thousand Runs by the API take their time. Both are measured after a start.
 */
const besideFinished = async (bench: Bench): Promise<Figures> => {
  const count = bench.parameter('retained', 100_000);
  const dataDir = await mkdtemp(join(tmpdir(), 'krt-bench-'));
  const first = await planeOn(dataDir);
  const prefix = 'retained-';
  const measured = async (plane: Plane): Promise<Measured> => {
    const runtime = await plane.runtime({ pods: 2, slots: 64 });
    return look(bench, plane, runtime, stopwatch(dataDir));
  };
  try {
    await createFinishedRuns(first.kube, first.namespace, 1, 1, (index) => `${prefix}${index}`);
    bench.say('an empty system');
    const empty = await measured(first);
    await first.stop();
    bench.say(`${count} finished Runs are put into the store`);
    await addHistory(dataDir, prefix, count);
    const second = await planeOn(dataDir);
    bench.say(`the same beside ${count} finished Runs`);
    const full = await measured(second).finally(() => second.stop());
    return figuresOf('retained', count, empty, full);
  } finally {
    await first.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
};

/** Scenario (d). */
export const backlog: Scenario = {
  name: 'd',
  question: 'beside 10,000 Runs that wait for another Runtime',
  measure: besideWaiting,
};

/** Scenario (e). */
export const retained: Scenario = {
  name: 'e',
  question: 'beside 100,000 finished Runs',
  measure: besideFinished,
};
