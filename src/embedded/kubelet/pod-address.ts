/**
 * Where is a port of a pod on this machine? The pod's socket if the pod was told to listen there or did so anyway;
 * else the port of the loopback interface, for programs of others that know only TCP.
 */
import { existsSync } from 'node:fs';

import { socketOfPort } from './loopback.js';
import type { Pod } from './pod.js';

export type PodAddress = Readonly<{ path: string }> | Readonly<{ host: string; port: number }>;

/** `socketPorts`: ports whose address was rewritten; they are never looked for on TCP, where a stranger may listen. */
export const podAddress = (sockets: string, socketPorts: ReadonlySet<number>, port: number): PodAddress => {
  const path = socketOfPort(sockets, port);
  return socketPorts.has(port) || existsSync(path) ? { path } : { host: '127.0.0.1', port };
};

/** The number of a port given by number or by the name a container gives it; undefined when no container does. */
export const portNumber = (pod: Pod, port: number | string): number | undefined => {
  if (typeof port === 'number') return port;
  if (/^\d+$/.test(port)) return Number(port);
  for (const container of [...pod.spec.containers, ...(pod.spec.initContainers ?? [])])
    for (const { name, containerPort } of container.ports ?? []) if (name === port) return containerPort;
  return undefined;
};
