/** How much memory does a process hold? From /proc. */
import { readFileSync } from 'node:fs';

/** Resident, MiB; and of it what no other process has. */
export type MemoryMiB = Readonly<{ rss: number; own: number }>;

const kibIn = (text: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? Number.NaN);

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

/** MiB; NaN of a process that is gone. */
export const residentOf = (pid: number): number => kibIn(read(`/proc/${pid}/status`), 'VmRSS') / 1024;

/** NaN of a process that is gone. */
export const memoryOf = (pid: number): MemoryMiB => {
  const rollup = read(`/proc/${pid}/smaps_rollup`);
  return {
    rss: residentOf(pid),
    own: (kibIn(rollup, 'Private_Clean') + kibIn(rollup, 'Private_Dirty')) / 1024,
  };
};
