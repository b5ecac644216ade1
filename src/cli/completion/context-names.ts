/** The contexts of the kubeconfig that is in use, for completion. */
import { homedir } from 'node:os';
import { join } from 'node:path';

import { kubeconfigPaths, loadKubeconfig } from '../../io/kube/kubeconfig.js';

/** Names of contexts; none where there is no kubeconfig. */
export const contextNames = async (
  kubeconfig: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<ReadonlyArray<string>> => {
  const paths =
    kubeconfig !== undefined
      ? [kubeconfig]
      : env.KUBECONFIG
        ? kubeconfigPaths(env.KUBECONFIG)
        : [join(homedir(), '.kube', 'config')];
  const loaded = await loadKubeconfig({ paths });
  return loaded._tag === 'Right' ? [...loaded.right.contexts.keys()] : [];
};
