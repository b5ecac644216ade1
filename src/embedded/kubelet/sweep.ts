/**
 * Which processes belong to a container, and how are all of them ended?
 *
 * A process group is not enough: a grandchild that called setsid leaves it. The environment is inherited by whatever
 * a container starts, so every process carries `KRT_POD=<control plane>/<kubelet life>/<pod uid>/<container>`. The
 * name has no `KRUNTIME_` prefix on purpose: Runtime Servers take those away from the Runs they execute.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** Name of the marker variable. */
export const MARKER = 'KRT_POD';

/** What a process must carry to be ended. */
export type Mark = Readonly<{
  /** Name of the variable; default `KRT_POD`. */
  variable?: string;
  /** The marker's value, or, when it ends with `/`, the start of it. What is below it in the path belongs to it. */
  prefix: string;
  /** Also processes of which some variable's value starts with this folder. */
  folder?: string;
}>;

/** Whether an environment (as in /proc: NUL-separated) carries the mark. */
export const carriesMark = (environ: string, mark: Mark): boolean => {
  const text = `\0${environ}\0`;
  const marker = `\0${mark.variable ?? MARKER}=${mark.prefix}`;
  const isMarked = mark.prefix.endsWith('/')
    ? text.includes(marker)
    : text.includes(`${marker}\0`) || text.includes(`${marker}/`);
  return isMarked || (mark.folder !== undefined && text.includes(`=${mark.folder}/`));
};

/** Process ids that carry the mark; empty where there is no /proc. Costs about 4 ms per 300 processes. */
export const markedProcesses = (mark: Mark): ReadonlyArray<number> => {
  let entries: ReadonlyArray<string>;
  try {
    entries = readdirSync('/proc');
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      return carriesMark(readFileSync(`/proc/${pid}/environ`, 'latin1'), mark) ? [pid] : [];
    } catch {
      // Gone in the meantime, or somebody else's.
      return [];
    }
  });
};

/** Rounds after which a fork bomb that outruns us is left to the next sweep. */
const MOST_ROUNDS = 50;

/** SIGKILLs every process that carries the mark, again and again until a look finds none; returns how many. */
export const killMarkedProcesses = (mark: Mark): number => {
  const killed = new Set<number>();
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const found = markedProcesses(mark).filter((pid) => round < 3 || !killed.has(pid));
    if (found.length === 0) break;
    for (const pid of found)
      try {
        process.kill(pid, 'SIGKILL');
        killed.add(pid);
      } catch {
        // Ended by itself between the look and the kill.
      }
  }
  return killed.size;
};
