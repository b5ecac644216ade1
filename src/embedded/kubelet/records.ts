/**
 * What the kubelet knows of one container, and how each happening changes it. Pure.
 */
import type { Container, Pod, WrittenContainerStatus } from './pod.js';
import { isFinished, isSidecar } from './pod.js';
import { afterAnswer, firstProbeState, type ProbeKind, type ProbeState, probeOf } from './probe-state.js';

/** One finished life of a container. Instants are epoch milliseconds. */
export type Ended = Readonly<{
  exitCode: number;
  signal?: number;
  reason: string;
  message?: string;
  startedAtMs: number;
  finishedAtMs: number;
  containerID: string;
}>;

type ContainerState =
  /** Not running; will be started, at once or from `notBeforeMs` on. */
  | Readonly<{ kind: 'Waiting'; reason: string; message?: string; notBeforeMs?: number }>
  | Readonly<{
      kind: 'Running';
      containerID: string;
      startedAtMs: number;
      /** Set once it has been told to end. */
      stopping?: Readonly<{ killAtMs: number; killed: boolean; why: string }>;
    }>
  /** Ended for good: it will not be started again. */
  | Readonly<{ kind: 'Ended'; ended: Ended }>;

type Probes = Readonly<Partial<Record<ProbeKind, ProbeState>>>;

export type ContainerRecord = Readonly<{
  name: string;
  restarts: number;
  state: ContainerState;
  last?: Ended;
  /** Pause before the next restart, milliseconds; 0 for the first one. */
  restartPauseMs: number;
  /** Tries of something other than the process that failed in a row (image, configuration). */
  obstacles: number;
  probes: Probes;
}>;

/** First pause between restarts, and the longest, milliseconds: those of Kubernetes. */
const FIRST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 300_000;
/** A container that ran this long is no longer in a crash loop, milliseconds: that of Kubernetes. */
const STEADY_MS = 600_000;

/** A container that was never started. */
export const newRecord = (name: string): ContainerRecord => ({
  name,
  restarts: 0,
  state: { kind: 'Waiting', reason: 'ContainerCreating' },
  restartPauseMs: 0,
  obstacles: 0,
  probes: {},
});

const instant = (text: string | null | undefined, otherwise: number): number => {
  const parsed = Date.parse(text ?? '');
  return Number.isNaN(parsed) ? otherwise : parsed;
};

type Terminated = NonNullable<NonNullable<WrittenContainerStatus['state']>['terminated']>;

const endedFrom = (terminated: Terminated, nowMs: number): Ended => ({
  exitCode: terminated.exitCode,
  ...(terminated.signal === undefined ? {} : { signal: terminated.signal }),
  reason: terminated.reason ?? (terminated.exitCode === 0 ? 'Completed' : 'Error'),
  ...(terminated.message === undefined ? {} : { message: terminated.message }),
  startedAtMs: instant(terminated.startedAt, nowMs),
  finishedAtMs: instant(terminated.finishedAt, nowMs),
  containerID: terminated.containerID ?? '',
});

const policyOf = (pod: Pod, container: Container): string =>
  isSidecar(container) ? 'Always' : (pod.spec.restartPolicy ?? 'Always');

/** Whether a container that ended with `exitCode` is started again. Init containers never are after success. */
const isRestarted = (pod: Pod, container: Container, isInit: boolean, exitCode: number): boolean => {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  const policy = policyOf(pod, container);
  if (isInit && !isSidecar(container)) return exitCode !== 0 && policy !== 'Never';
  return policy === 'Always' || (policy === 'OnFailure' && exitCode !== 0);
};

const isInitContainer = (pod: Pod, container: Container): boolean =>
  (pod.spec.initContainers ?? []).some((init) => init.name === container.name);

/** The container's process started. */
export const started = (
  record: ContainerRecord,
  container: Container,
  containerID: string,
  nowMs: number,
): ContainerRecord => {
  const probes: Partial<Record<ProbeKind, ProbeState>> = {};
  for (const kind of ['startup', 'readiness', 'liveness'] as const) {
    const probe = probeOf(container, kind);
    if (probe !== undefined) probes[kind] = firstProbeState(probe, nowMs);
  }
  return { ...record, state: { kind: 'Running', containerID, startedAtMs: nowMs }, obstacles: 0, probes };
};

