/** One process per data folder: a lock file with the holder's process id and start time. */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** When a process started, as the kernel counts it; empty when there is none but perhaps a zombie, or no /proc. */
const startOf = (pid: number): string => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
};

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

const held = new Set<string>();

/**
 * Takes the folder's lock and returns the function that gives it back. A lock left by a process that is gone (or
 * whose id now belongs to another one) is taken over. Throws when somebody holds it.
 */
export const lockFolder = (folder: string): (() => void) => {
  const file = join(folder, 'lock');
  const mine = `${process.pid} ${startOf(process.pid)}\n`;
  for (;;) {
    try {
      const fd = openSync(file, 'wx', 0o600);
      writeSync(fd, mine);
      closeSync(fd);
      held.add(file);
      return () => {
        held.delete(file);
        rmSync(file, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pidText = '', start = ''] = readFileSync(file, 'latin1').trim().split(' ');
    const pid = Number(pidText);
    const byOther =
      pid !== process.pid && pid > 0 && isAlive(pid) && (start === '' || startOf(pid) === start);
    if (byOther || held.has(file)) {
      throw new Error(`${folder} is in use by process ${pidText}; stop it or choose another data folder`);
    }
    rmSync(file, { force: true });
  }
};
