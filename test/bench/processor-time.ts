/**
 * How much processor time do the programs take? From /proc, to the nanosecond where the kernel tells it, so that it
 * means something also on a machine that is busy with other things. Children that have ended count to their parent.
 */
import { readdirSync, readFileSync } from 'node:fs';

import { controlPlaneId } from '../../src/embedded/kubelet/kubelet.js';
import { pidsWith } from '../e2e/pids.js';

const PROGRAMS = [
  'apiserver.js',
  'controller.js',
  'kubelet.js',
  'control-plane.js',
  'runtimed.js',
  'bash-runtime.js',
];

/** Clock ticks a second, as Linux shows times in /proc. */
const TICKS = 100;

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};

/** Of all living threads, milliseconds. */
export const ownMs = (pid: number): number => {
  try {
    return readdirSync(`/proc/${pid}/task`).reduce(
      (sum, thread) => sum + Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0] ?? 0) / 1e6,
      0,
    );
  } catch {
    return 0;
  }
};

/** Of children that have ended, and of theirs, milliseconds. */
const childrenMs = (pid: number): number => {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * 1_000) / TICKS;
};

/** Program → milliseconds since its processes began. `bash (the scripts)` are the Runtime Servers' children. */
export type ProcessorTimes = Readonly<Record<string, number>>;

/** Reads them all. */
export type Stopwatch = () => ProcessorTimes;

/** Of the control plane of this data folder, and of this process. */
export const stopwatch = (dataDir: string | undefined): Stopwatch => {
  const marker = dataDir === undefined ? undefined : `KRUNTIME_CONTROL_PLANE=${controlPlaneId(dataDir)}`;
  return () => {
    const times: Record<string, number> = {};
    if (marker !== undefined)
      for (const program of PROGRAMS) {
        const pids = pidsWith(marker, program);
        times[program.replace('.js', '')] = pids.reduce((sum, pid) => sum + ownMs(pid), 0);
        if (program === 'bash-runtime.js')
          times['bash (the scripts)'] = pids.reduce((sum, pid) => sum + childrenMs(pid), 0);
      }
    times['the client (this bench)'] = ownMs(process.pid);
    return times;
  };
};

/** What was used between two readings. */
export const timeBetween = (before: ProcessorTimes, after: ProcessorTimes): ProcessorTimes =>
  Object.fromEntries(Object.entries(after).map(([program, ms]) => [program, ms - (before[program] ?? 0)]));
