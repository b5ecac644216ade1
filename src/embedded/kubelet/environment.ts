/**
 * What environment does a container's process get?
 *
 * Pure: ConfigMaps and Secrets are given as already read. Base, then envFrom, then env (later wins, references see
 * what came before), then the rewriting of addresses and mount paths, then the kubelet's markers, which nothing in
 * the Pod can override. krt's own environment is not passed on.
 */
import * as E from 'fp-ts/lib/Either.js';

import type { Machine } from './downward.js';
import { fieldValue, resourceValue } from './downward.js';
import { expandReferences } from './expand.js';
import { loopbackPort, type Mount, rewriteVariable } from './loopback.js';
import type { Container, EnvVar, Pod } from './pod.js';

/** Data of the ConfigMaps and Secrets a container names; undefined means the object does not exist. */
type Sources = Readonly<{
  configMap: (name: string) => ReadonlyMap<string, string> | undefined;
  secret: (name: string) => ReadonlyMap<string, string> | undefined;
}>;

export type EnvironmentInput = Readonly<{
  pod: Pod;
  container: Container;
  machine: Machine;
  sources: Sources;
  /** PATH, HOME and the like; lowest precedence. */
  base: ReadonlyMap<string, string>;
  /** The kubelet's own; highest precedence. */
  markers: ReadonlyMap<string, string>;
  sockets: string;
  mounts: ReadonlyArray<Mount>;
}>;

export type Environment = Readonly<{
  variables: ReadonlyMap<string, string>;
  /** Ports of the pod that are sockets of ours rather than TCP ports. */
  socketPorts: ReadonlySet<number>;
}>;

const missingKey = (kind: string, name: string, key: string): string =>
  `couldn't find key ${key} in ${kind} ${name}`;

const variableValue = (
  entry: EnvVar,
  input: EnvironmentInput,
  known: ReadonlyMap<string, string>,
): E.Either<string, string | undefined> => {
  const { pod, container, machine, sources } = input;
  const from = entry.valueFrom;
  if (from === undefined) return E.right(expandReferences(entry.value ?? '', known));
  if (from.fieldRef !== undefined) {
    const value = fieldValue(pod, machine, from.fieldRef.fieldPath);
    return value === undefined
      ? E.left(`variable ${entry.name}: unknown field ${from.fieldRef.fieldPath}`)
      : E.right(value);
  }
  if (from.resourceFieldRef !== undefined) {
    const { resource, containerName, divisor } = from.resourceFieldRef;
    const named = pod.spec.containers.find((other) => other.name === containerName) ?? container;
    const value = resourceValue(named, machine, resource, divisor);
    return value === undefined
      ? E.left(`variable ${entry.name}: unknown resource ${resource}`)
      : E.right(value);
  }
  for (const [kind, selector, read] of [
    ['ConfigMap', from.configMapKeyRef, sources.configMap],
    ['Secret', from.secretKeyRef, sources.secret],
  ] as const) {
    if (selector === undefined) continue;
    const name = `${pod.metadata.namespace}/${selector.name ?? ''}`;
    const data = read(selector.name ?? '');
    const value = data?.get(selector.key);
    if (value !== undefined || selector.optional === true) return E.right(value);
    return E.left(
      data === undefined
        ? `${kind} ${name} not found (variable ${entry.name})`
        : missingKey(kind, name, selector.key),
    );
  }
  return E.left(`variable ${entry.name}: valueFrom names no source`);
};

/** The environment, or a Left fit for the container's waiting message. */
export const containerEnvironment = (input: EnvironmentInput): E.Either<string, Environment> => {
  const { container, pod, sources, sockets, mounts } = input;
  const values = new Map(input.base);
  for (const entry of container.envFrom ?? [])
    for (const [kind, reference, read] of [
      ['ConfigMap', entry.configMapRef, sources.configMap],
      ['Secret', entry.secretRef, sources.secret],
    ] as const) {
      if (reference === undefined) continue;
      const data = read(reference.name ?? '');
      if (data === undefined && reference.optional !== true)
        return E.left(`${kind} ${pod.metadata.namespace}/${reference.name ?? ''} not found (envFrom)`);
      for (const [key, value] of data ?? []) values.set(`${entry.prefix ?? ''}${key}`, value);
    }
  for (const entry of container.env ?? []) {
    const value = variableValue(entry, input, values);
    if (E.isLeft(value)) return value;
    if (value.right !== undefined) values.set(entry.name, value.right);
  }
  const socketPorts = new Set<number>();
  const variables = new Map<string, string>();
  for (const [name, value] of values) {
    const port = loopbackPort(name, value);
    if (port !== undefined) socketPorts.add(port);
    variables.set(name, rewriteVariable(name, value, sockets, mounts));
  }
  for (const [name, value] of input.markers) variables.set(name, value);
  return E.right({ variables, socketPorts });
};

/** Names of the ConfigMaps and Secrets a container's environment needs. */
export const environmentSources = (
  container: Container,
): Readonly<{ configMaps: ReadonlySet<string>; secrets: ReadonlySet<string> }> => {
  const configMaps = new Set<string>();
  const secrets = new Set<string>();
  for (const entry of container.envFrom ?? []) {
    if (entry.configMapRef?.name !== undefined) configMaps.add(entry.configMapRef.name);
    if (entry.secretRef?.name !== undefined) secrets.add(entry.secretRef.name);
  }
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.configMapKeyRef?.name !== undefined) configMaps.add(valueFrom.configMapKeyRef.name);
    if (valueFrom?.secretKeyRef?.name !== undefined) secrets.add(valueFrom.secretKeyRef.name);
  }
  return { configMaps, secrets };
};
