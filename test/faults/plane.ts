/**
 * A control plane of real processes on one machine, with proxies of the test between its parts: operator, kubelet and
 * the pods' runtimed reach the API server through one, the sessions go through the other. Where this machine lets us,
 * what it writes is on small disks of its own.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { keepRunning } from '../../src/embedded/control-plane/component.js';
import {
  ARTIFACT_CLAIM,
  type ComponentsInput,
  componentSpec,
} from '../../src/embedded/control-plane/components.js';
import { folderOf } from '../../src/embedded/control-plane/folder.js';
import { anyFreePort } from '../../src/embedded/control-plane/free-port.js';
import { startControlPlane } from '../../src/embedded/control-plane/start.js';
import { controlPlaneId } from '../../src/embedded/kubelet/kubelet.js';
import { socketFolder } from '../../src/embedded/kubelet/socket-folder.js';
import { openLog } from '../../src/io/log.js';
import { Pod } from '../../src/model/pod.js';
import { leases, pods } from '../../src/model/resources.js';
import { informer } from '../../streams/watch/informer.js';
import type { ApiLevel } from '../cluster/api-level.js';
import { startClusterPlane } from '../cluster/control-plane.js';
import { answer, attach, type ControlPlane } from '../e2e/attach.js';
import { START_LIMIT_MS } from '../e2e/control-plane.js';
import { pidsWith } from '../e2e/pids.js';
import { type ApiProxy, startApiProxy } from './api-proxy.js';
import { type ClockedPrograms, clockedPrograms } from './clocked-programs.js';
import { type FailingDisk, mountFailingDisk } from './failing-disk.js';
import type { Deletion } from './redispatch.js';
import { type SessionProxy, startSessionProxy } from './session-proxy.js';
import { mountSmallDisk, type SmallDisk } from './small-disk.js';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));

/** Pods, and Runs in each, that a cell begins with. */
export const REPLICAS = 2;
export const CAPACITY = 2;

/** What is on a disk of its own: the API server's log, or etcd's data; workspaces and runtimed's state; logs; the artifact store. */
export const DISKS = { store: 256, pods: 64, logs: 64, volumes: 64 } as const;
export type DiskName = keyof typeof DISKS;

/** The control plane, and where faults are made. */
export type FaultyPlane = ControlPlane &
  Readonly<{
    api: ApiProxy;
    sessions: SessionProxy;
    /** Its disks, or why it has none. */
    disks: Readonly<Record<DiskName, SmallDisk>> | string;
    /** The same folders on disks that can fail, or why there are none. */
    failing: Readonly<Record<DiskName, FailingDisk>> | string;
    /** Folder with the logs of its programs and pods, and maybe more. */
    logs: string;
    /** Folder of the artifact store of namespace default. */
    artifacts: string;
    /** Runtime Pods that are gone since this moment, epoch milliseconds. */
    deletionsSince: (ms: number) => ReadonlyArray<Deletion>;
    /** Its clocks, where its programs have some of their own. */
    clocks?: ClockedPrograms | undefined;
    /** kube-apiserver and etcd, where it is on those; else it has the embedded API server. */
    cluster?: ApiLevel;
    /** Where the operators' Lease is. */
    leaseNamespace: string;
    /** Pid of the operator that leads; rejects where nobody is known to. */
    leader: () => Promise<number>;
  }>;

const mountAll = <Disk extends Readonly<{ unmount: () => void }>>(
  dataDir: string,
  mount: (folder: string, megabytes: number) => Disk | string,
  storeDir = join(dataDir, 'store'),
): Readonly<Record<DiskName, Disk>> | string => {
  const mounted: Partial<Record<DiskName, Disk>> = {};
  for (const [name, megabytes] of Object.entries(DISKS) as ReadonlyArray<[DiskName, number]>) {
    const disk = mount(name === 'store' ? storeDir : join(dataDir, name), megabytes);
    if (typeof disk === 'string') {
      for (const other of Object.values<Disk | undefined>(mounted)) other?.unmount();
      return disk;
    }
    mounted[name] = disk;
  }
  return mounted as Record<DiskName, Disk>;
};

const unmountAll = (
  ...all: ReadonlyArray<Readonly<Record<DiskName, { unmount: () => void }>> | string>
): void => {
  for (const disks of all)
    if (typeof disks !== 'string') for (const disk of Object.values(disks)) disk.unmount();
};

