/**
 * One program of the control plane, kept running: started with a parent pipe, its output in a log, started again when
 * it ends: at once the first time, then after a pause that doubles up to 5 s.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, statSync } from 'node:fs';

import type Logger from 'bunyan';

/** Pauses between restarts, milliseconds. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
/** A program that ran this long is no longer failing, milliseconds. */
const STEADY_MS = 10_000;
const ROTATE_AT_BYTES = 10 * 1024 * 1024;

export type ComponentSpec = Readonly<{
  name: string;
  /** Program file and arguments; asked at each start, as a port may have changed. */
  argv: () => ReadonlyArray<string>;
  env: Readonly<Record<string, string>>;
  logFile: string;
  /** Time from SIGTERM to SIGKILL, milliseconds. */
  graceMs: number;
}>;

export type Component = Readonly<{
  name: string;
  pid: () => number | undefined;
  restarts: () => number;
  /** Whether it is failing again and again. */
  isFailing: () => boolean;
  /** Ends it for good; resolves when its process is gone. */
  stop: () => Promise<void>;
  /** Calls back at each end of the process that was not asked for. */
  onExit: (listener: (what: string) => void) => void;
  /** The last lines of its log, for a person who has to know why it does not start. */
  lastWords: () => string;
}>;

/** Where it logs to; nowhere, while there is no room for a file or its folder is gone. */
const openLogFile = (path: string): number | 'ignore' => {
  try {
    return openSync(path, 'a', 0o600);
  } catch {
    return 'ignore';
  }
};

const rotate = (path: string): void => {
  try {
    if (statSync(path).size > ROTATE_AT_BYTES) renameSync(path, `${path}.1`);
  } catch {
    // No log yet.
  }
};

/** Starts the program and keeps it running. */
export const keepRunning = (spec: ComponentSpec, log: Logger): Component => {
  let child: ChildProcess | undefined;
  let restarts = 0;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let isStopping = false;
  const listeners: Array<(what: string) => void> = [];

  const start = (): void => {
    rotate(spec.logFile);
    const startedAtMs = Date.now();
    const logFd = openLogFile(spec.logFile);
    // A group of its own, so that Ctrl-C on our terminal reaches it through us and in order.
    const started = spawn(process.execPath, spec.argv(), {
      cwd: '/',
      env: { ...process.env, ...spec.env, KRUNTIME_PARENT_FD: '3' },
      detached: true,
      stdio: ['ignore', logFd, logFd, 'pipe'],
    });
    if (logFd !== 'ignore') closeSync(logFd);
    child = started;
    started.stdio[3]?.on('error', () => undefined);
    let isOver = false;
    const over = (what: string): void => {
      if (isOver) return;
      isOver = true;
      started.stdio[3]?.destroy();
      if (child === started) child = undefined;
      if (isStopping) return;
      failures = Date.now() - startedAtMs >= STEADY_MS ? 1 : failures + 1;
      const pauseMs = failures === 1 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (failures - 2), LONGEST_PAUSE_MS);
      log.warn({ component: spec.name, what, pauseMs }, 'component ended and is started again');
      for (const listener of listeners) listener(what);
      if (isStopping) return;
      timer = setTimeout(() => {
        restarts += 1;
        start();
      }, pauseMs);
    };
    started.once('error', (error) => over(error.message));
    started.once('exit', (code, signal) => over(signal ?? `exit code ${code ?? 'unknown'}`));
    log.info({ component: spec.name, processId: started.pid, restarts }, 'component started');
  };

  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      isStopping = true;
      clearTimeout(timer);
      const running = child;
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) {
        resolve();
        return;
      }
      const kill = setTimeout(() => running.kill('SIGKILL'), spec.graceMs);
      running.once('exit', () => {
        clearTimeout(kill);
        resolve();
      });
      running.kill('SIGTERM');
    });

  start();
  return {
    name: spec.name,
    pid: () => child?.pid,
    restarts: () => restarts,
    isFailing: () => failures > 2,
    stop,
    onExit: (listener) => {
      listeners.push(listener);
    },
    lastWords: () => {
      try {
        return readFileSync(spec.logFile, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
      } catch {
        return '';
      }
    },
  };
};
