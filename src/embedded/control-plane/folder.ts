/** Where the things of a local control plane are in its data folder D. */
import { chmodSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** D where none is named. */
export const defaultDataDir = (home: string = homedir()): string => join(home, '.kruntimes');

export type Folder = Readonly<{
  dataDir: string;
  /** Held by the supervisor while it lives. */
  lock: string;
  /** What must stay the same from start to start: ports, and whether the first start is over. */
  settings: string;
  /** The user's images. */
  images: string;
  kubeconfig: string;
  operatorKubeconfig: string;
  kubeletKubeconfig: string;
  /** Written by the API server when it listens: url and pid. */
  apiServer: string;
  tokens: string;
  ca: string;
  logs: string;
}>;

export const folderOf = (dataDir: string): Folder => {
  const root = resolve(dataDir);
  return {
    dataDir: root,
    lock: join(root, 'up.lock'),
    settings: join(root, 'settings.json'),
    images: join(root, 'images.json'),
    kubeconfig: join(root, 'kubeconfig'),
    operatorKubeconfig: join(root, 'operator.kubeconfig'),
    kubeletKubeconfig: join(root, 'kubelet.kubeconfig'),
    apiServer: join(root, 'apiserver.json'),
    tokens: join(root, 'tokens.json'),
    ca: join(root, 'pki', 'ca.crt'),
    logs: join(root, 'logs'),
  };
};

/** Makes D and its logs folder, closed to others. Throws when D cannot be made or is not ours. */
export const makeFolder = (folder: Folder): void => {
  mkdirSync(folder.dataDir, { recursive: true, mode: 0o700 });
  chmodSync(folder.dataDir, 0o700);
  mkdirSync(folder.logs, { recursive: true, mode: 0o700 });
};