/** Name of the operators' Lease. */
const LEASE = 'kruntimes-controller';

/** Which process says in its log that it is this holder of a Lease; rejects where none does. */
const operatorPid = async (logs: string, identity: string): Promise<number> => {
  for (const name of (await readdir(logs)).filter((each) => each.startsWith('controller')))
    for (const line of (await readFile(join(logs, name), 'utf8')).split('\n'))
      if (identity !== '' && line.includes(identity) && line.includes('operator started'))
        return Number((JSON.parse(line) as { pid: number }).pid);
  throw new Error(`no log of an operator in ${logs} is of the leader, ${identity}`);
};

const buildClocked = async (): Promise<ClockedPrograms> =>
  clockedPrograms(await mkdtemp(join(tmpdir(), 'krt-clocked-')));

export type FaultyPlaneOptions = Readonly<{
  /** Of several operators one leads, by its Lease, the others stand by. */
  operators?: number;
  /** Whether to put it on small disks. */
  withDisks?: boolean;
  /** Whether to put it on disks that can fail. */
  withFailingDisks?: boolean;
  /** The folder of the bundles; default: dist. */
  programs?: string;
  /** Whether the wall clocks of its programs can be set. */
  withClocks?: boolean;
}>;

/** Starts one with the Runtime `bash`: so many pods for so many Runs each. */
export const startFaultyPlane = async (
  replicas: number,
  capacity: number,
  {
    operators = 1,
    withDisks = false,
    withFailingDisks = false,
    withClocks = false,
    ...options
  }: FaultyPlaneOptions = {},
): Promise<FaultyPlane> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'krt-faults-'));
  const clocks = withClocks ? await buildClocked() : undefined;
  const programs = options.programs ?? clocks?.folder ?? dist;
  const disks = withDisks ? mountAll(dataDir, mountSmallDisk) : 'not asked for';
  const failing = withFailingDisks ? mountAll(dataDir, mountFailingDisk) : 'not asked for';
  const log = openLog({ name: 'faults', streams: [] });
  const folder = folderOf(dataDir);
  const running = await startControlPlane({
    dataDir,
    withRuntimes: true,
    log,
    programs,
    without: ['controller', 'kubelet'],
  });
  const pki = (name: string): string => join(dataDir, 'pki', name);
  const api = await startApiProxy(running.url, {
    certFile: pki('apiserver.crt'),
    keyFile: pki('apiserver.key'),
    caPem: await readFile(pki('ca.crt'), 'utf8'),
  });
  const ports: number[] = [];
  for (let i = 0; i < operators; i += 1) ports.push(await anyFreePort());
  const sessions = await startSessionProxy(ports);
  const proxied = async (path: string): Promise<string> => {
    const text = (await readFile(path, 'utf8')).replaceAll(running.url, api.url);
    await writeFile(`${path}.proxied`, text, { mode: 0o600 });
    return `${path}.proxied`;
  };
  const proxiedFolder = {
    ...folder,
    operatorKubeconfig: await proxied(folder.operatorKubeconfig),
    kubeletKubeconfig: await proxied(folder.kubeletKubeconfig),
  };
  const inputOf = (sessionsPort: number): ComponentsInput => ({
    folder: proxiedFolder,
    programs,
    sockets: socketFolder(dataDir),
    port: Number(new URL(running.url).port),
    sessionsPort,
    controlPlane: controlPlaneId(dataDir),
  });
  const components = [keepRunning(componentSpec('kubelet', inputOf(ports[0] ?? 0)), log)];
  ports.forEach((port, i) => {
    const operator = componentSpec('controller', inputOf(port));
    const argv = operator.argv().flatMap((argument) => {
      if (argument === `https://127.0.0.1:${port}`) return [`https://127.0.0.1:${sessions.port}`];
      if (operators === 1) return [argument];
      if (argument === '--no-leader-elect') return ['--namespace', 'default'];
      return [argument.startsWith('unix:') ? `${argument}.${i}` : argument];
    });
    components.push(
      keepRunning(
        { ...operator, argv: () => argv, logFile: `${operator.logFile}${i === 0 ? '' : `.${i}`}` },
        log,
      ),
    );
  });
  const pidsOf = (program: string): ReadonlyArray<number> =>
    pidsWith(`KRUNTIME_CONTROL_PLANE=${controlPlaneId(dataDir)}`, program);
  const plane = await attach({
    dataDir,
    kubeconfig: running.kubeconfig,
    pidsOf,
    stop: async () => {
      api.set(undefined);
      for (const component of components) await component.stop();
      await running.stop();
      await api.close();
      sessions.close();
      unmountAll(disks, failing);
      await rm(dataDir, { recursive: true, force: true });
      clocks?.remove();
    },
  });
  return faulty(plane, replicas, capacity, {
    api,
    sessions,
    disks,
    failing,
    clocks,
    logs: folder.logs,
    leaseNamespace: 'default',
    leader: async () => operatorPid(folder.logs, await holderIn(plane, 'default')),
  });
};

