/** Pods and worlds for the tests of the kubelet's decisions. */
import type { PodWorld } from '../../../src/embedded/kubelet/plan.js';
import type { Container, Pod } from '../../../src/embedded/kubelet/pod.js';
import { type ContainerRecord, newRecord } from '../../../src/embedded/kubelet/records.js';

export const aContainer = (name: string, more: Partial<Container> = {}): Container => ({
  name,
  image: 'shell',
  ...more,
});

export const aPod = (
  spec: Partial<Pod['spec']> = {},
  metadata: Partial<Pod['metadata']> = {},
  status: Pod['status'] = {},
): Pod => ({
  metadata: { name: 'a', namespace: 'default', uid: 'u', ...metadata },
  spec: { containers: [aContainer('main')], nodeName: 'local', ...spec },
  status,
});

export const aWorld = (
  pod: Pod,
  records: Readonly<Record<string, Partial<ContainerRecord>>> = {},
  more: Partial<PodWorld> = {},
): PodWorld => ({
  pod,
  folders: 'ready',
  containers: new Map(
    [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(({ name }) => [
      name,
      { ...newRecord(name), ...records[name] },
    ]),
  ),
  ...more,
});

export const running = (startedAtMs = 0): ContainerRecord['state'] => ({
  kind: 'Running',
  containerID: 'process://u/main/0',
  startedAtMs,
});

export const endedWith = (exitCode: number): ContainerRecord['state'] => ({
  kind: 'Ended',
  ended: {
    exitCode,
    reason: exitCode === 0 ? 'Completed' : 'Error',
    startedAtMs: 0,
    finishedAtMs: 1,
    containerID: 'x',
  },
});
