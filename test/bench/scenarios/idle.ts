/**
 * Does anything wake up while nothing happens? A thousand Runs that only wait, and how often each program was woken and
 * what it used, beside the same pods without a Run. What remains is beats, probes and leases: per pod, not per Run.
 */
import { readdirSync, readFileSync } from 'node:fs';

import { CONTROL_PLANE_VARIABLE } from '../../../src/embedded/control-plane/components.js';
import { controlPlaneId } from '../../../src/embedded/kubelet/kubelet.js';
import { pidsWith } from '../../e2e/pids.js';
import { closedLoop } from '../load.js';
import { timeBetween } from '../processor-time.js';
import { openRuns } from '../runs.js';
import type { Bench, Figures, Scenario } from '../scenario.js';

const PROGRAMS = ['controller', 'apiserver', 'kubelet', 'runtimed', 'bash-runtime'];

/** How often the process's main thread has given up the processor to wait. */
const wakesOf = (pid: number): number => {
  try {
    const status = readFileSync(`/proc/${pid}/task/${pid}/status`, 'latin1');
    return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1] ?? 0);
  } catch {
    return 0;
  }
};

const childrenOf = (pids: ReadonlySet<number>): ReadonlyArray<number> =>
  readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        return pids.has(Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      } catch {
        return false;
      }
    });

const measure = async (bench: Bench): Promise<Figures> => {
  const plane = await bench.plane();
  const { dataDir } = plane;
  if (dataDir === undefined)
    return { parameters: {}, rows: [], targets: [], errors: ['only on a control plane of its own'], raw: {} };
  const count = bench.parameter('active', 1_000);
  const seconds = bench.parameter('seconds', 20);
  const marker = `${CONTROL_PLANE_VARIABLE}=${controlPlaneId(dataDir)}`;
  const runtime = await plane.runtime({ pods: 2, slots: Math.ceil(count / 2) });

  const watched = async (): Promise<
    Readonly<{ wakes: Readonly<Record<string, number>>; cpu: Readonly<Record<string, number>> }>
  > => {
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const pids = new Map(PROGRAMS.map((name) => [name, pidsWith(marker, `${name}.js`)]));
    pids.set('the scripts', childrenOf(new Set(pids.get('bash-runtime') ?? [])));
    const sum = (): Readonly<Record<string, number>> =>
      Object.fromEntries(
        [...pids].map(([name, all]) => [name, all.reduce((total, pid) => total + wakesOf(pid), 0)]),
      );
    const [before, cpuBefore] = [sum(), bench.stopwatch()];
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    const [after, cpuAfter] = [sum(), bench.stopwatch()];
    return {
      wakes: Object.fromEntries(
        Object.entries(after).map(([name, wakes]) => [name, (wakes - (before[name] ?? 0)) / seconds]),
      ),
      cpu: timeBetween(cpuBefore, cpuAfter),
    };
  };

  bench.say(`${seconds} s without a Run`);
  const empty = await watched();
  bench.say(`${count} Runs begin to wait`);
  const runs = await openRuns(plane);
  const names = Array.from({ length: count }, () => runs.name());
  await closedLoop(count, 16, async (index) => {
    const name = names[index] ?? '';
    const running = runs.phase(name, 'Running');
    await runs.create(name, {
      runtime,
      // A builtin that waits: nothing in the script wakes up.
      source: { inline: 'read -r _ < <(exec sleep 3600)' },
      entrypoint: 'script',
      timeout: '1h',
    });
    await running;
  });
  bench.say(`${seconds} s with ${count} Runs that wait`);
  const full = await watched();
  const ends = names.map((name) => runs.end(name));
  await closedLoop(count, 64, async (index) => runs.cancel(names[index] ?? ''));
  await Promise.all(ends);
  runs.close();
  return {
    parameters: { active: count, seconds, pods: 2 },
    rows: [...PROGRAMS, 'the scripts'].flatMap((name) => [
      { label: `${name}: wake-ups without a Run`, unit: '/s', values: empty.wakes[name] ?? Number.NaN },
      { label: `${name}: wake-ups with ${count}`, unit: '/s', values: full.wakes[name] ?? Number.NaN },
      ...(full.cpu[name] === undefined
        ? []
        : [
            {
              label: `${name}: processor without and with`,
              unit: '% of a core',
              values: (full.cpu[name] - (empty.cpu[name] ?? 0)) / seconds / 10,
            },
          ]),
    ]),
    targets: [
      ...[...PROGRAMS, 'the scripts'].map((name) => ({
        label: `${name}: wake-ups a second per Run`,
        value: ((full.wakes[name] ?? Number.NaN) - (empty.wakes[name] ?? 0)) / count,
        unit: '/s',
        atMost: 0.01,
      })),
      // Beats of two pods, both ways, and some room.
      {
        label: 'operator: wake-ups without a Run',
        value: empty.wakes.controller ?? Number.NaN,
        unit: '/s',
        atMost: 10,
      },
    ],
    errors: [],
    raw: {},
  };
};

export const idle: Scenario = {
  name: 'wakes',
  question: 'wake-ups with 1,000 Runs that only wait',
  measure,
};
