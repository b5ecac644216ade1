/**
 * How much memory does it hold? The operator alone and with tens of thousands of finished Runs in its cache, as it has
 * grown and as it starts anew; runtimed and the Bash Runtime Server idle and with 64 Runs.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import * as t from 'io-ts';

import { CONTROL_PLANE_VARIABLE } from '../../../src/embedded/control-plane/components.js';
import { controlPlaneId } from '../../../src/embedded/kubelet/kubelet.js';
import { pidsWith } from '../../e2e/pids.js';
import { createFinishedRuns } from '../fleet/cohort.js';
import { closedLoop } from '../load.js';
import { type MemoryMiB, memoryOf } from '../memory.js';
import type { Plane } from '../plane.js';
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
  const plane = await bench.plane();
  const { dataDir } = plane;
  if (dataDir === undefined)
    return { parameters: {}, rows: [], targets: [], errors: ['only on a control plane of its own'], raw: {} };
  const steps = [10_000, 100_000].filter((count) => count <= bench.parameter('retained', 100_000));
  const marker = `${CONTROL_PLANE_VARIABLE}=${controlPlaneId(dataDir)}`;
  const memory = (name: string): MemoryMiB => {
    const all = pidsWith(marker, `${name}.js`).map(memoryOf);
    return { rss: Math.max(...all.map(({ rss }) => rss)), own: Math.max(...all.map(({ own }) => own)) };
  };
  /** Its supervisor starts another; resolves when that has gone through its lists. */
  const restartOperator = async (): Promise<void> => {
    const [old] = pidsWith(marker, 'controller.js');
    if (old !== undefined) process.kill(old, 'SIGKILL');
    const runs = await openRuns(plane);
    await runs.run(runs.name(), { runtime, source: { inline: ':' }, entrypoint: 'script' });
    runs.close();
    await pause(2_000);
  };
  const rows: Row[] = [];
  const targets: Target[] = [];
  const add = (label: string, { rss, own }: MemoryMiB): void => {
    rows.push({ label: `${label}, resident`, unit: 'MiB', values: rss });
    rows.push({ label: '  of it shared with nobody', unit: 'MiB', values: own });
  };
  const runtime = await plane.runtime({ pods: 1, slots: 64 });
  await pause(3_000);
  add('operator, idle', memory('controller'));
  add('runtimed, idle', memory('runtimed'));
  add('Bash Runtime Server, idle', memory('bash-runtime'));
  const runs = await openRuns(plane);
  const names = Array.from({ length: 64 }, () => runs.name());
  await closedLoop(names.length, 8, async (index) => {
    const name = names[index] ?? '';
    const running = runs.phase(name, 'Running');
    await runs.create(name, { runtime, source: { inline: 'read -t 3600 <> <(:)' }, entrypoint: 'script' });
    await running;
  });
  await pause(2_000);
  add('runtimed, 64 Runs', memory('runtimed'));
  add('Bash Runtime Server, 64 Runs', memory('bash-runtime'));
  const ends = names.map((name) => runs.end(name));
  for (const name of names) await runs.cancel(name);
  await Promise.all(ends);
  runs.close();

  let there = 0;
  for (const count of steps) {
    bench.say(`${count} finished Runs`);
    const from = there;
    await createFinishedRuns(
      plane.kube,
      plane.namespace,
      count - from,
      64,
      (index) => `retained-${from + index}`,
    );
    there = count;
    await pause(2_000);
    const grown = memory('controller');
    add(`operator, grown to ${count} finished Runs`, grown);
    const api = memory('apiserver');
    add(`API server, grown to ${count} finished Runs`, api);
    await restartOperator();
    const anew = memory('controller');
    add(`operator, started with ${count} finished Runs`, anew);
    const cached = await cachedRuns(plane);
    rows.push(
      { label: `per cached Run, of ${cached.runs}`, unit: 'B', values: cached.heapBytes / cached.runs },
      { label: '  listed and cached in', unit: 'ms', values: cached.listMs },
      { label: '  per Run', unit: 'us cpu', values: (cached.cpuMs * 1_000) / cached.runs },
    );
    targets.push({
      label: `per cached Run, ${count} finished`,
      value: cached.heapBytes / cached.runs,
      unit: 'B',
      atMost: 2_048,
    });
    if (count === 10_000)
      targets.push({
        label: 'operator with 10,000 Runs, resident, the larger of grown and started',
        value: Math.max(grown.rss, anew.rss),
        unit: 'MiB',
        atMost: 150,
      });
  }
  return { parameters: { retained: there }, rows, targets, errors: [], raw: {} };
};

export const memoryHeld: Scenario = {
  name: 'i',
  question: 'memory: operator, runtimed, Bash Runtime Server, API server',
  measure,
};
