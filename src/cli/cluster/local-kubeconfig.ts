/** Where the kubeconfig of the local control plane is, if one runs in its usual place. */
import { existsSync } from 'node:fs';

// Not from the control plane's index: that loads the whole supervisor, and every command of krt passes here.
import { defaultDataDir, folderOf } from '../../embedded/control-plane/folder.js';
import { lockHolder } from '../../embedded/lock.js';

/** Path of the kubeconfig; undefined when no control plane runs on the default data folder. */
export const localKubeconfig = (): string | undefined => {
  const folder = folderOf(defaultDataDir());
  return existsSync(folder.kubeconfig) && lockHolder(folder.lock) !== undefined
    ? folder.kubeconfig
    : undefined;
};
