/**
 * What does the Pod's status say? Pure: the same world gives the same status, so it is written only when it differs.
 *
 * The conditions of others (readiness gates such as `kruntimes.io/RuntimedReady`) are read, never written.
 */
import { initFailed, type PodWorld } from './plan.js';
import type { Condition, Container, Pod } from './pod.js';
import { isSidecar } from './pod.js';
import { type ContainerRecord, type Ended, hasStarted, isReady } from './records.js';

/** Conditions this kubelet owns. */
export const OWN_CONDITIONS = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'] as const;

type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';
type Verdict = Readonly<{ status: 'True' | 'False'; reason?: string; message?: string }>;

/** The fields of `status` that the kubelet writes. */
export type PodStatus = Readonly<{
  phase: Phase;
  conditions: ReadonlyArray<Readonly<Record<string, unknown>>>;
  hostIP: string;
  hostIPs: ReadonlyArray<Readonly<{ ip: string }>>;
  podIP: string;
  podIPs: ReadonlyArray<Readonly<{ ip: string }>>;
  startTime: string;
  initContainerStatuses?: ReadonlyArray<unknown>;
  containerStatuses: ReadonlyArray<unknown>;
}>;

/** RFC 3339 to the second, as Kubernetes writes `metav1.Time`. */
export const timeText = (epochMs: number): string =>
  new Date(epochMs).toISOString().replace(/\.\d{3}Z$/, 'Z');

const endedStatus = (end: Ended): unknown => ({
  exitCode: end.exitCode,
  ...(end.signal === undefined ? {} : { signal: end.signal }),
  reason: end.reason,
  ...(end.message === undefined ? {} : { message: end.message }),
  startedAt: timeText(end.startedAtMs),
  finishedAt: timeText(end.finishedAtMs),
  containerID: end.containerID,
});

const containerID = (record: ContainerRecord): string | undefined =>
  record.state.kind === 'Running'
    ? record.state.containerID
    : record.state.kind === 'Ended'
      ? record.state.ended.containerID
      : record.last?.containerID;

const stateStatus = (record: ContainerRecord, isHeldBack: boolean): unknown => {
  const { state } = record;
  if (state.kind === 'Running') return { running: { startedAt: timeText(state.startedAtMs) } };
  if (state.kind === 'Ended') return { terminated: endedStatus(state.ended) };
  const reason = state.reason === 'ContainerCreating' && isHeldBack ? 'PodInitializing' : state.reason;
  return { waiting: { reason, ...(state.message === undefined ? {} : { message: state.message }) } };
};

const containerStatus = (
  container: Container,
  record: ContainerRecord,
  isInit: boolean,
  isHeldBack: boolean,
): unknown => {
  const id = containerID(record);
  return {
    name: container.name,
    image: container.image ?? '',
    imageID: container.image ?? '',
    ...(id === undefined || id === '' ? {} : { containerID: id }),
    restartCount: record.restarts,
    started: hasStarted(record),
    ready: isReady(record) || (isInit && record.state.kind === 'Ended' && record.state.ended.exitCode === 0),
    state: stateStatus(record, isHeldBack),
    lastState: record.last === undefined ? {} : { terminated: endedStatus(record.last) },
  };
};

const phaseOf = (world: PodWorld): Phase => {
  const { pod, containers } = world;
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return pod.status.phase;
  const records = pod.spec.containers.map((container) => containers.get(container.name));
  if (initFailed(pod, containers)) return 'Failed';
  if (records.every((record) => record?.state.kind === 'Ended')) {
    const failed = records.some(
      (record) => record?.state.kind === 'Ended' && record.state.ended.exitCode !== 0,
    );
    return failed ? 'Failed' : 'Succeeded';
  }
  const begun = records.every(
    (record) => record !== undefined && (record.state.kind !== 'Waiting' || record.last !== undefined),
  );
  return begun ? 'Running' : 'Pending';
};

