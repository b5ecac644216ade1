/**
 * How much memory does it hold? The operator alone and with tens of thousands of finished Runs in its cache, as it has
 * grown and as it starts anew; runtimed and the Bash Runtime Server idle and with 64 Runs.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import * as t from 'io-ts';

import { CONTROL_PLANE_VARIABLE } from '../../../src/embedded/control-plane/components.js';
import { controlPlaneId } from '../../../src/embedded/kubelet/kubelet.js';
import { pidsWith } from '../../e2e/pids.js';
import { createFinishedRuns } from '../fleet/cohort.js';
import { addHistory } from '../fleet/history.js';
import { closedLoop } from '../load.js';
import { type MemoryMiB, memoryOf } from '../memory.js';
import { type Plane, planeOn } from '../plane.js';
import { openRuns } from '../runs.js';
import type { Bench, Figures, Row, Scenario, Target } from '../scenario.js';

const Cached = t.type({
  runs: t.number,
  heapBytes: t.number,
  listMs: t.number,
  cpuMs: t.number,
  peakMiB: t.number,
});

const program = fileURLToPath(new URL('../cached-runs.ts', import.meta.url));

/** What the operator's cache holds of all Runs there are. */
const cachedRuns = async ({ kubeconfig, namespace }: Plane): Promise<t.TypeOf<typeof Cached>> => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--import',
    'tsx/esm',
    program,
    kubeconfig,
    namespace,
  ]);
  const figures: unknown = JSON.parse(stdout);
  if (!Cached.is(figures)) throw new Error('the program said something else');
  return figures;
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const measure = async (bench: Bench): Promise<Figures> => {
  const few = bench.parameter('few', 10_000);
  const many = bench.parameter('many', 100_000);
  const dataDir = await mkdtemp(join(tmpdir(), 'krt-bench-'));
  const marker = `${CONTROL_PLANE_VARIABLE}=${controlPlaneId(dataDir)}`;
  /** Of the largest process of the program. */
  const memory = (name: string): MemoryMiB => {
    const all = pidsWith(marker, `${name}.js`).map(memoryOf);
    return { rss: Math.max(...all.map(({ rss }) => rss)), own: Math.max(...all.map(({ own }) => own)) };
  };
  const rows: Row[] = [];
  const targets: Target[] = [];
  const add = (label: string, { rss, own }: MemoryMiB): void => {
    rows.push({ label: `${label}, resident`, unit: 'MiB', values: rss });
    rows.push({ label: '  of it shared with nobody', unit: 'MiB', values: own });
  };
  const addCached = async (plane: Plane): Promise<void> => {
    const cached = await cachedRuns(plane);
    rows.push(
      { label: `per cached Run, of ${cached.runs}`, unit: 'B', values: cached.heapBytes / cached.runs },
      { label: '  listed and cached in', unit: 'ms', values: cached.listMs },
      { label: '  per Run', unit: 'us cpu', values: (cached.cpuMs * 1_000) / cached.runs },
    );
    targets.push({
      label: `per cached Run, of ${cached.runs}`,
      value: cached.heapBytes / cached.runs,
      unit: 'B',
      atMost: 2_048,
    });
  };
  const prefix = 'retained-';
  let plane = await planeOn(dataDir);
  try {
    const runtime = await plane.runtime({ pods: 1, slots: 64 });
    await pause(3_000);
    add('operator, idle', memory('controller'));
    add('API server, idle', memory('apiserver'));
    add('runtimed, idle', memory('runtimed'));
    add('Bash Runtime Server, idle', memory('bash-runtime'));
    const runs = await openRuns(plane);
    const names = Array.from({ length: 64 }, () => runs.name());
    await closedLoop(names.length, 8, async (index) => {
      const name = names[index] ?? '';
      const running = runs.phase(name, 'Running');
      await runs.create(name, { runtime, source: { inline: 'sleep 3600' }, entrypoint: 'script' });
      await running;
    });
    await pause(2_000);
    add('runtimed, 64 Runs', memory('runtimed'));
    add('Bash Runtime Server, 64 Runs', memory('bash-runtime'));
    const ends = names.map((name) => runs.end(name));
    for (const name of names) await runs.cancel(name);
    await Promise.all(ends);
    runs.close();

    bench.say(`${few} finished Runs come, one after the other`);
    await createFinishedRuns(plane.kube, plane.namespace, few, 64, (index) => `${prefix}${index}`);
    await pause(2_000);
    const grown = memory('controller');
    add(`operator, grown to ${few} finished Runs`, grown);
    add(`API server, grown to ${few} finished Runs`, memory('apiserver'));
    await addCached(plane);
    targets.push({
      label: `operator with ${few} Runs, resident`,
      value: grown.rss,
      unit: 'MiB',
      atMost: 150,
    });

    bench.say(`${many} of them are in the store when it starts`);
    await plane.stop();
    await addHistory(dataDir, prefix, many - few);
    plane = await planeOn(dataDir);
    const again = await openRuns(plane);
    await again.run(again.name(), {
      runtime: await plane.runtime({ pods: 1, slots: 64 }),
      source: { inline: ':' },
      entrypoint: 'script',
    });
    again.close();
    await pause(3_000);
    add(`operator, started with ${many} finished Runs`, memory('controller'));
    add(`API server, started with ${many} finished Runs`, memory('apiserver'));
    await addCached(plane);
    return { parameters: { few, many }, rows, targets, errors: [], raw: {} };
  } finally {
    await plane.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
};

export const memoryHeld: Scenario = {
  name: 'i',
  question: 'memory: operator, runtimed, Bash Runtime Server, API server',
  measure,
};
