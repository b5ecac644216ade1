/** From a request to a running process: looks at the files, makes the plan, takes a warm shell or a cold one. */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { errorCode } from '../../io/error-code.js';
import type { FifoStock } from '../../io/processes/fifos.js';
import { type Launched, startCold } from './launch.js';
import type { TreeMarker } from './marker.js';
import {
  type EntrypointFact,
  firstBytesWanted,
  isWarmEnv,
  type Plan,
  planCommand,
  planEntrypoint,
} from './plan.js';
import type { ExecuteCommand } from './request.js';
import { planText, prelude } from './shell-text.js';
import type { WarmPool } from './warm-pool.js';

/** Why nothing was started. `Refused` blames the request, `NotStarted` is an end of its own with an exit code. */
export type Started =
  | Readonly<{ kind: 'Launched'; launched: Launched }>
  | Readonly<{ kind: 'NotStarted'; code: number; message: string }>
  | Readonly<{ kind: 'Refused'; message: string }>;

export type Starter = (command: ExecuteCommand) => Started;

export type StartSettings = Readonly<{
  bash: string;
  workDir: string;
  /** The environment every execution has, before its own. */
  baseEnv: NodeJS.ProcessEnv;
  /** File name warm shells wait for. */
  warmName: string;
  /** Are warm shells known to work here? */
  isWarm: boolean;
}>;

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** Bits of a file's mode that let anybody execute it. */
const executeBits = 0o111;

/** As a shell: 127 for what is not there, 126 for what can not be run. */
const notStarted = (code: 126 | 127, message: string): Started => ({ kind: 'NotStarted', code, message });

const lookAt = (path: string): EntrypointFact | 'absent' | 'folder' | 'unreadable' => {
  let fd: number;
  let mayExecute = false;
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return 'absent';
    if (stats.isDirectory()) return 'folder';
    mayExecute = (stats.mode & executeBits) !== 0;
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'].includes(errorCode(error))
      ? 'absent'
      : 'unreadable';
  }
  try {
    const bytes = Buffer.alloc(firstBytesWanted);
    return {
      isExecutable: mayExecute && isExecutable(path),
      firstBytes: bytes.subarray(0, readSync(fd, bytes)),
    };
  } catch {
    return 'unreadable';
  } finally {
    closeSync(fd);
  }
};

/** Exactly, but at the price of an error when it is not. */
const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

const planFor = (command: ExecuteCommand, cwd: string, settings: StartSettings): Plan | Started => {
  const { entrypoint, args } = command;
  if (entrypoint === '')
    return planCommand(args) ?? notStarted(127, 'nothing to run: give an entrypoint, or args as the command');
  const fact = lookAt(resolve(cwd, entrypoint));
  switch (fact) {
    case 'absent':
      return notStarted(127, `entrypoint "${entrypoint}": no such file in the working directory`);
    case 'folder':
      return notStarted(126, `entrypoint "${entrypoint}" is a directory: name a file`);
    case 'unreadable':
      return notStarted(126, `entrypoint "${entrypoint}" can not be read: check its permissions`);
    default:
      return planEntrypoint(entrypoint, args, fact, settings);
  }
};

/** Arguments for a bash of its own. */
const coldArgs = (plan: Plan, bash: string): readonly string[] => {
  switch (plan.kind) {
    case 'WarmScript':
    case 'BashScript':
      return [plan.name, ...plan.args];
    case 'CommandLine':
      return ['-c', plan.line];
    default:
      return ['-c', planText(plan, bash)];
  }
};

/** Makes the function that starts executions. */
export const starter =
  (settings: StartSettings, pool: WarmPool, fifos: FifoStock, marker: TreeMarker): Starter =>
  (command) => {
    const { bash, baseEnv } = settings;
    const exportsShell = baseEnv.SHELL !== undefined;
    const cwd = resolve(settings.workDir, command.workingDir);
    if (!isFolder(cwd))
      return { kind: 'Refused', message: `working_dir "${cwd}" is not a directory: create it first` };
    const plan = planFor(command, cwd, settings);
    if (plan.kind === 'NotStarted' || plan.kind === 'Refused' || plan.kind === 'Launched') return plan;
    const { env } = command;
    if (settings.isWarm && isWarmEnv(Object.keys(env)))
      try {
        const launched = pool.launch((shell) =>
          prelude({ bash, cwd, env, plan, exportsShell, realtimeLimit: shell.mark.signs.realtimeLimit }),
        );
        return { kind: 'Launched', launched };
      } catch {
        // A warm shell takes a little memory to be told its work, and any Run may have filled it (/dev/shm). A cold one
        // takes none; what is short for both it will say itself.
      }
    try {
      const args = coldArgs(plan, bash);
      const launched = startCold({ bash, args, cwd, env: { ...baseEnv, ...env } }, fifos, marker);
      pool.began();
      return { kind: 'Launched', launched };
    } catch (error) {
      return notStarted(126, error instanceof Error ? error.message : String(error));
    }
  };
