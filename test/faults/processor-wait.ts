/** How busy the machine was for some processes: processor time that they had, and time that they waited for a processor. */
import { readFileSync } from 'node:fs';

/** Milliseconds. */
export type ProcessorWait = Readonly<{ hadMs: number; waitedMs: number }>;

/** Of a process's main thread, from its start; undefined where it is gone, or the kernel does not tell (Linux does). */
const waitOf = (pid: number): ProcessorWait | undefined => {
  try {
    const [had = 0, waited = 0] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ').map(Number);
    return { hadMs: had / 1e6, waitedMs: waited / 1e6 };
  } catch {
    return undefined;
  }
};

/** Of those that `pids` names, from now until the answer is asked, all together; of one that has ended meanwhile nothing. */
export const measureProcessorWait = (pids: () => ReadonlyArray<number>): (() => ProcessorWait) => {
  const before = new Map(pids().map((pid) => [pid, waitOf(pid)]));
  return () =>
    pids().reduce<ProcessorWait>(
      (sum, pid) => {
        const [now, then] = [waitOf(pid), before.get(pid)];
        return {
          hadMs: sum.hadMs + (now?.hadMs ?? 0) - (then?.hadMs ?? 0),
          waitedMs: sum.waitedMs + (now?.waitedMs ?? 0) - (then?.waitedMs ?? 0),
        };
      },
      { hadMs: 0, waitedMs: 0 },
    );
};

/** For people. */
export const formatProcessorWait = ({ hadMs, waitedMs }: ProcessorWait): string =>
  `had ${(hadMs / 1000).toFixed(1)} s of processor time and waited ${(waitedMs / 1000).toFixed(1)} s for it`;
