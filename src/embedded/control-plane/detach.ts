/** Starts the control plane in a process of its own that outlives us, and waits until its API answers. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

import { type ImagesFile, programsFolder } from '../kubelet/images.js';
import { folderOf, makeFolder, strangeEntries, strangeFolderMessage } from './folder.js';
import { ControlPlaneError, type ControlPlaneOptions } from './start.js';

export type DetachOptions = Pick<
  ControlPlaneOptions,
  'dataDir' | 'port' | 'images' | 'withRuntimes' | 'programs'
>;

export type DetachedControlPlane = Readonly<{
  pid: number;
  dataDir: string;
  kubeconfig: string;
  logFile: string;
}>;

const imageFlags = (images: ImagesFile): ReadonlyArray<string> =>
  Object.entries(images).flatMap(([image, command]) => [
    '--image',
    `${image}=${typeof command === 'string' ? command : command.map(quoted).join(' ')}`,
  ]);

const quoted = (word: string): string => `'${word.replaceAll("'", `'"'"'`)}'`;

/** Resolves when the API answers; rejects with a ControlPlaneError of one line. */
export const detachControlPlane = async (options: DetachOptions): Promise<DetachedControlPlane> => {
  const folder = folderOf(options.dataDir);
  const program = join(options.programs ?? programsFolder(), 'control-plane.js');
  if (!existsSync(program)) throw new ControlPlaneError(`${program} is missing; build the package first`);
  if (strangeEntries(folder).length > 0) throw new ControlPlaneError(strangeFolderMessage(folder));
  makeFolder(folder);
  const logFile = join(folder.logs, 'control-plane.log');
  const logFd = openSync(logFile, 'a', 0o600);
  const child = spawn(
    process.execPath,
    [
      program,
      '--data-dir',
      folder.dataDir,
      ...(options.port === undefined ? [] : ['--port', String(options.port)]),
      ...imageFlags(options.images ?? {}),
      ...(options.withRuntimes ? [] : ['--no-runtimes']),
    ],
    {
      cwd: '/',
      // A parent that our own process watches is none of the supervisor's, which is to outlive us.
      env: { ...process.env, KRUNTIME_PARENT_FD: undefined },
      detached: true,
      stdio: ['ignore', logFd, logFd, 'pipe'],
    },
  );
  closeSync(logFd);
  const said = await firstLine(child.stdio[3] as Readable, child);
  if (said !== 'ready')
    throw new ControlPlaneError(
      said.startsWith('failed ')
        ? said.slice(7)
        : `the control plane ended at its start; its log is ${logFile}`,
    );
  child.unref();
  return { pid: child.pid ?? 0, dataDir: folder.dataDir, kubeconfig: folder.kubeconfig, logFile };
};

/** The line the supervisor says on its fd 3; '' when it ends without a word. */
const firstLine = (pipe: Readable, child: ReturnType<typeof spawn>): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    pipe.setEncoding('utf8');
    pipe.on('data', (chunk: string) => {
      text += chunk;
    });
    const finish = (): void => {
      pipe.destroy();
      resolve(text.split('\n')[0] ?? '');
    };
    pipe.once('end', finish);
    pipe.once('error', finish);
    child.once('error', finish);
  });
