/** Is a control plane running on this data folder, and how is it? */
import { existsSync } from 'node:fs';
import { controlPlaneId } from '../kubelet/kubelet.js';
import { killMarkedProcesses } from '../kubelet/sweep.js';
import { lockHolder } from '../lock.js';
import { CONTROL_PLANE_VARIABLE } from './components.js';
import { askStatus, askStop, type ComponentStatus } from './control-socket.js';
import { defaultDataDir, folderOf } from './folder.js';

export type ControlPlaneStatus = Readonly<{
  /** `failed`: the supervisor lives, but the API does not answer or a component ends again and again. */
  state: 'running' | 'stopped' | 'failed';
  dataDir: string;
  kubeconfig: string;
  url?: string;
  /** The supervisor's process. */
  pid?: number;
  /** All processes of the control plane itself, the supervisor's first. */
  pids: ReadonlyArray<number>;
  components: ReadonlyArray<ComponentStatus>;
  /** RFC 3339. */
  since?: string;
  version?: string;
}>;

const isDown = ({ name, healthy, failing }: ComponentStatus): boolean =>
  failing === true || (name === 'apiserver' && !healthy);

/** Rejects when a supervisor is there but does not answer. */
export const controlPlaneStatus = async (dataDir: string): Promise<ControlPlaneStatus> => {
  const folder = folderOf(dataDir);
  const basis = { dataDir: folder.dataDir, kubeconfig: folder.kubeconfig };
  const said = await askStatus(folder.dataDir);
  if (said === undefined) {
    // Between its first and last breath a supervisor holds the lock without answering.
    const holder = existsSync(folder.dataDir) ? lockHolder(folder.lock) : undefined;
    return holder === undefined
      ? { ...basis, state: 'stopped', pids: [], components: [] }
      : { ...basis, state: 'failed', pid: holder, pids: [holder], components: [] };
  }
  const { pid, url, since, version, components } = said;
  return {
    ...basis,
    state: components.some(isDown) ? 'failed' : 'running',
    url,
    pid,
    pids: [pid, ...components.flatMap((component) => (component.pid === undefined ? [] : [component.pid]))],
    components,
    since,
    version,
  };
};

/**
 * The kubeconfig and URL of the control plane on `dataDir` (default `~/.kruntimes`) if it is running; for choosing a
 * cluster. Asks no component how it is, so it costs a fraction of a millisecond when there is none.
 */
export const runningControlPlane = async (
  dataDir: string = defaultDataDir(),
): Promise<Readonly<{ kubeconfig: string; dataDir: string }> | undefined> => {
  const folder = folderOf(dataDir);
  if (!existsSync(folder.kubeconfig) || lockHolder(folder.lock) === undefined) return undefined;
  return { kubeconfig: folder.kubeconfig, dataDir: folder.dataDir };
};

/** How long a stop may take before the supervisor is killed, milliseconds. */
const STOP_LIMIT_MS = 20_000;

/**
 * Stops the control plane on `dataDir` and resolves when no process of it is left: `stopped`, or `absent` when none
 * ran. A supervisor that does not stop in time is killed, which ends its children, too.
 */
export const stopControlPlane = async (dataDir: string): Promise<'stopped' | 'absent'> => {
  const folder = folderOf(dataDir);
  const holder = existsSync(folder.dataDir) ? lockHolder(folder.lock) : undefined;
  let wasThere = holder !== undefined;
  try {
    wasThere = (await askStop(folder.dataDir, STOP_LIMIT_MS)) || wasThere;
  } catch {
    if (holder !== undefined && lockHolder(folder.lock) === holder) process.kill(holder, 'SIGKILL');
  }
  // What a control plane killed earlier may have left: nothing, where processes watch their parent as they should.
  if (existsSync(folder.dataDir) && lockHolder(folder.lock) === undefined) {
    const id = controlPlaneId(folder.dataDir);
    killMarkedProcesses({ prefix: `${id}/` });
    killMarkedProcesses({ variable: CONTROL_PLANE_VARIABLE, prefix: id });
  }
  return wasThere ? 'stopped' : 'absent';
};
