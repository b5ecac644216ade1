/**
 * A whole control plane of real processes for one test file: the bundles of dist/ (npm test builds them) in a folder
 * of its own. With `CLUSTER_BINARIES` (npm run test:cluster) the API server is kube-apiserver.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { controlPlaneId } from '../../src/embedded/kubelet/kubelet.js';
import { startClusterPlane } from '../cluster/control-plane.js';
import { attach, type ControlPlane, type Plane } from './attach.js';
import { pidsWith } from './pids.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

const startEmbeddedPlane = async (): Promise<Plane> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'krt-e2e-'));
  const child: ChildProcess = spawn(
    process.execPath,
    [join(root, 'dist/control-plane.js'), '--data-dir', dataDir],
    {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
    },
  );
  child.stdout?.resume();
  const [said] = await Promise.race([once(child.stdio[3] ?? child, 'data'), once(child, 'exit')]);
  if (!String(said).startsWith('ready')) {
    child.kill('SIGTERM');
    throw new Error(`the control plane did not start: ${String(said)}`);
  }
  return {
    dataDir,
    kubeconfig: join(dataDir, 'kubeconfig'),
    pidsOf: (program) => pidsWith(`KRUNTIME_CONTROL_PLANE=${controlPlaneId(dataDir)}`, program),
    stop: async () => {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};

export { answer, type ControlPlane } from './attach.js';

/** Time a control plane with ready pods may take to start, milliseconds: kube-apiserver on a busy machine is slow. */
export const START_LIMIT_MS = 120_000;

/** Whether the API server has controllers beside it, which collect garbage and delete namespaces. */
export const hasControllers =
  process.env.CLUSTER_BINARIES === undefined ||
  existsSync(join(process.env.CLUSTER_BINARIES, 'kube-controller-manager'));

/** Starts one, with the bash Runtime of the guide unless told otherwise. */
export const startControlPlane = async ({
  replicas = 2,
}: Readonly<{ replicas?: number }> = {}): Promise<ControlPlane> => {
  const binaries = process.env.CLUSTER_BINARIES;
  const controlPlane = await attach(
    binaries === undefined ? await startEmbeddedPlane() : await startClusterPlane(binaries),
  );
  try {
    if (replicas !== 2) await controlPlane.patchRuntime('bash', { spec: { replicas } });
    await controlPlane.whenReady('bash', replicas, START_LIMIT_MS);
    return controlPlane;
  } catch (error) {
    await controlPlane.stop();
    throw error;
  }
};