const initializedVerdict = (world: PodWorld): Verdict => {
  const incomplete = (world.pod.spec.initContainers ?? []).filter((container) => {
    const record = world.containers.get(container.name);
    if (record === undefined) return true;
    if (isSidecar(container)) return !hasStarted(record) && record.state.kind !== 'Ended';
    return record.state.kind !== 'Ended' || record.state.ended.exitCode !== 0;
  });
  if (incomplete.length === 0) return { status: 'True' };
  return {
    status: 'False',
    reason: 'ContainersNotInitialized',
    message: `containers with incomplete status: [${incomplete.map(({ name }) => name).join(' ')}]`,
  };
};

const containersReadyVerdict = (world: PodWorld, phase: Phase): Verdict => {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  const serving = [...(world.pod.spec.initContainers ?? []).filter(isSidecar), ...world.pod.spec.containers];
  const unready = serving.filter((container) => {
    const record = world.containers.get(container.name);
    return record === undefined || !isReady(record);
  });
  if (unready.length === 0) return { status: 'True' };
  return {
    status: 'False',
    reason: 'ContainersNotReady',
    message: `containers with unready status: [${unready.map(({ name }) => name).join(' ')}]`,
  };
};

const readyVerdict = (pod: Pod, containersReady: Verdict): Verdict => {
  if (containersReady.status === 'False') return containersReady;
  const conditions = pod.status?.conditions ?? [];
  const closed = (pod.spec.readinessGates ?? []).filter(
    (gate) => !conditions.some(({ type, status }) => type === gate.conditionType && status === 'True'),
  );
  if (closed.length === 0) return { status: 'True' };
  return {
    status: 'False',
    reason: 'ReadinessGatesNotReady',
    message: closed
      .map(({ conditionType }) =>
        conditions.some(({ type }) => type === conditionType)
          ? `the status of pod readiness gate "${conditionType}" is not "True"`
          : `corresponding condition of pod readiness gate "${conditionType}" does not exist.`,
      )
      .join(', '),
  };
};

/** One condition; the instant of its last change is kept while its status is the same. */
export const conditionOf = (
  type: string,
  verdict: Verdict,
  before: ReadonlyArray<Condition>,
  nowMs: number,
): Readonly<Record<string, unknown>> => {
  const earlier = before.find((condition) => condition.type === type);
  return {
    type,
    status: verdict.status,
    ...(verdict.reason === undefined ? {} : { reason: verdict.reason }),
    ...(verdict.message === undefined ? {} : { message: verdict.message }),
    lastProbeTime: null,
    lastTransitionTime:
      earlier?.status === verdict.status && typeof earlier.lastTransitionTime === 'string'
        ? earlier.lastTransitionTime
        : timeText(nowMs),
  };
};

/** The status at `nowMs`. `startTime` and transition times already written are kept. */
export const podStatus = (world: PodWorld, ip: string, nowMs: number): PodStatus => {
  const { pod, containers } = world;
  const before = pod.status?.conditions ?? [];
  const phase = phaseOf(world);
  const initialized = initializedVerdict(world);
  const containersReady = containersReadyVerdict(world, phase);
  const verdicts: ReadonlyArray<readonly [string, Verdict]> = [
    ['PodScheduled', { status: 'True' }],
    ['Initialized', initialized],
    ['ContainersReady', containersReady],
    ['Ready', readyVerdict(pod, containersReady)],
  ];
  const statuses = (list: ReadonlyArray<Container>, isInit: boolean): ReadonlyArray<unknown> =>
    list.flatMap((container) => {
      const record = containers.get(container.name);
      return record === undefined
        ? []
        : [containerStatus(container, record, isInit, !isInit && initialized.status === 'False')];
    });
  const inits = pod.spec.initContainers ?? [];
  return {
    phase,
    conditions: [
      ...verdicts.map(([type, verdict]) => conditionOf(type, verdict, before, nowMs)),
      ...before.filter(({ type }) => !OWN_CONDITIONS.some((own) => own === type)),
    ],
    hostIP: ip,
    hostIPs: [{ ip }],
    podIP: ip,
    podIPs: [{ ip }],
    startTime: pod.status?.startTime ?? timeText(nowMs),
    ...(inits.length === 0 ? {} : { initContainerStatuses: statuses(inits, true) }),
    containerStatuses: statuses(pod.spec.containers, false),
  };
};
