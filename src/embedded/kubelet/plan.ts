/**
 * What is to be done for one Pod now, and when must it be looked at again?
 *
 * (pod, what its containers do, time) → actions. Pure and total; asked again after every happening, so an action
 * that was lost is simply planned again. O(containers).
 */
import type { Container, Pod } from './pod.js';
import { graceSeconds, isFinished, isSidecar } from './pod.js';
import { type ProbeKind, probeOf } from './probe-state.js';
import { type ContainerRecord, hasStarted } from './records.js';

export type PodWorld = Readonly<{
  pod: Pod;
  /** Whether volumes and folders are there; `retryAtMs` after a failed try, epoch milliseconds. */
  folders: 'absent' | 'ready' | Readonly<{ failed: string; retryAtMs: number }>;
  containers: ReadonlyMap<string, ContainerRecord>;
  /** Set when the containers must end though the Pod stays: the kubelet stops, or the Pod is gone from the API. */
  ending?: Readonly<{ graceMs: number }>;
}>;

export type Action =
  | Readonly<{ kind: 'PrepareFolders' }>
  | Readonly<{ kind: 'StartContainer'; name: string }>
  /** SIGTERM, and SIGKILL of the tree after `graceMs`. */
  | Readonly<{ kind: 'StopContainer'; name: string; graceMs: number; why: string }>
  | Readonly<{ kind: 'KillContainer'; name: string }>
  | Readonly<{ kind: 'AskProbe'; name: string; probe: ProbeKind }>
  /** Nothing runs any more: sweep, remove the folders, and finish the deletion if there is one. */
  | Readonly<{ kind: 'CleanUp' }>;

export type Plan = Readonly<{ actions: ReadonlyArray<Action>; wakeMs?: number }>;

type Draft = { actions: Action[]; wakeMs: number };

const wakeAt = (draft: Draft, instantMs: number): void => {
  draft.wakeMs = Math.min(draft.wakeMs, instantMs);
};

const finished = (draft: Draft): Plan =>
  draft.wakeMs === Number.POSITIVE_INFINITY
    ? { actions: draft.actions }
    : { actions: draft.actions, wakeMs: draft.wakeMs };

/** Tells a running container to end, or kills it when its time is over. */
const endContainer = (
  draft: Draft,
  record: ContainerRecord,
  graceMs: number,
  why: string,
  nowMs: number,
): void => {
  if (record.state.kind !== 'Running') return;
  const { stopping } = record.state;
  if (stopping === undefined || (!stopping.killed && nowMs + graceMs < stopping.killAtMs))
    draft.actions.push({ kind: 'StopContainer', name: record.name, graceMs, why });
  else if (!stopping.killed && stopping.killAtMs <= nowMs)
    draft.actions.push({ kind: 'KillContainer', name: record.name });
  else if (!stopping.killed) wakeAt(draft, stopping.killAtMs);
};

const startWhenDue = (draft: Draft, record: ContainerRecord, nowMs: number): void => {
  if (record.state.kind !== 'Waiting') return;
  const { notBeforeMs } = record.state;
  if (notBeforeMs === undefined || notBeforeMs <= nowMs)
    draft.actions.push({ kind: 'StartContainer', name: record.name });
  else wakeAt(draft, notBeforeMs);
};

const PROBES: ReadonlyArray<ProbeKind> = ['startup', 'readiness', 'liveness'];

