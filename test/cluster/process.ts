/** One foreign program, its output in a file, which never outlives us. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A program that runs. */
export type Running = Readonly<{
  pid: number;
  /** Resolves when it has ended, whoever ended it. */
  ended: Promise<string>;
  /** Sends the signal and waits for the end; a SIGTERM that is not obeyed is followed by a SIGKILL. */
  end: (signal?: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  /** Its last lines, for a person who has to know why it does not run. */
  lastWords: () => string;
}>;

/** Time from SIGTERM to SIGKILL, milliseconds. */
const GRACE_MS = 8000;

/**
 * Starts it. `setpriv` has the kernel kill it with our main thread: these programs have no parent pipe, and a kill -9
 * of the tests must leave nothing behind.
 */
export const run = (file: string, args: ReadonlyArray<string>, logFile: string): Running => {
  const log = openSync(logFile, 'a', 0o600);
  // A group of its own, so that Ctrl-C on our terminal reaches it through us and in order.
  const child: ChildProcess = spawn('setpriv', ['--pdeathsig', 'KILL', file, ...args], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  if (child.pid === undefined) throw new Error('setpriv (util-linux) cannot be started');
  const ended = once(child, 'exit').then(([code, signal]) => String(signal ?? `exit code ${code}`));
  return {
    pid: child.pid,
    ended,
    end: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const kill = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
      await ended;
      clearTimeout(kill);
    },
    lastWords: () => readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n'),
  };
};

/** The exit code of a program that leads a group of its own; all of that is killed when the signal is raised. */
export const exitOfGroup = async (child: ChildProcess, signal: AbortSignal): Promise<number | null> => {
  const stop = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  signal.addEventListener('abort', stop);
  return new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => signal.removeEventListener('abort', stop));
};
