/**
 * One life of a container as a local process: its own session, output through FIFOs into its log, a parent pipe on
 * fd 3 for our own programs, and an end that is the process's exit followed by a sweep of all it left.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, constants, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { LogFile } from './log-file.js';
import type { LogStream } from './log-lines.js';
import { killMarkedProcesses, type Mark } from './sweep.js';

export type ProcessSpec = Readonly<{
  argv: ReadonlyArray<string>;
  variables: ReadonlyMap<string, string>;
  workingDir: string;
  /** A folder of the container for its FIFOs, which are unlinked as soon as they are open. */
  folder: string;
  watchesParent: boolean;
  log: LogFile;
  /** What everything it starts carries. */
  mark: Mark;
}>;

type ProcessEnd = Readonly<{ exitCode: number; signal?: number }>;

export type ContainerProcess = Readonly<{
  pid: number;
  /** Resolves after the exit, the sweep, and the last byte of output. Never rejects. */
  end: Promise<ProcessEnd>;
  /** SIGTERM to the main process alone, as Kubernetes does. */
  terminate: () => void;
  /** SIGKILL to everything of the container. */
  kill: () => void;
}>;

/** How long output may still come after everything of the container has been killed, milliseconds. */
const DRAIN_MS = 500;

const run = promisify(execFile);

type Pipe = Readonly<{ reader: Socket; writerFd: number }>;

/**
 * FIFOs rather than node's pipes: those are socket pairs, which a script's `> /dev/stderr` cannot open. The reading
 * end is opened first and without blocking, so that opening the writing end does not wait.
 */
const openFifo = (path: string): Pipe => {
  const readerFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writerFd = openSync(path, constants.O_WRONLY);
  rmSync(path);
  return { reader: new Socket({ fd: readerFd, readable: true, writable: false }), writerFd };
};

const drained = (readers: ReadonlyArray<Socket>): Promise<void> =>
  new Promise((resolve) => {
    let open = readers.filter((reader) => !reader.destroyed && !reader.readableEnded).length;
    if (open === 0) {
      resolve();
      return;
    }
    const timer = setTimeout(() => {
      for (const reader of readers) reader.destroy();
    }, DRAIN_MS);
    for (const reader of readers)
      reader.once('close', () => {
        open -= 1;
        if (open > 0) return;
        clearTimeout(timer);
        resolve();
      });
  });

const spawned = (child: ChildProcess): Promise<void> =>
  new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });

/** Starts the process. Rejects, with a message fit for the container's status, when it cannot be started. */
export const startProcess = async (spec: ProcessSpec): Promise<ContainerProcess> => {
  const [file, ...args] = spec.argv;
  if (file === undefined) throw new Error('the container has no command');
  const names: ReadonlyArray<LogStream> = ['stdout', 'stderr'];
  const paths = names.map((name) => join(spec.folder, `${name}.fifo`));
  for (const path of paths) rmSync(path, { force: true });
  await run('mkfifo', ['-m', '600', ...paths]);
  const pipes = paths.map(openFifo);
  names.forEach((name, index) => {
    pipes[index]?.reader
      .on('data', (chunk: Buffer) => spec.log.append(name, chunk, Date.now()))
      .on('error', () => undefined);
  });
  const child = spawn(file, args, {
    cwd: spec.workingDir,
    env: {
      ...Object.fromEntries(spec.variables),
      ...(spec.watchesParent ? { KRUNTIME_PARENT_FD: '3' } : {}),
    },
    detached: true,
    stdio: [
      'ignore',
      ...pipes.map(({ writerFd }) => writerFd),
      ...(spec.watchesParent ? (['pipe'] as const) : []),
    ],
  });
  const exited = new Promise<ProcessEnd>((resolve) => {
    child.once('exit', (code, signalName) => {
      const signal = signalName === null ? undefined : osConstants.signals[signalName];
      resolve(signal === undefined ? { exitCode: code ?? 0 } : { exitCode: 128 + signal, signal });
    });
  });
  for (const { writerFd } of pipes) closeSync(writerFd);
  try {
    await spawned(child);
  } catch (error) {
    for (const { reader } of pipes) reader.destroy();
    throw error;
  }
  const { pid } = child;
  if (pid === undefined) throw new Error(`${file} started without a process id`);
  child.stdio[3]?.on('error', () => undefined);
  const signalGroup = (signal: NodeJS.Signals): void => {
    try {
      process.kill(-pid, signal);
    } catch {
      // No process of the group is left.
    }
  };
  const kill = (): void => {
    signalGroup('SIGKILL');
    killMarkedProcesses(spec.mark);
  };
  const end = exited.then(async (outcome) => {
    kill();
    await drained(pipes.map(({ reader }) => reader));
    child.stdio[3]?.destroy();
    spec.log.end(Date.now());
    return outcome;
  });
  return { pid, end, terminate: () => child.kill('SIGTERM'), kill };
};
