/**
 * A whole control plane on a real API server, for the end-to-end tests: the operator of dist/ as a ServiceAccount with
 * the rights of rbac.yaml and a Lease, the process kubelet for the pods, and the guide's Runtime.
 */
import { mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import bunyan from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import { putBashRuntime } from '../../src/embedded/control-plane/bash-runtime.js';
import { type Component, keepRunning } from '../../src/embedded/control-plane/component.js';
import { ARTIFACT_CLAIM } from '../../src/embedded/control-plane/components.js';
import { freePort } from '../../src/embedded/control-plane/settings.js';
import { controlPlaneId } from '../../src/embedded/kubelet/kubelet.js';
import { kubeClient } from '../../src/io/kube/client.js';
import { clusterFromKubeconfig } from '../../src/io/kube/cluster.js';
import type { Plane } from '../e2e/attach.js';
import { pidsWith } from '../e2e/pids.js';
import { type ApiLevel, startApiLevel } from './api-level.js';

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

/** Starts one with the programs in this folder. */
export const startClusterPlane = async (programs: string): Promise<ClusterPlane> => {
  const folder = await mkdtemp(join(tmpdir(), 'krt-cluster-plane-'));
  const dataDir = join(folder, 'kubelet');
  mkdirSync(dataDir, { mode: 0o700 });
  const id = controlPlaneId(dataDir);
  const components: Component[] = [];
  const level = await startApiLevel(programs, join(folder, 'api'));
  const stop = async (): Promise<void> => {
    // The kubelet first: it ends the pods' processes.
    for (const component of components.splice(0)) await component.stop();
    await level.stop();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await level.create([file('rbac.yaml')]);
    const token = await accountToken(level, 'kruntimes-system', 'kruntimes-controller');
    const [sessions, metrics, probes] = [await freePort(0), await freePort(0), await freePort(0)];
    const keep = (name: string, graceMs: number, args: ReadonlyArray<string>): void => {
      const component = keepRunning(
        {
          name,
          argv: () => [file(`../../dist/${name}.js`), ...args],
          env: { KRUNTIME_CONTROL_PLANE: id },
          logFile: join(folder, `${name}.log`),
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
      level.kubeconfig('kubelet', level.token('kubelet')),
    ]);
    keep('controller', 4000, [
      '--kubeconfig',
      level.kubeconfig('operator', token),
      '--sessions-listen',
      `127.0.0.1:${sessions}`,
      '--sessions-url',
      `https://127.0.0.1:${sessions}`,
      '--metrics-listen',
      `127.0.0.1:${metrics}`,
      '--probes-listen',
      `127.0.0.1:${probes}`,
      '--default-artifact-claim',
      ARTIFACT_CLAIM,
    ]);
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
