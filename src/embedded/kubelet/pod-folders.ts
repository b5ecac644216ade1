/** Where a Pod's things are on this machine. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';

import type { Pod } from './pod.js';

export type PodFolders = Readonly<{
  /** All of the Pod but its logs: volumes and a folder per container. */
  folder: string;
  /** Unix sockets that stand for its ports. Short: see socket-folder.ts. */
  sockets: string;
  logs: string;
}>;

/** `sockets` is the control plane's folder for sockets. */
export const podFolders = (dataDir: string, sockets: string, pod: Pod): PodFolders => {
  const { name, namespace, uid } = pod.metadata;
  return {
    folder: join(dataDir, 'pods', uid),
    sockets: join(sockets, createHash('sha256').update(uid).digest('hex').slice(0, 8)),
    logs: join(dataDir, 'logs', `${namespace}_${name}_${uid}`),
  };
};

export const containerFolder = (folders: PodFolders, container: string): string =>
  join(folders.folder, 'containers', container);

/** Log of a container's life; `life` counts restarts from 0. */
export const logPath = (folders: PodFolders, container: string, life: number): string =>
  join(folders.logs, container, `${life}.log`);
