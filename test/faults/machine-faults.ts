/** What may befall processes and files of one machine from below. */
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

import { type Fault, PARTS, signal, stopFor, theProcess } from './faults.js';

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const limitDescriptors = (pid: number, most: number | string): void =>
  void spawnSync('prlimit', ['--pid', String(pid), `--nofile=${most}:`]);

/** For 5 s it can open nothing: no connection, no file, no process. */
const withoutDescriptors = ([part, program]: readonly [string, string]): Fault => ({
  name: `descriptors exhausted 5 s: ${part}`,
  lacks: () =>
    spawnSync('prlimit', ['--version']).status === 0
      ? undefined
      : 'prlimit is missing: apt-get install util-linux',
  apply: async (plane) => {
    const pid = theProcess(plane, program);
    const before = /Max open files +([0-9]+)/.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1];
    limitDescriptors(pid, readdirSync(`/proc/${pid}/fd`).length);
    await sleep(5000);
    limitDescriptors(pid, before ?? 1024);
  },
});

/** One after the other stopped, and let go on in the other order. */
const bothPaused = (a: string, b: string): Fault => ({
  name: `${a}, ${b} paused, the second goes on first`,
  apply: async (plane) => {
    const first = theProcess(plane, PARTS[a] ?? a);
    const second = theProcess(plane, PARTS[b] ?? b);
    signal(first, 'SIGSTOP');
    await sleep(300);
    await stopFor(second, 7000);
    await sleep(1500);
    signal(first, 'SIGCONT');
  },
});

const childrenOf = (pid: number): ReadonlyArray<number> =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

/** Paths of all there is below a folder. */
const below = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => join(folder, path));

const removed = (folder: string, matches: RegExp): void => {
  for (const path of below(folder)) if (matches.test(path)) rmSync(path, { recursive: true, force: true });
};

export const MACHINE_FAULTS: ReadonlyArray<Fault> = [
  ...Object.entries(PARTS).map(withoutDescriptors),
  bothPaused('operator', 'runtimed'),
  bothPaused('API server', 'runtimed'),
  bothPaused('runtimed', 'Runtime Server'),
  bothPaused('API server', 'operator'),
  {
    name: 'children of a Runtime Server killed',
    // What runs, the shells that wait, and the guardian. A killed script has failed.
    excuses: ['ended as Failed'],
    apply: async (plane) => {
      for (const pid of childrenOf(theProcess(plane, 'bash-runtime.js'))) signal(pid, 'SIGKILL');
    },
  },
  {
    name: 'children of a Runtime Server stopped 5 s',
    apply: async (plane) => {
      const pids = childrenOf(theProcess(plane, 'bash-runtime.js'));
      await Promise.all(pids.map((pid) => stopFor(pid, 5000)));
    },
  },
  {
    name: 'runtimed killed eight times',
    apply: async ({ pidsOf }) => {
      for (let i = 0; i < 8; i += 1) {
        signal(pidsOf('runtimed.js')[0], 'SIGKILL');
        await sleep(700);
      }
    },
  },
  {
    name: 'a second runtimed beside the first 5 s',
    // With all that the first has: its address, its records, its token.
    apply: async (plane) => {
      const pid = theProcess(plane, 'runtimed.js');
      const textOf = (what: string): ReadonlyArray<string> =>
        readFileSync(`/proc/${pid}/${what}`, 'utf8').split('\0').filter(Boolean);
      const [program = '', ...argv] = textOf('cmdline');
      const env = textOf('environ').filter((each) => !each.startsWith('KRUNTIME_PARENT_FD='));
      const pairs = env.map((each) => [each.slice(0, each.indexOf('=')), each.slice(each.indexOf('=') + 1)]);
      const second = spawn(program, argv, { env: Object.fromEntries(pairs), stdio: 'ignore' });
      await sleep(5000);
      const hasEnded = second.exitCode !== null;
      second.kill('SIGKILL');
      if (!hasEnded) throw new Error('a second runtimed serves beside the first');
    },
  },
  {
    name: 'state of runtimed removed',
    apply: async ({ dataDir }) => removed(join(dataDir, 'pods'), /\/(attempts|ends|logs)\/[^/]+$/),
  },
  {
    name: 'workspaces removed',
    // A script cannot leave its outputs any more.
    excuses: ['ended as Failed', 'a result that did not happen'],
    apply: async ({ dataDir }) => removed(join(dataDir, 'pods'), /\/workspace\/[0-9a-f-]{36}$/),
  },
  {
    name: 'log spools cut to nothing',
    apply: async ({ dataDir }) => {
      for (const path of below(join(dataDir, 'pods'))) if (/\/logs\/[^/]+$/.test(path)) truncateSync(path, 0);
    },
  },
];
