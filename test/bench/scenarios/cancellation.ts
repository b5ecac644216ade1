/**
 * From the patch `cancelRequested` until the process tree is dead: one Run at a time (`g-idle`), and very many that
 * run at once (`g`).
 *
 * Each Run's processes hold the write end of a FIFO of ours; its end of file is the moment at which the last of them
 * is gone. So the Runs must be on this machine.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

import { closedLoop } from '../load.js';
import { timeBetween } from '../processor-time.js';
import { openRuns, type RunSpec, type Runs } from '../runs.js';
import type { Bench, Figures, Scenario } from '../scenario.js';
import { summary } from '../stats.js';
import { noOp } from './one-run.js';

/** A FIFO that one Run's processes hold. */
type Lifeline = Readonly<{ path: string; begun: Promise<void>; dead: Promise<number> }>;

const lifelines = (folder: string, count: number): ReadonlyArray<Lifeline> => {
  const paths = Array.from({ length: count }, (_, index) =>
    join(folder, `life-${Date.now().toString(36)}-${index}`),
  );
  for (let from = 0; from < count; from += 200) execFileSync('mkfifo', paths.slice(from, from + 200));
  return paths.map((path) => {
    const readFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    // Held until the Run has opened its own, or the end of file would be there from the start.
    const ownFd = openSync(path, constants.O_WRONLY);
    const socket = new Socket({ fd: readFd, readable: true, writable: false });
    let isOpen = true;
    const letGo = (): void => {
      if (isOpen) closeSync(ownFd);
      isOpen = false;
    };
    const dead = new Promise<number>((resolve) => {
      socket.once('end', () => resolve(performance.now())).on('error', () => undefined);
    });
    const begun = new Promise<void>((resolve) => {
      socket.on('data', () => {
        letGo();
        resolve();
      });
    });
    return { path, begun, dead };
  });
};

/**
 * A tree of three: the shell, a child in a session of its own, and a child that it waits for. Of two without the first
 * of these children, of one where the shell has become what it would wait for.
 */
const treeSpec = (runtime: string, path: string, processes: number): RunSpec => {
  const waits = processes > 1 ? 'sleep 600 &\necho begun >&9\nwait' : 'echo begun >&9\nexec sleep 600';
  const apart = processes > 2 ? 'setsid sleep 600 &\n' : '';
  return { ...noOp(runtime), source: { inline: `exec 9>'${path}'\n${apart}${waits}\n` } };
};

type Cancelled = Readonly<{ dead: number; seen: number; phase: string }>;

const begin = async (
  runs: Runs,
  runtime: string,
  { path, begun }: Lifeline,
  processes: number,
): Promise<string> => {
  const name = runs.name();
  const running = runs.phase(name, 'Running');
  await runs.create(name, treeSpec(runtime, path, processes));
  await Promise.all([begun, running]);
  return name;
};

const cancel = async (runs: Runs, name: string, { dead }: Lifeline): Promise<Cancelled> => {
  const ending = runs.end(name);
  const began = performance.now();
  const patched = runs.cancel(name);
  const deadAt = await dead;
  const { run, seen } = await ending;
  await patched;
  return { dead: deadAt - began, seen: seen - began, phase: run.status?.phase ?? 'Pending' };
};

const figures = (
  ended: ReadonlyArray<Cancelled>,
  parameters: Figures['parameters'],
  targets: Figures['targets'],
): Figures => ({
  parameters,
  rows: [
    { label: 'patch → tree dead', unit: 'ms', values: summary(ended.map(({ dead }) => dead)) },
    { label: 'patch → end seen', unit: 'ms', values: summary(ended.map(({ seen }) => seen)) },
  ],
  targets,
  errors: ended.flatMap(({ phase }) => (phase === 'Cancelled' ? [] : [`ended as ${phase}`])),
  raw: { deadMs: ended.map(({ dead }) => dead), seenMs: ended.map(({ seen }) => seen) },
});

const measureIdle = async (bench: Bench): Promise<Figures> => {
  const plane = await bench.plane();
  const count = bench.parameter('runs', 100);
  const runtime = await plane.runtime({ pods: 2, slots: 64 });
  const runs = await openRuns(plane);
  const ended: Cancelled[] = [];
  for (const line of lifelines(bench.folder, count + 20)) {
    const name = await begin(runs, runtime, line, 3);
    ended.push(await cancel(runs, name, line));
  }
  runs.close();
  const counted = ended.slice(20);
  const { p50, p99 } = summary(counted.map(({ dead }) => dead));
  return figures(counted, { runs: count, pods: 2, slots: 64 }, [
    { label: 'patch → tree dead, p50', value: p50, unit: 'ms', atMost: 20 },
    { label: 'patch → tree dead, p99', value: p99, unit: 'ms', atMost: 100 },
  ]);
};

const measureMany = async (bench: Bench): Promise<Figures> => {
  const plane = await bench.plane();
  const count = bench.parameter('runs', 1_000);
  const processes = bench.parameter('processes', 3);
  const runtime = await plane.runtime({ pods: 2, slots: Math.ceil(count / 2) });
  const runs = await openRuns(plane);
  const lines = lifelines(bench.folder, count);
  const names: string[] = Array.from({ length: count }, () => '');
  bench.say(`${count} Runs begin`);
  await closedLoop(count, 32, async (index) => {
    const line = lines[index];
    if (line !== undefined) names[index] = await begin(runs, runtime, line, processes);
  });
  bench.say('all are cancelled');
  const before = bench.stopwatch();
  const ended = await Promise.all(lines.map((line, index) => cancel(runs, names[index] ?? '', line)));
  const used = timeBetween(before, bench.stopwatch());
  runs.close();
  const { p99 } = summary(ended.map(({ dead }) => dead));
  const told = figures(ended, { runs: count, processes, pods: 2, slots: Math.ceil(count / 2) }, [
    { label: 'patch → tree dead, p99', value: p99, unit: 'ms', atMost: 1_000 },
  ]);
  return {
    ...told,
    cpuPerRun: Object.fromEntries(Object.entries(used).map(([program, ms]) => [program, ms / count])),
  };
};

export const cancelOne: Scenario = {
  name: 'g-idle',
  question: 'cancellation of one running Run, nothing else going on',
  measure: measureIdle,
};

export const cancelMany: Scenario = {
  name: 'g',
  question: 'cancellation of all running Runs at once',
  measure: measureMany,
};
