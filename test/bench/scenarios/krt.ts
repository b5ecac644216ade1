/** How long does krt take to say something, beside a node that does nothing? Each round runs all of them once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { openRuns } from '../runs.js';
import type { Bench, Figures, Scenario } from '../scenario.js';
import { summary } from '../stats.js';
import { noOp, warmUp } from './one-run.js';

const krt = fileURLToPath(new URL('../../../dist/krt.js', import.meta.url));

const run = async (args: ReadonlyArray<string>): Promise<number> => {
  const began = performance.now();
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words += chunk.toString();
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`krt ${args.slice(1).join(' ')} ended with ${code}: ${words}`);
  return performance.now() - began;
};

const measure = async (bench: Bench): Promise<Figures> => {
  const plane = await bench.plane();
  const rounds = bench.parameter('rounds', 25);
  const runtime = await plane.runtime({ pods: 2, slots: 64 });
  const runs = await openRuns(plane);
  await warmUp(runs, noOp(runtime), 200, 4);
  const name = runs.name();
  await runs.run(name, noOp(runtime));
  runs.close();
  const cluster = ['--kubeconfig', plane.kubeconfig, '-n', plane.namespace];
  const calls: Readonly<Record<string, ReadonlyArray<string>>> = {
    'node -e 0': ['-e', '0'],
    'krt version': [krt, 'version'],
    'krt get NAME': [krt, 'get', name, ...cluster],
    'krt list': [krt, 'list', ...cluster],
    'krt run --wait -- :': [krt, 'run', '-r', runtime, '--wait', ...cluster, '--', ':'],
    'krt run --follow -- echo': [krt, 'run', '-r', runtime, '--follow', ...cluster, '--', 'echo', 'hello'],
  };
  const took: Record<string, number[]> = Object.fromEntries(Object.keys(calls).map((label) => [label, []]));
  for (let round = 0; round < rounds + 2; round += 1)
    for (const [label, args] of Object.entries(calls)) {
      const ms = await run(args);
      if (round >= 2) took[label]?.push(ms);
    }
  const median = (label: string): number => summary(took[label] ?? []).p50;
  return {
    parameters: { rounds },
    rows: Object.entries(took).map(([label, values]) => ({ label, unit: 'ms', values: summary(values) })),
    targets: [
      {
        label: 'krt version / node -e 0',
        value: median('krt version') / median('node -e 0'),
        unit: 'x',
        atMost: 1.3,
      },
      {
        label: 'krt get / node -e 0',
        value: median('krt get NAME') / median('node -e 0'),
        unit: 'x',
        atMost: 2,
      },
    ],
    errors: [],
    raw: took,
  };
};

export const krtStart: Scenario = { name: 'h', question: 'krt, from its start to its end', measure };