/** The container's process ended; whether it comes back is the pod's restart policy. */
export const ended = (
  record: ContainerRecord,
  pod: Pod,
  container: Container,
  end: Ended,
  nowMs: number,
): ContainerRecord => {
  if (!isRestarted(pod, container, isInitContainer(pod, container), end.exitCode))
    return { ...record, state: { kind: 'Ended', ended: end }, probes: {} };
  const steady = end.finishedAtMs - end.startedAtMs >= STEADY_MS;
  const pauseMs = steady ? 0 : record.restartPauseMs;
  const waiting: ContainerState =
    pauseMs === 0
      ? { kind: 'Waiting', reason: 'ContainerCreating' }
      : {
          kind: 'Waiting',
          reason: 'CrashLoopBackOff',
          message: `back-off ${pauseMs / 1000}s restarting failed container=${container.name} pod=${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`,
          notBeforeMs: nowMs + pauseMs,
        };
  return {
    ...record,
    restarts: record.restarts + 1,
    state: waiting,
    last: end,
    restartPauseMs: pauseMs === 0 ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS),
    probes: {},
  };
};

/** Something other than the process keeps the container from starting; tried again after a growing pause. */
export const obstructed = (
  record: ContainerRecord,
  reason: string,
  message: string,
  nowMs: number,
): ContainerRecord => ({
  ...record,
  state: {
    kind: 'Waiting',
    reason,
    message,
    notBeforeMs: nowMs + Math.min(1000 * 2 ** record.obstacles, 30_000),
  },
  obstacles: record.obstacles + 1,
});

/** The container was told to end, or (`killed`) its tree was killed. */
export const stopping = (
  record: ContainerRecord,
  why: string,
  killAtMs: number,
  killed: boolean,
): ContainerRecord =>
  record.state.kind !== 'Running'
    ? record
    : { ...record, state: { ...record.state, stopping: { killAtMs, killed, why } } };

/** A probe is being asked. */
export const asking = (record: ContainerRecord, kind: ProbeKind): ContainerRecord => {
  const state = record.probes[kind];
  return state === undefined
    ? record
    : { ...record, probes: { ...record.probes, [kind]: { ...state, asking: true } } };
};

/** A probe answered. An answer about an earlier life of the container changes nothing. */
export const answered = (
  record: ContainerRecord,
  container: Container,
  kind: ProbeKind,
  containerID: string,
  answer: Readonly<{ ok: boolean; message?: string }>,
  nowMs: number,
): ContainerRecord => {
  const probe = probeOf(container, kind);
  const state = record.probes[kind];
  if (record.state.kind !== 'Running' || record.state.containerID !== containerID) return record;
  if (probe === undefined || state === undefined) return record;
  return { ...record, probes: { ...record.probes, [kind]: afterAnswer(probe, kind, state, answer, nowMs) } };
};

/** Whether the container runs and its startup probe, if any, has succeeded. */
export const hasStarted = (record: ContainerRecord): boolean =>
  record.state.kind === 'Running' &&
  (record.probes.startup === undefined || record.probes.startup.verdict === 'success');

/** Whether the container is ready: started, and its readiness probe, if any, says so. */
export const isReady = (record: ContainerRecord): boolean =>
  hasStarted(record) &&
  (record.probes.readiness === undefined || record.probes.readiness.verdict === 'success');

/**
 * What is left of a container when the kubelet starts and finds what an earlier life of it wrote: whatever ran then
 * was ended with it. A container that had ended for good stays so.
 */
export const recovered = (
  pod: Pod,
  container: Container,
  written: WrittenContainerStatus | undefined,
  nowMs: number,
): ContainerRecord => {
  const fresh = newRecord(container.name);
  if (written === undefined) return fresh;
  const base: ContainerRecord = {
    ...fresh,
    restarts: written.restartCount ?? 0,
    ...(written.lastState?.terminated === undefined
      ? {}
      : { last: endedFrom(written.lastState.terminated, nowMs) }),
  };
  const { running, terminated } = written.state ?? {};
  if (terminated !== undefined) {
    const end = endedFrom(terminated, nowMs);
    const isInit = isInitContainer(pod, container);
    if (isFinished(pod)) return { ...base, state: { kind: 'Ended', ended: end } };
    // Init containers run again: what they prepared may not have outlived the kubelet.
    if (isInit && end.exitCode === 0) return base;
    if (!isRestarted(pod, container, isInit, end.exitCode))
      return { ...base, state: { kind: 'Ended', ended: end } };
    return { ...base, restarts: base.restarts + 1, last: end };
  }
  if (running === undefined) return base;
  const end: Ended = {
    exitCode: 137,
    reason: 'ContainerStatusUnknown',
    message: 'the container ended together with the kubelet',
    startedAtMs: instant(running.startedAt, nowMs),
    finishedAtMs: nowMs,
    containerID: written.containerID ?? '',
  };
  return { ...ended(base, pod, container, end, nowMs), restartPauseMs: 0 };
};
