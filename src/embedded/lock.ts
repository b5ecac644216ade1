/**
 * One supervisor per data folder, one process per store: a lock file with the holder's process id and start time. A lock
 * whose holder is gone, or whose id belongs to another process by now, is taken over; two that try at once cannot both
 * succeed.
 */
import {
  type FSWatcher,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';

import { errorCode } from '../io/error-code.js';
import { processFact } from '../io/processes/proc.js';

/**
 * When a process started, in the kernel's ticks; '' when there is no such process, or no /proc, or only a zombie is
 * left of it, which keeps its id for as long as nobody reaps it.
 */
const startOf = (pid: number): string => String(processFact(pid)?.start ?? '');

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
};

/** The living process that holds the lock, if any. */
export const lockHolder = (path: string): number | undefined => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  const [pidText = '', start = ''] = text.trim().split(' ');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  return start === '' || startOf(pid) === start ? pid : undefined;
};

/** A takeover lasts microseconds; a guard this old was left by one that was killed in it, milliseconds. */
const STALE_GUARD_MS = 10_000;

/** Puts our file in place of a lock whose holder is gone; false when somebody else was quicker. */
const takeOver = (path: string, mine: string): boolean => {
  const guard = `${path}.takeover`;
  try {
    mkdirSync(guard, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    try {
      if (Date.now() - statSync(guard).mtimeMs > STALE_GUARD_MS) rmdirSync(guard);
    } catch {
      // Its maker has just finished.
    }
    return false;
  }
  try {
    if (lockHolder(path) !== undefined) return false;
    renameSync(mine, path);
    return true;
  } finally {
    rmdirSync(guard);
  }
};

/** Takes the lock; the function gives it back. A Left is the pid of the holder. */
export const takeLock = (path: string): E.Either<number, () => void> => {
  const mine = `${path}.${process.pid}`;
  writeFileSync(mine, `${process.pid} ${startOf(process.pid)}\n`, { mode: 0o600 });
  const release = (): void => {
    if (lockHolder(path) === process.pid) rmSync(path, { force: true });
  };
  try {
    // A link is made whole or not at all, and not over an existing file.
    linkSync(mine, path);
    return E.right(release);
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
  } finally {
    if (lockHolder(path) === process.pid) rmSync(mine, { force: true });
  }
  const holder = lockHolder(path);
  const won = holder === undefined && takeOver(path, mine);
  rmSync(mine, { force: true });
  return won ? E.right(release) : E.left(holder ?? lockHolder(path) ?? 0);
};

/**
 * Calls back once when we hold the lock no longer though we did not give it back: the folder was removed or moved away,
 * or the file was. Returns how to stop looking. Throws where nothing can be watched.
 */
export const whenLockLost = (path: string, onLost: () => void): (() => void) => {
  let watcher: FSWatcher | undefined;
  const stop = (): void => {
    watcher?.close();
    watcher = undefined;
  };
  const look = (): void => {
    if (watcher === undefined || lockHolder(path) === process.pid) return;
    stop();
    onLost();
  };
  watcher = watch(dirname(path), look);
  watcher.on('error', look);
  return stop;
};
