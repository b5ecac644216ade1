/**
 * A control plane of real processes on one machine, with proxies of the test between its parts: operator, kubelet and
 * the pods' runtimed reach the API server through one, the sessions go through the other.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { keepRunning } from '../../src/embedded/control-plane/component.js';
import { type ComponentsInput, componentSpec } from '../../src/embedded/control-plane/components.js';
import { folderOf } from '../../src/embedded/control-plane/folder.js';
import { freePort } from '../../src/embedded/control-plane/settings.js';
import { startControlPlane } from '../../src/embedded/control-plane/start.js';
import { controlPlaneId } from '../../src/embedded/kubelet/kubelet.js';
import { socketFolder } from '../../src/embedded/kubelet/socket-folder.js';
import { openLog } from '../../src/io/log.js';
import { attach, type ControlPlane } from '../e2e/attach.js';
import { pidsWith } from '../e2e/pids.js';
import { type ApiProxy, startApiProxy } from './api-proxy.js';
import { type SessionProxy, startSessionProxy } from './session-proxy.js';

const programs = fileURLToPath(new URL('../../dist', import.meta.url));

/** The control plane, and where faults are made. */
export type FaultyPlane = ControlPlane & Readonly<{ api: ApiProxy; sessions: SessionProxy }>;

/** Starts one with the Runtime `bash`: so many pods for so many Runs each. */
export const startFaultyPlane = async (replicas: number, capacity: number): Promise<FaultyPlane> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'krt-faults-'));
  const log = openLog({ name: 'faults', streams: [] });
  const folder = folderOf(dataDir);
  const running = await startControlPlane({
    dataDir,
    withRuntimes: true,
    log,
    programs,
    without: ['controller', 'kubelet'],
  });
  const api = await startApiProxy(running.url, dataDir);
  const sessionsPort = (await freePort(0)) ?? 0;
  const sessions = await startSessionProxy(sessionsPort);
  const proxied = async (path: string): Promise<string> => {
    const text = (await readFile(path, 'utf8')).replaceAll(running.url, api.url);
    await writeFile(`${path}.proxied`, text, { mode: 0o600 });
    return `${path}.proxied`;
  };
  const input: ComponentsInput = {
    folder: {
      ...folder,
      operatorKubeconfig: await proxied(folder.operatorKubeconfig),
      kubeletKubeconfig: await proxied(folder.kubeletKubeconfig),
    },
    programs,
    sockets: socketFolder(dataDir),
    port: Number(new URL(running.url).port),
    sessionsPort,
    controlPlane: controlPlaneId(dataDir),
  };
  const operator = componentSpec('controller', input);
  const through = (argument: string): string =>
    argument === `https://127.0.0.1:${sessionsPort}` ? `https://127.0.0.1:${sessions.port}` : argument;
  const components = [
    keepRunning({ ...operator, argv: () => operator.argv().map(through) }, log),
    keepRunning(componentSpec('kubelet', input), log),
  ];
  const plane = await attach({
    dataDir,
    kubeconfig: running.kubeconfig,
    pidsOf: (program) => pidsWith(`KRUNTIME_CONTROL_PLANE=${controlPlaneId(dataDir)}`, program),
    stop: async () => {
      api.set(undefined);
      for (const component of components) await component.stop();
      await running.stop();
      await api.close();
      sessions.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  });
  await plane.patchRuntime('bash', { spec: { replicas, capacity: { resources: { runs: capacity } } } });
  await plane.whenReady('bash', replicas, 60_000);
  return { ...plane, api, sessions };
};
