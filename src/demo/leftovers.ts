/** Which processes still belong to a control plane? Looked up, not believed. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

import { controlPlaneId } from '../embedded/kubelet/kubelet.js';
import { hasProc, processFact, processIds } from '../io/processes/proc.js';

/** A living process and its command line. */
export type Leftover = Readonly<{ pid: number; command: string }>;

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

const link = (path: string): string => {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
};

const openFiles = (pid: number): ReadonlyArray<string> => {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => link(`/proc/${pid}/fd/${fd}`));
  } catch {
    return [];
  }
};

/**
 * Processes that carry the control plane's mark or name the folder: in the command line, the environment they were
 * started with, the working directory or an open file. Zombies are over. Without a /proc: by command line alone.
 *
 * @param folder one made for this purpose alone, so that its last name is found nowhere else
 * @param dataDir the control plane's, in `folder`; it need not be there
 */
export const leftovers = (folder: string, dataDir: string): ReadonlyArray<Leftover> => {
  const marks = [basename(folder), ...(existsSync(dataDir) ? [controlPlaneId(dataDir)] : [])];
  const isOurs = (text: string): boolean => marks.some((mark) => text.includes(mark));
  if (!hasProc())
    return execFileSync('ps', ['-axo', 'pid=,command='], { encoding: 'utf8' })
      .split('\n')
      .flatMap((line) => {
        const [, pid, command = ''] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
        return isOurs(command) && Number(pid) !== process.pid ? [{ pid: Number(pid), command }] : [];
      });
  return processIds().flatMap((pid) => {
    if (pid === process.pid || processFact(pid) === undefined) return [];
    const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    const traces = [command, read(`/proc/${pid}/environ`), link(`/proc/${pid}/cwd`), ...openFiles(pid)];
    return traces.some(isOurs) ? [{ pid, command }] : [];
  });
};