/** The same on kube-apiserver, with the programs (or links to them) in this folder. */
export const startFaultyClusterPlane = async (
  clusterPrograms: string,
  replicas: number,
  capacity: number,
  {
    operators = 1,
    withDisks = false,
    withFailingDisks = false,
    withClocks = false,
  }: Omit<FaultyPlaneOptions, 'programs'> = {},
): Promise<FaultyPlane> => {
  let disks: FaultyPlane['disks'] = 'not asked for';
  let failing: FaultyPlane['failing'] = 'not asked for';
  let api: ApiProxy | undefined;
  let sessions: SessionProxy | undefined;
  const clocks = withClocks ? await buildClocked() : undefined;
  const started = await startClusterPlane(clusterPrograms, operators, {
    bundles: clocks?.folder ?? dist,
    apiOf: async ({ url, certificate, caPem }) => {
      api = await startApiProxy(url, { ...certificate, caPem });
      return api.url;
    },
    ...(withDisks || withFailingDisks
      ? {
          disksOf: (dataDir: string, etcdDir: string) => {
            if (withDisks) disks = mountAll(dataDir, mountSmallDisk, etcdDir);
            if (withFailingDisks) failing = mountAll(dataDir, mountFailingDisk, etcdDir);
            return () => unmountAll(disks, failing);
          },
        }
      : {}),
    sessionsOf: async (ports) => {
      sessions = await startSessionProxy(ports);
      return sessions;
    },
  });
  if (api === undefined || sessions === undefined) throw new Error('the proxies were not asked for');
  const proxy = api;
  const plane = await attach({
    ...started,
    stop: async () => {
      proxy.set(undefined);
      await started.stop();
      await proxy.close();
      clocks?.remove();
    },
  });
  return faulty(plane, replicas, capacity, {
    api,
    sessions,
    disks,
    failing,
    clocks,
    cluster: started.level,
    logs: dirname(started.dataDir),
    leaseNamespace: SYSTEM,
    leader: async () => operatorPid(dirname(started.dataDir), await holderIn(plane, SYSTEM)),
  });
};

/** Namespace of the operators on a cluster. */
const SYSTEM = 'kruntimes-system';

/** Who holds the operators' Lease. */
const holderIn = async ({ kube }: ControlPlane, namespace: string): Promise<string> => {
  const lease = await answer(kube.get(leases, { namespace, name: LEASE }));
  return (lease as { spec: { holderIdentity?: string } }).spec.holderIdentity ?? '';
};

/** Watches its pods, and waits until there are so many. */
const faulty = async (
  plane: ControlPlane,
  replicas: number,
  capacity: number,
  parts: Omit<FaultyPlane, keyof ControlPlane | 'artifacts' | 'deletionsSince'>,
): Promise<FaultyPlane> => {
  const deletions: Deletion[] = [];
  const known = new Map<string, string>();
  const watching = informer(
    plane.kube,
    pods,
    { namespace: 'default', labelSelector: 'kruntimes.io/runtime' },
    Pod,
    { random: Math.random },
  ).subscribe((event) => {
    if (event.kind === 'Apply') known.set(event.object.key, event.object.uid);
    if (event.kind !== 'Delete') return;
    const podUid = known.get(event.key);
    if (podUid !== undefined) deletions.push({ podUid, at: Date.now() });
    known.delete(event.key);
  });
  await plane.patchRuntime('bash', { spec: { replicas, capacity: { resources: { runs: capacity } } } });
  await plane.whenReady('bash', replicas, START_LIMIT_MS);
  return {
    ...plane,
    ...parts,
    artifacts: join(plane.dataDir, 'volumes', 'default', ARTIFACT_CLAIM),
    deletionsSince: (ms) => deletions.filter(({ at }) => at >= ms),
    stop: async () => {
      watching.unsubscribe();
      await plane.stop();
    },
  };
};
