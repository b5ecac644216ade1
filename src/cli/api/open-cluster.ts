/** Chooses the cluster and opens a client to it: all that commands with a cluster load at once. */
import { homedir } from 'node:os';

import { kubeClient } from '../../io/kube/client.js';
import { localKubeconfig } from '../cluster/local-kubeconfig.js';
import type { GlobalFlags } from '../global-flags.js';
import type { OpenCluster } from '../krt.js';
import { chooseCluster } from './choose-cluster.js';
import { kubeApi } from './kube-api.js';

/** node's timers cannot count further. */
const LONGEST_MS = 2 ** 31 - 1;

/** Nothing is sent yet. `say` is told of each request when the flags ask for it. Errors: Failure of kind NoAccess. */
export const openCluster = async (
  flags: GlobalFlags,
  env: Readonly<Record<string, string | undefined>>,
  say: (line: string) => void,
): Promise<OpenCluster> => {
  const { verbose, requestTimeoutMs, namespace } = flags;
  const cluster = await chooseCluster({ ...flags, env, home: homedir(), localKubeconfig });
  if (verbose)
    say(`cluster ${cluster.server.origin}${cluster.context ? `, context ${cluster.context}` : ''}`);
  const kube = kubeClient(cluster, {
    userAgent: 'krt',
    ...(requestTimeoutMs === undefined
      ? {}
      : { requestTimeoutMs: Math.min(requestTimeoutMs || LONGEST_MS, LONGEST_MS) }),
  });
  return { api: kubeApi(kube, verbose ? say : undefined), namespace: namespace ?? cluster.namespace };
};
