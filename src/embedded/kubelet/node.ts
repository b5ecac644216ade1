/**
 * The Node object of this machine and its Lease: written at the start, the Lease renewed while we live.
 */
import { arch, cpus, hostname, platform, release, totalmem } from 'node:os';

import type Logger from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import { forwardMs } from '../../io/wall-clock.js';
import type { EffectError } from '../../model/effect-error.js';
import { leases, namespaces, nodes } from '../../model/resources.js';
import type { KubePort } from '../../ports.js';
import type { Alarms } from './alarms.js';
import { ask } from './cluster.js';
import type { Machine } from './downward.js';
import { timeText } from './status.js';

/** Annotation with the path of the kubelet's own API, for logs and port-forward. */
const SOCKET_ANNOTATION = 'kruntimes.io/kubelet-socket';

const LEASE_NAMESPACE = 'kube-node-lease';
/** Kubernetes' own numbers: a lease of 40 s, renewed every 10 s. */
const LEASE_SECONDS = 40;
const RENEW_MS = 10_000;
const RETRY_MS = 1000;
const MOST_PODS = '250';

/** Go's name of the processor, as Kubernetes labels it. */
const archName = (): string => (arch() === 'x64' ? 'amd64' : arch());

export const machineOf = (nodeName: string): Machine => ({
  nodeName,
  cpus: cpus().length,
  memoryBytes: totalmem(),
  ip: '127.0.0.1',
});

export const nodeLabels = (nodeName: string): Readonly<Record<string, string>> => ({
  'kubernetes.io/hostname': nodeName,
  'kubernetes.io/os': platform(),
  'kubernetes.io/arch': archName(),
});

const condition = (type: string, status: string, reason: string, message: string): unknown => {
  const now = timeText(Date.now());
  return { type, status, reason, message, lastHeartbeatTime: now, lastTransitionTime: now };
};

const nodeStatus = (machine: Machine, version: string): unknown => {
  const amounts = {
    cpu: String(machine.cpus),
    memory: `${Math.floor(machine.memoryBytes / 1024)}Ki`,
    pods: MOST_PODS,
  };
  return {
    capacity: amounts,
    allocatable: amounts,
    addresses: [
      { type: 'InternalIP', address: machine.ip },
      { type: 'Hostname', address: hostname() },
    ],
    conditions: [
      condition(
        'MemoryPressure',
        'False',
        'KubeletHasSufficientMemory',
        'kubelet has sufficient memory available',
      ),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      condition('Ready', 'True', 'KubeletReady', 'the process kubelet is running'),
    ],
    nodeInfo: {
      architecture: archName(),
      operatingSystem: platform(),
      osImage: platform(),
      kernelVersion: release(),
      kubeletVersion: `krt-${version}`,
      kubeProxyVersion: '',
      containerRuntimeVersion: `process://${version}`,
      machineID: '',
      systemUUID: '',
      bootID: '',
    },
  };
};

export type NodeOptions = Readonly<{
  kube: KubePort;
  machine: Machine;
  socket: string;
  version: string;
  alarms: Alarms;
  log: Logger;
}>;

const register = async ({
  kube,
  machine,
  socket,
  version,
}: NodeOptions): Promise<E.Either<EffectError, unknown>> => {
  const ref = { namespace: '', name: machine.nodeName };
  const metadata = {
    name: machine.nodeName,
    labels: nodeLabels(machine.nodeName),
    annotations: { [SOCKET_ANNOTATION]: socket },
  };
  const created = await ask(kube.create(nodes, '', { apiVersion: 'v1', kind: 'Node', metadata, spec: {} }));
  if (E.isLeft(created) && created.left.kind !== 'AlreadyExists') return created;
  if (E.isLeft(created)) {
    const patched = await ask(kube.patch(nodes, ref, { type: 'merge', body: { metadata } }));
    if (E.isLeft(patched)) return patched;
  }
  const body = { status: nodeStatus(machine, version) };
  return ask(kube.patch(nodes, ref, { type: 'merge', body }, { subresource: 'status' }));
};

const microTime = (): string => new Date().toISOString().replace('Z', '000Z');

const renewLease = async ({ kube, machine }: NodeOptions): Promise<E.Either<EffectError, unknown>> => {
  const ref = { namespace: LEASE_NAMESPACE, name: machine.nodeName };
  const renewed = await ask(
    kube.patch(leases, ref, { type: 'merge', body: { spec: { renewTime: microTime() } } }),
  );
  if (E.isRight(renewed) || renewed.left.kind !== 'NotFound') return renewed;
  const lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: machine.nodeName, namespace: LEASE_NAMESPACE },
    spec: { holderIdentity: machine.nodeName, leaseDurationSeconds: LEASE_SECONDS, renewTime: microTime() },
  };
  const created = await ask(kube.create(leases, LEASE_NAMESPACE, lease));
  if (E.isRight(created) || created.left.kind !== 'NotFound') return created;
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: LEASE_NAMESPACE } };
  const made = await ask(kube.create(namespaces, '', namespace));
  return E.isLeft(made) ? made : ask(kube.create(leases, LEASE_NAMESPACE, lease));
};

/** Registers the node and keeps its Lease; tries again by itself. Resolves after the first try. */
export const keepNode = async (options: NodeOptions): Promise<void> => {
  const { alarms, log } = options;
  let isRegistered = false;
  const beat = async (): Promise<void> => {
    if (!isRegistered) {
      const registered = await register(options);
      isRegistered = E.isRight(registered);
      if (E.isLeft(registered))
        log.warn({ errKind: registered.left.kind, reason: registered.left.message }, 'node not registered');
    }
    const renewed = await renewLease(options);
    if (E.isLeft(renewed))
      log.warn({ errKind: renewed.left.kind, reason: renewed.left.message }, 'node lease not renewed');
    const isWell = isRegistered && E.isRight(renewed);
    alarms.set('node lease', forwardMs() + (isWell ? RENEW_MS : RETRY_MS), () => void beat());
  };
  await beat();
};
