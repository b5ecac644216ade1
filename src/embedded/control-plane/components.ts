/** Which programs make up the control plane, and with which arguments are they started? */
import { join } from 'node:path';

import type { ComponentSpec } from './component.js';
import type { Folder } from './folder.js';

/** Variable by which a control plane's own processes are known; see `controlPlaneId`. */
export const CONTROL_PLANE_VARIABLE = 'KRUNTIME_CONTROL_PLANE';

/** Claim that stands for the folder with artifacts of a namespace, `D/volumes/<namespace>/<claim>`. */
export const ARTIFACT_CLAIM = 'kruntimes-artifacts';

export type ComponentsInput = Readonly<{
  folder: Folder;
  /** Folder of the bundled programs. */
  programs: string;
  /** Folder for sockets. */
  sockets: string;
  port: number;
  sessionsPort: number;
  controlPlane: string;
}>;

export type ComponentName = 'apiserver' | 'controller' | 'kubelet';

/** Sockets on which a component says how it is. */
export const healthSocket = (sockets: string, name: ComponentName): string =>
  join(sockets, name === 'kubelet' ? 'kubelet.sock' : `${name}-probes.sock`);

export const componentSpec = (name: ComponentName, input: ComponentsInput): ComponentSpec => {
  const { folder, programs, sockets } = input;
  const argv: Readonly<Record<ComponentName, ReadonlyArray<string>>> = {
    apiserver: ['--data-dir', folder.dataDir, '--host', '127.0.0.1', '--port', String(input.port)],
    controller: [
      '--kubeconfig',
      folder.operatorKubeconfig,
      '--sessions-listen',
      `127.0.0.1:${input.sessionsPort}`,
      '--sessions-url',
      `https://127.0.0.1:${input.sessionsPort}`,
      '--probes-listen',
      `unix:${healthSocket(sockets, 'controller')}`,
      '--metrics-listen',
      `unix:${join(sockets, 'controller-metrics.sock')}`,
      '--default-artifact-claim',
      ARTIFACT_CLAIM,
      // There is never a second one, and nobody should wait for the Lease of one that was killed.
      '--no-leader-elect',
    ],
    kubelet: ['--data-dir', folder.dataDir, '--kubeconfig', folder.kubeletKubeconfig],
  };
  return {
    name,
    argv: () => [join(programs, `${name}.js`), ...argv[name]],
    env: { [CONTROL_PLANE_VARIABLE]: input.controlPlane },
    logFile: join(folder.logs, `${name}.log`),
    graceMs: name === 'kubelet' ? 6000 : 4000,
  };
};
