/**
 * What the downward API says about a Pod: the field paths and resource fields Kubernetes allows.
 */
import type { Container, Pod } from './pod.js';

/** The machine, as far as a Pod may ask about it. */
export type Machine = Readonly<{ nodeName: string; cpus: number; memoryBytes: number; ip: string }>;

const escaped = (values: Readonly<Record<string, string>> | undefined): string =>
  Object.entries(values ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');

/** The value of a field path, or undefined when the path is not one of those Kubernetes offers. */
export const fieldValue = (pod: Pod, machine: Machine, path: string): string | undefined => {
  const subscript = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (subscript !== null) {
    const values = subscript[1] === 'labels' ? pod.metadata.labels : pod.metadata.annotations;
    return values?.[subscript[2] ?? ''] ?? '';
  }
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace;
    case 'metadata.uid':
      return pod.metadata.uid;
    case 'metadata.labels':
      return escaped(pod.metadata.labels);
    case 'metadata.annotations':
      return escaped(pod.metadata.annotations);
    case 'spec.nodeName':
      return machine.nodeName;
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? 'default';
    case 'status.podIP':
    case 'status.podIPs':
    case 'status.hostIP':
    case 'status.hostIPs':
      return machine.ip;
    default:
      return undefined;
  }
};

const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** A Kubernetes quantity as a number; NaN when it is not one. */
export const quantity = (text: string | number): number => {
  const match = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)([A-Za-z]{0,2})$/.exec(String(text));
  const suffix = match?.[2] ?? '';
  if (match === null || !Object.hasOwn(SUFFIXES, suffix)) return Number.NaN;
  const value = Number(match[1]) * (SUFFIXES[suffix] ?? Number.NaN);
  return Number.isFinite(value) ? value : Number.NaN;
};

/** `limits.cpu`, `requests.memory`, ...; what is not limited is the machine's. */
export const resourceValue = (
  container: Container,
  machine: Machine,
  resource: string,
  divisor: string | number = 1,
): string | undefined => {
  const match = /^(limits|requests)\.(.+)$/.exec(resource);
  if (match === null) return undefined;
  const kind = match[1] === 'limits' ? 'limits' : 'requests';
  const name = match[2] ?? '';
  const whole: Readonly<Record<string, number>> = { cpu: machine.cpus, memory: machine.memoryBytes };
  const stated = container.resources?.[kind]?.[name] ?? container.resources?.limits?.[name];
  const value = stated === undefined ? (whole[name] ?? 0) : quantity(stated);
  const unit = quantity(divisor) || 1;
  return Number.isNaN(value) ? undefined : String(Math.ceil(value / unit - 1e-9));
};
