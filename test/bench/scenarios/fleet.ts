/**
 * A thousand pods and tens of thousands of active Runs: what do they cost the operator and the API server, and does the
 * next Run notice? The pods are simulated (fleet/simulated-pods.ts); the operator, its sessions and the API server are
 * the real ones.
 */
import { createFleetRuntime, createRuns, probe } from '../fleet/cohort.js';
import { simulate } from '../fleet/simulated-pods.js';
import { openStage } from '../fleet/stage.js';
import { stopwatch, timeBetween } from '../processor-time.js';
import type { Bench, Figures, Scenario } from '../scenario.js';
import { summary } from '../stats.js';

/** Slots left free, so that a Run that comes on top has somewhere to go. */
const SPARE = 100;

const measure = async (bench: Bench): Promise<Figures> => {
  const pods = bench.parameter('pods', 1_000);
  const active = bench.parameter('active', 50_000);
  const probes = bench.parameter('probes', 200);
  const width = bench.parameter('at-a-time', 64);
  const slots = Math.ceil((active + SPARE) / pods);
  const stage = await openStage();
  const watch = stopwatch(stage.dataDir);
  try {
    const operator = await stage.operator();
    const fleet = simulate({
      kube: stage.kube,
      namespace: 'default',
      runtime: 'fleet',
      folder: bench.folder,
      fateOf: (name) => (name.startsWith('probe') ? 'ends' : 'runs'),
    });
    const empty = { operator: operator.memory(), api: stage.apiServer() };

    bench.say(`${pods} pods come`);
    const podsFrom = { at: performance.now(), cpu: watch() };
    await createFleetRuntime(stage.kube, 'fleet', pods, slots);
    await fleet.whenOpen(pods);
    const podsTook = performance.now() - podsFrom.at;
    const podsCpu = timeBetween(podsFrom.cpu, watch());
    const withPods = { operator: operator.memory(), api: stage.apiServer() };

    const probing = async (tag: string): Promise<ReadonlyArray<number>> => {
      const names = Array.from({ length: probes }, (_, index) => `probe-${tag}-${index}`);
      return (await probe(stage.kube, 'fleet', names, (phase) => phase === 'Succeeded')).slice(probes / 10);
    };
    bench.say(`${probes} Runs, one at a time, while nothing else runs`);
    await probing('warm-up');
    const cpuAlone = watch();
    const alone = await probing('alone');
    const usedAlone = timeBetween(cpuAlone, watch());

    bench.say(`${active} Runs come and stay`);
    const runsFrom = { at: performance.now(), cpu: watch() };
    await createRuns(stage.kube, 'fleet', active, width, (index) => `stays-${index}`);
    await fleet.whenRunning(active);
    const runsTook = performance.now() - runsFrom.at;
    const runsCpu = timeBetween(runsFrom.cpu, watch());
    const withRuns = { operator: operator.memory(), api: stage.apiServer() };

    bench.say(`${probes} Runs, one at a time, among ${active} that run`);
    await probing('warm-up-2');
    const cpuAmong = watch();
    const among = await probing('among');
    const usedAmong = timeBetween(cpuAmong, watch());

    bench.say('nothing happens for 10 s');
    const idleFrom = watch();
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    const idle = timeBetween(idleFrom, watch());

    const perRun = (used: Readonly<Record<string, number>>, program: string, count: number): number =>
      (used[program] ?? Number.NaN) / count;
    const errors = [...fleet.errors()];
    fleet.stop();
    await operator.stop();
    return {
      parameters: { pods, active, slots, probes, 'at-a-time': width },
      rows: [
        { label: 'pods created, ready and in session', unit: '/s', values: (pods / podsTook) * 1_000 },
        { label: '  operator, per pod', unit: 'ms cpu', values: perRun(podsCpu, 'controller', pods) },
        {
          label: '  operator, memory per pod',
          unit: 'KiB',
          values: ((withPods.operator.rss - empty.operator.rss) * 1024) / pods,
        },
        { label: 'Runs created, placed and running', unit: '/s', values: (active / runsTook) * 1_000 },
        { label: '  operator, per Run', unit: 'ms cpu', values: perRun(runsCpu, 'controller', active) },
        { label: '  API server, per Run', unit: 'ms cpu', values: perRun(runsCpu, 'apiserver', active) },
        {
          label: '  operator, memory per active Run',
          unit: 'KiB',
          values: ((withRuns.operator.rss - withPods.operator.rss) * 1024) / active,
        },
        {
          label: '  API server, memory per active Run',
          unit: 'KiB',
          values: ((withRuns.api.rss - withPods.api.rss) * 1024) / active,
        },
        { label: 'operator, resident', unit: 'MiB', values: withRuns.operator.rss },
        { label: 'API server, resident', unit: 'MiB', values: withRuns.api.rss },
        { label: 'create → end seen, alone', unit: 'ms', values: summary(alone) },
        { label: 'create → end seen, among all of them', unit: 'ms', values: summary(among) },
        {
          label: '  operator, per Run, alone',
          unit: 'ms cpu',
          values: perRun(usedAlone, 'controller', probes),
        },
        {
          label: '  operator, per Run, among all of them',
          unit: 'ms cpu',
          values: perRun(usedAmong, 'controller', probes),
        },
        {
          label: 'operator, while nothing happens (beats of all pods)',
          unit: '% of a core',
          values: (idle.controller ?? Number.NaN) / 100,
        },
      ],
      targets: [
        {
          label: 'p50 among all of them / alone',
          value: summary(among).p50 / summary(alone).p50,
          unit: 'x',
          atMost: 1.2,
        },
      ],
      errors,
      raw: { aloneMs: alone, amongMs: among },
    };
  } finally {
    await stage.stop();
  }
};

export const fleetOfPods: Scenario = {
  name: 'f',
  question: 'a fleet: 1,000 simulated pods, 50,000 active Runs',
  measure,
};
