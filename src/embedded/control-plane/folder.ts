/** Where the things of a local control plane are in its data folder D. */
import { chmodSync, mkdirSync, readdirSync } from 'node:fs';
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

/** What we and the programs we start put into D. */
const OWN_ENTRIES: ReadonlyArray<RegExp> = [
  /^(settings|images|apiserver|tokens)\.json(\..*)?$/,
  /^(kubeconfig|(operator|kubelet)\.kubeconfig)(\..*)?$/,
  /^up\.lock(\..*)?$/,
  /^(logs|run|pods|volumes|store|pki|socket-folder)$/,
];

/**
 * Entries of D that are nobody's of ours, where D has never been a control plane's: somebody named /tmp or a home
 * folder, which is not to be closed to others and filled. Empty when D is new, empty or ours.
 */
export const strangeEntries = (folder: Folder): ReadonlyArray<string> => {
  let entries: ReadonlyArray<string>;
  try {
    entries = readdirSync(folder.dataDir);
  } catch {
    return [];
  }
  if (entries.includes('tokens.json') && entries.includes('pki')) return [];
  return entries.filter((entry) => !OWN_ENTRIES.some((own) => own.test(entry)));
};

export const strangeFolderMessage = (folder: Folder): string =>
  `${folder.dataDir} holds other things (${strangeEntries(folder).slice(0, 3).join(', ')}); name a new or empty folder with --data-dir`;