const watchHealth = (
  draft: Draft,
  pod: Pod,
  container: Container,
  record: ContainerRecord,
  nowMs: number,
): void => {
  if (record.state.kind !== 'Running') return;
  if (record.state.stopping !== undefined) {
    endContainer(draft, record, Number.POSITIVE_INFINITY, record.state.stopping.why, nowMs);
    return;
  }
  for (const kind of PROBES) {
    const state = record.probes[kind];
    if (state === undefined) continue;
    if (kind === 'startup' ? state.verdict === 'success' : !hasStarted(record)) continue;
    if (kind !== 'readiness' && state.verdict === 'failure') {
      const grace = probeOf(container, kind)?.terminationGracePeriodSeconds ?? graceSeconds(pod);
      const why = `container ${container.name} failed ${kind} probe, will be restarted`;
      endContainer(draft, record, grace * 1000, why, nowMs);
      return;
    }
    if (state.asking) continue;
    if (state.dueMs <= nowMs) draft.actions.push({ kind: 'AskProbe', name: record.name, probe: kind });
    else wakeAt(draft, state.dueMs);
  }
};

const planEnd = (world: PodWorld, graceMs: number, why: string, nowMs: number): Plan => {
  const draft: Draft = { actions: [], wakeMs: Number.POSITIVE_INFINITY };
  const running = [...world.containers.values()].filter((record) => record.state.kind === 'Running');
  const sidecars = new Set((world.pod.spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const mains = running.filter((record) => !sidecars.has(record.name));
  // Sidecars serve the main containers and so outlive them, but within the same grace.
  for (const record of mains.length > 0 ? mains : running) endContainer(draft, record, graceMs, why, nowMs);
  if (running.length === 0) draft.actions.push({ kind: 'CleanUp' });
  return finished(draft);
};

/** The actions due at `nowMs`, and the instant at which to ask again if nothing happens before. */
export const planPod = (world: PodWorld, nowMs: number): Plan => {
  const { pod, containers } = world;
  if (world.ending !== undefined) return planEnd(world, world.ending.graceMs, 'the kubelet ends it', nowMs);
  if (pod.metadata.deletionTimestamp !== undefined) {
    return planEnd(world, graceSeconds(pod) * 1000, 'the pod is being deleted', nowMs);
  }
  const draft: Draft = { actions: [], wakeMs: Number.POSITIVE_INFINITY };
  const recordOf = (container: Container): ContainerRecord | undefined => containers.get(container.name);
  const inits = pod.spec.initContainers ?? [];
  const mainsEnded = pod.spec.containers.every((container) => recordOf(container)?.state.kind === 'Ended');
  if (isFinished(pod) || mainsEnded || initFailed(pod, containers)) {
    for (const record of containers.values())
      endContainer(draft, record, graceSeconds(pod) * 1000, 'the pod has finished', nowMs);
    return finished(draft);
  }
  if (world.folders !== 'ready') {
    if (world.folders === 'absent' || world.folders.retryAtMs <= nowMs)
      return { actions: [{ kind: 'PrepareFolders' }] };
    return { actions: [], wakeMs: world.folders.retryAtMs };
  }
  let initialized = true;
  for (const container of inits) {
    const record = recordOf(container);
    if (record === undefined) continue;
    if (initialized) startWhenDue(draft, record, nowMs);
    watchHealth(draft, pod, container, record, nowMs);
    const passed = isSidecar(container)
      ? hasStarted(record)
      : record.state.kind === 'Ended' && record.state.ended.exitCode === 0;
    initialized &&= passed;
  }
  // Once a main container has started, a restarting sidecar no longer holds the others back.
  initialized ||= pod.spec.containers.some((container) => {
    const record = recordOf(container);
    return record !== undefined && (record.state.kind === 'Running' || record.restartPauseMs > 0);
  });
  for (const container of pod.spec.containers) {
    const record = recordOf(container);
    if (record === undefined) continue;
    if (initialized) startWhenDue(draft, record, nowMs);
    watchHealth(draft, pod, container, record, nowMs);
  }
  return finished(draft);
};

/** Whether an init container has failed for good. */
export const initFailed = (pod: Pod, containers: ReadonlyMap<string, ContainerRecord>): boolean =>
  (pod.spec.initContainers ?? []).some((container) => {
    const state = containers.get(container.name)?.state;
    return state?.kind === 'Ended' && state.ended.exitCode !== 0 && !isSidecar(container);
  });
