/** The machine that a node runs on (machine.sh), and programs in it. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { type Running, run } from '../process.js';
import { hear } from './said.js';

const script = fileURLToPath(new URL('machine.sh', import.meta.url));

/** Time it gets to come up, milliseconds: a busy disk takes seconds. */
const START_LIMIT_MS = 60_000;
const ASK_AGAIN_MS = 50;

/** What a program in it has for an environment. */
const ENVIRONMENT = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'];

/** A machine that is up. Its folder is /node inside, the programs' folder /opt/cluster. */
export type Machine = Readonly<{
  folder: string;
  /** Starts a program that goes on; its output is in `<folder>/<name>.log`. */
  start: (name: string, argv: ReadonlyArray<string>) => Running;
  /** Runs a program to its end; rejects with its last words when it fails. */
  exec: (argv: ReadonlyArray<string>, input?: string) => Promise<string>;
  /** Pids, as seen from here, of processes in its containers whose command line names the program; oldest first. */
  pidsOf: (program: string) => ReadonlyArray<number>;
  /** Ends it with everything in it, at once. */
  stop: () => Promise<void>;
}>;

/** Its process 1, as seen from here: the child of `unshare`, which machine.sh becomes. */
const firstProcess = (pid: number): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);

/** Of processes in the machine's control groups, which machine.sh names after the folder's parent. */
const containerProcesses = (folder: string, program: string): ReadonlyArray<number> => {
  const group = `/kruntimes-node-${basename(dirname(folder))}/kubepods`;
  const isIn = (pid: number): boolean =>
    readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(group) &&
    // tini's command line names what it starts, too.
    (readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1] ?? '').endsWith(program);
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => {
      try {
        return isIn(pid);
      } catch {
        // It has ended.
        return false;
      }
    })
    .sort((a, b) => a - b);
};

/** Folders that it sees: its root, and /opt/cluster and /images. */
export type MachineParts = Readonly<{ root: string; programs: string; images: string }>;

/** Starts one in the network we are in. It ends with us. */
export const startMachine = async (
  { root, programs, images }: MachineParts,
  folder: string,
): Promise<Machine> => {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const log = join(folder, 'machine.log');
  const machine = run('bash', [script, 'start', root, folder, programs, images], log);
  let isOver = false;
  void machine.ended.then(() => {
    isOver = true;
  });
  const deadline = performance.now() + START_LIMIT_MS;
  // The script tells nobody but its log.
  while (!existsSync(log) || !readFileSync(log, 'utf8').endsWith('ready\n')) {
    if (isOver || performance.now() > deadline)
      throw new Error(`the machine does not start: ${machine.lastWords()}`);
    await pause(ASK_AGAIN_MS);
  }
  const pid = firstProcess(machine.pid);
  const enter = (argv: ReadonlyArray<string>): ReadonlyArray<string> => [
    script,
    'enter',
    String(pid),
    folder,
    'env',
    '-i',
    ...ENVIRONMENT,
    ...argv,
  ];
  return {
    folder,
    start: (name, argv) => run('bash', enter(argv), join(folder, `${name}.log`)),
    exec: async (argv, input) => {
      const { code, out, err } = await hear(['bash', ...enter(argv)], { input });
      if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}: ${err.slice(-2000)}`);
      return out;
    },
    pidsOf: (program) => containerProcesses(folder, program),
    stop: async () => {
      if (!isOver) process.kill(pid, 'SIGKILL');
      await machine.ended;
      spawnSync('bash', [script, 'clear', folder], { stdio: 'inherit' });
    },
  };
};
