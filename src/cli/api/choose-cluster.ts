/**
 * Which cluster? `--kubeconfig`, `$KUBECONFIG`, the running local control plane, `~/.kube/config`, in-cluster: the
 * first that is there.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { ClusterError } from '../../io/kube/cluster.js';
import { type Cluster, clusterFromKubeconfig, clusterFromServiceAccount } from '../../io/kube/cluster.js';
import { kubeconfigPaths } from '../../io/kube/kubeconfig.js';
import { Failure } from '../failure.js';

export type ClusterChoice = Readonly<{
  kubeconfig?: string | undefined;
  context?: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  home: string;
  /** The kubeconfig of the running local control plane, if one runs. */
  localKubeconfig: () => string | undefined;
}>;

const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

const NEXT = {
  NoKubeconfig:
    'start a control plane on this machine with `krt up`, or name a kubeconfig with --kubeconfig or $KUBECONFIG',
  InvalidKubeconfig: undefined,
  NoSuchContext: '`kubectl config get-contexts` shows the ones there are',
  NoCredentials: undefined,
  NotInCluster: undefined,
} as const satisfies Readonly<Record<ClusterError['reason'], string | undefined>>;

const fail = ({ reason, message }: ClusterError): never => {
  // An explanation that already tells what to do needs no second one.
  throw new Failure('NoAccess', message, { hint: message.includes('krt up') ? undefined : NEXT[reason] });
};

/** The cluster, or a Failure of kind NoAccess that says what was looked for. */
export const chooseCluster = async (choice: ClusterChoice): Promise<Cluster> => {
  const { env, context } = choice;
  const fromFiles = async (paths: ReadonlyArray<string>): Promise<Cluster> => {
    const cluster = await clusterFromKubeconfig({ paths }, { context, env });
    return cluster._tag === 'Right' ? cluster.right : fail(cluster.left);
  };
  if (choice.kubeconfig !== undefined) return fromFiles([choice.kubeconfig]);
  if (env.KUBECONFIG) return fromFiles(kubeconfigPaths(env.KUBECONFIG));

  const usual = join(choice.home, '.kube', 'config');
  const local = choice.localKubeconfig();
  if (local !== undefined) {
    const cluster = await clusterFromKubeconfig({ paths: [local] }, { context, env });
    if (cluster._tag === 'Right') return cluster.right;
    // --context may name one of the usual file.
    if (cluster.left.reason !== 'NoSuchContext' || !existsSync(usual)) return fail(cluster.left);
  }
  if (existsSync(usual)) return fromFiles([usual]);
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host && port && context === undefined) {
    const cluster = await clusterFromServiceAccount(SERVICE_ACCOUNT_DIR, host, port);
    return cluster._tag === 'Right' ? cluster.right : fail(cluster.left);
  }
  return fail({
    reason: 'NoKubeconfig',
    message: `there is no cluster to talk to: no control plane runs on this machine, and ${usual} is not there`,
  });
};
