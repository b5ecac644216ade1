/**
 * A whole control plane on a real API server, for the end-to-end tests: the operator of dist/ as a ServiceAccount with
 * the rights of rbac.yaml and a Lease, the process kubelet for the pods, and the guide's Runtime.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import bunyan from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import { putBashRuntime } from '../../src/embedded/control-plane/bash-runtime.js';
import { type Component, keepRunning } from '../../src/embedded/control-plane/component.js';
import { ARTIFACT_CLAIM } from '../../src/embedded/control-plane/components.js';
import { anyFreePort } from '../../src/embedded/control-plane/free-port.js';
import { controlPlaneId } from '../../src/embedded/kubelet/kubelet.js';
import { kubeClient } from '../../src/io/kube/client.js';
import { clusterFromKubeconfig } from '../../src/io/kube/cluster.js';
import type { Plane } from '../e2e/attach.js';
import { pidsWith } from '../e2e/pids.js';
import { type ApiLevel, etcdFolder, startApiLevel } from './api-level.js';
import { startRelay } from './relay.js';

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** A control plane on kube-apiserver. */
export type ClusterPlane = Plane & Readonly<{ level: ApiLevel }>;

/** A token of the ServiceAccount. */
export const accountToken = async (level: ApiLevel, namespace: string, name: string): Promise<string> => {
  const { code, body } = await level.call(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`,
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 3600 },
    },
  );
  if (code !== 201) throw new Error(`no token for ${namespace}/${name}: ${body.message}`);
  return body.status.token;
};

/** What its parts are, and how they reach each other, where something is to stand in between. */
export type Ways = Readonly<{
  /** Where the operators, the kubelet and the pods find the API server; asked once it answers. */
  apiOf?: (level: ApiLevel) => Promise<string>;
  /** What pods dial for the operators' sessions, which listen on these ports. */
  sessionsOf?: (ports: ReadonlyArray<number>) => Promise<Readonly<{ port: number; close: () => void }>>;
  /** Puts what the kubelet writes below this folder, and what etcd does in that, on disks; the answer takes them away. */
  disksOf?: (dataDir: string, etcdDir: string) => () => void;
  /** Folder of our bundles; default: dist. */
  bundles?: string;
}>;

/** Starts one with the programs in this folder; of several operators one leads, the others stand by. */
export const startClusterPlane = async (
  programs: string,
  operators = 1,
  {
    apiOf = async ({ url }) => url,
    sessionsOf = startRelay,
    disksOf,
    bundles = file('../../dist'),
  }: Ways = {},
): Promise<ClusterPlane> => {
  const folder = await mkdtemp(join(tmpdir(), 'krt-cluster-plane-'));
  const dataDir = join(folder, 'kubelet');
  mkdirSync(dataDir, { mode: 0o700 });
  const id = controlPlaneId(dataDir);
  const components: Component[] = [];
  const apiFolder = join(folder, 'api');
  const takeDisksAway = disksOf?.(dataDir, etcdFolder(apiFolder));
  const level = await startApiLevel(programs, apiFolder, undefined, disksOf !== undefined);
  let relay: Awaited<ReturnType<typeof startRelay>> | undefined;
  const stop = async (): Promise<void> => {
    // The kubelet first: it ends the pods' processes.
    for (const component of components.splice(0)) await component.stop();
    relay?.close();
    await level.stop();
    takeDisksAway?.();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await level.create([file('rbac.yaml')]);
    const token = await accountToken(level, 'kruntimes-system', 'kruntimes-controller');
    const api = await apiOf(level);
    /** A kubeconfig that leads there. */
    const through = (name: string, bearer: string): string => {
      const path = join(folder, `${name}.kubeconfig`);
      writeFileSync(path, level.kubeconfigText(bearer).replaceAll(level.url, api), { mode: 0o600 });
      return path;
    };
    const keep = (name: string, graceMs: number, args: ReadonlyArray<string>, log = name): void => {
      const component = keepRunning(
        {
          name,
          argv: () => [join(bundles, `${name}.js`), ...args],
          env: { KRUNTIME_CONTROL_PLANE: id },
          logFile: join(folder, `${log}.log`),
          graceMs,
        },
        bunyan.createLogger({ name: 'cluster', level: 'fatal' }),
      );
      components.push(component);
    };
    keep('kubelet', 6000, [
      '--data-dir',
      dataDir,
      '--kubeconfig',
      through('kubelet', level.token('kubelet')),
    ]);
    const sessions: number[] = [];
    for (let i = 0; i < operators; i += 1) sessions.push(await anyFreePort());
    relay = await sessionsOf(sessions);
    for (const [index, port] of sessions.entries())
      keep(
        'controller',
        4000,
        [
          '--kubeconfig',
          through('operator', token),
          '--sessions-listen',
          `127.0.0.1:${port}`,
          '--sessions-url',
          `https://127.0.0.1:${relay.port}`,
          '--metrics-listen',
          `127.0.0.1:${await anyFreePort()}`,
          '--probes-listen',
          `127.0.0.1:${await anyFreePort()}`,
          '--default-artifact-claim',
          ARTIFACT_CLAIM,
        ],
        `controller-${index}`,
      );
    const kubeconfig = level.kubeconfig('admin', level.token('admin'));
    const cluster = await clusterFromKubeconfig({ paths: [kubeconfig] });
    if (E.isLeft(cluster)) throw new Error(cluster.left.message);
    const kube = kubeClient(cluster.right, { userAgent: 'test' });
    const put = await putBashRuntime(kube);
    kube.close();
    if (E.isLeft(put)) throw new Error(put.left.message);
    return {
      dataDir,
      kubeconfig,
      level,
      pidsOf: (program) =>
        program === 'apiserver.js'
          ? [level.apiServerPid()]
          : pidsWith(`KRUNTIME_CONTROL_PLANE=${id}`, program),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
};
