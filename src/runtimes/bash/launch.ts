/** What a started execution is, however it was started. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';

import type { FifoStock } from '../../io/processes/fifos.js';
import type { Tree } from '../../io/processes/kill-tree.js';
import { forkMark } from '../../io/processes/tree.js';
import type { TreeMarker } from './marker.js';

export type Launched = Readonly<{
  child: ChildProcess;
  tree: Tree;
  /** Read ends of the output pipes; whoever takes the process closes them. */
  stdoutFd: number;
  stderrFd: number;
}>;

export type ColdStart = Readonly<{
  bash: string;
  args: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
}>;

/**
 * Starts bash for one execution alone, in a session of its own.
 *
 * @throws Error when the process can not be made: too many of them, arguments too long, no such bash.
 */
export const startCold = (
  { bash, args, cwd, env }: ColdStart,
  fifos: FifoStock,
  marker: TreeMarker,
): Launched => {
  const mark = marker.next();
  const since = forkMark();
  const out = fifos.open();
  const err = fifos.open();
  let child: ChildProcess | undefined;
  try {
    child = spawn(bash, [...args], {
      argv0: 'bash',
      cwd,
      env: { ...env, ...mark.env },
      stdio: ['ignore', out.writeFd, err.writeFd],
      detached: true,
    });
  } finally {
    closeSync(out.writeFd);
    closeSync(err.writeFd);
    if (child?.pid === undefined) {
      closeSync(out.readFd);
      closeSync(err.readFd);
    }
  }
  if (child.pid === undefined) {
    // Why comes as an event, too late to be told; the usual reasons are few.
    child.on('error', () => undefined);
    throw new Error(
      `${bash} could not be started in ${cwd}: out of processes, or arguments and environment too long`,
    );
  }
  marker.processes.started(child.pid, mark.signs.environEntry);
  return {
    child,
    tree: { signs: { leader: child.pid, ...mark.signs }, since, processes: marker.processes },
    stdoutFd: out.readFd,
    stderrFd: err.readFd,
  };
};
