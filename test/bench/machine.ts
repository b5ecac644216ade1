/** Which machine is it? */
import { execFileSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/** Facts that figures are to be read with. */
export type Machine = Readonly<Record<string, string | number>>;

const command = (program: string, ...args: ReadonlyArray<string>): string => {
  try {
    return execFileSync(program, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
    }).trim();
  } catch {
    return 'unknown';
  }
};

/** Device and file system that a folder is on, from the longest mount point above it. */
const diskOf = (folder: string): string => {
  try {
    const [device, , type] =
      readFileSync('/proc/mounts', 'utf8')
        .split('\n')
        .map((line) => line.split(' '))
        .filter(([, point = '-']) => folder === point || folder.startsWith(point === '/' ? '/' : `${point}/`))
        .sort(([, a = ''], [, b = '']) => b.length - a.length)[0] ?? [];
    return `${device} (${type})`;
  } catch {
    return 'unknown';
  }
};

/** @param folder where the store and the workspaces are */
export const describeMachine = (folder: string): Machine => {
  const all = cpus();
  const { bsize, blocks } = statfsSync(folder);
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    bash: command('bash', '-c', 'echo "$BASH_VERSION"'),
    disk: diskOf(folder),
    diskGiB: Math.round((bsize * blocks) / 2 ** 30),
    commit: command('git', 'describe', '--always', '--dirty'),
    loadAtStart: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
};
