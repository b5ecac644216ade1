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

/** How the embedded one is started otherwise than as usual. */
export type EmbeddedOptions = Readonly<{
  /** Of one that has ended. */
  dataDir?: string;
  /** Its data folder stays when it is stopped. */
  keeps?: boolean;
  /** The command that starts it, and can only be killed. */
  under?: ReadonlyArray<string>;
  /** Called with its data folder, which is empty; the answer is called before it is removed. */
  prepare?: (dataDir: string) => () => void;
}>;

type EmbeddedPlane = Plane &
  Readonly<{
    /** Resolves when its supervisor has ended. */
    over: Promise<void>;
  }>;

const startEmbeddedPlane = async (options: EmbeddedOptions = {}): Promise<EmbeddedPlane> => {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'krt-e2e-')));
  const undo = options.prepare?.(dataDir);
  const command = [
    ...(options.under ?? []),
    process.execPath,
    join(root, 'dist/control-plane.js'),
    '--data-dir',
    dataDir,
  ];
  const child: ChildProcess = spawn(command[0] ?? '', command.slice(1), {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  });
  const over = once(child, 'exit').then(() => undefined);
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
    over,
    stop: async () => {
      child.kill(options.under === undefined ? 'SIGTERM' : 'SIGKILL');
      await over;
      if (options.keeps === true) return;
      undo?.();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};

/** Starts the embedded one, with two ready pods of Runtime bash, whatever `CLUSTER_BINARIES` says. */
export const startEmbedded = async (
  options: EmbeddedOptions = {},
): Promise<ControlPlane & Readonly<{ over: Promise<void> }>> => {
  const plane = await startEmbeddedPlane(options);
  const controlPlane = await attach(plane);
  await controlPlane.whenReady('bash', 2, START_LIMIT_MS);
  return { ...controlPlane, over: plane.over };
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
