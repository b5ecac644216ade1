/**
 * Makes one Pod's containers run as it says: plans, enacts, reports. Serial within the Pod, beside other Pods.
 *
 * Everything that happens (a newer Pod, an exit, a probe's answer, an alarm) changes the world and asks for another
 * look; a look plans from the world alone.
 */
import { mkdirSync, rmSync } from 'node:fs';

import type Logger from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import { forwardMs } from '../../io/wall-clock.js';
import { pods } from '../../model/resources.js';
import type { Alarms } from './alarms.js';
import { askProbe, type ProbeTarget, runHook } from './ask-probe.js';
import { ask } from './cluster.js';
import type { EventRecorder } from './event-recorder.js';
import type { LogFile } from './log-file.js';
import { rewriteMountPath } from './loopback.js';
import { type Action, type PodWorld, planPod } from './plan.js';
import type { Container, Pod } from './pod.js';
import { graceSeconds, podKey } from './pod.js';
import { type PodAddress, podAddress, portNumber } from './pod-address.js';
import { logPath, podFolders } from './pod-folders.js';
import { type ProbeKind, probeOf } from './probe-state.js';
import {
  answered,
  asking,
  type ContainerRecord,
  ended,
  obstructed,
  recovered,
  started,
  stopping,
} from './records.js';
import { type Host, type StartedContainer, startContainer } from './start-container.js';
import { podStatus } from './status.js';
import { statusWriter } from './status-writer.js';
import { killMarkedProcesses } from './sweep.js';
import { prepareVolumes, type TokenRenewal, writeToken } from './volumes.js';

export type PodWorkerOptions = Readonly<{
  host: Host;
  dataDir: string;
  /** The control plane's folder for sockets. */
  sockets: string;
  alarms: Alarms;
  events: EventRecorder;
  log: Logger;
  /** Nothing is left of the Pod on this machine. */
  onDone: () => void;
}>;

/** A container's log: the file, and the live writer while that life lasts. */
type LogSource = Readonly<{ path: string; live?: LogFile }>;

export type PodWorker = Readonly<{
  /** The Pod as the worker knows it. */
  pod: () => Pod;
  /** A newer Pod; `isListed`: or an older one, which is how it is now. */
  update: (pod: Pod, isListed?: boolean) => void;
  /** The Pod is gone from the API: end all at once and remove what is left. */
  abandon: () => void;
  /** The kubelet stops: end all within `graceMs`; the Pod and its volumes stay. */
  stop: (graceMs: number) => Promise<void>;
  logOf: (container: string, previous: boolean) => E.Either<string, LogSource>;
  /** Where a port of the pod is. */
  address: (port: number) => PodAddress;
}>;

/** Time the containers of a Pod that has vanished from the API get to end, milliseconds. */
const VANISHED_GRACE_MS = 2000;
/** Pause before a failed deletion, token renewal or volume is tried again, milliseconds. */
const RETRY_MS = 1000;

/** Whether `a` is certainly older than `b`: resource versions of one server are numbers that grow. */
const isOlder = (a: Pod, b: Pod): boolean => {
  const [left = '', right = ''] = [a.metadata.resourceVersion, b.metadata.resourceVersion];
  return /^\d+$/.test(left) && /^\d+$/.test(right) && BigInt(left) < BigInt(right);
};

export const podWorker = (first: Pod, options: PodWorkerOptions): PodWorker => {
  const { host, dataDir, sockets, alarms, events, onDone } = options;
  const folders = podFolders(dataDir, sockets, first);
  const log = options.log.child({ pod: podKey(first), uid: first.metadata.uid }, true);
  const alarmKey = (what: string): string => `${first.metadata.uid} ${what}`;
  const allContainers = [...(first.spec.initContainers ?? []), ...first.spec.containers];
  const containerNamed = (name: string): Container | undefined =>
    allContainers.find((container) => container.name === name);

  let pod = first;
  let foldersState: PodWorld['folders'] = 'absent';
  let volumes: ReadonlyMap<string, string> = new Map();
  let ending: Readonly<{ graceMs: number; keeps: boolean }> | undefined;
  let isDone = false;
  let isLooking = false;
  let lookAgain = false;
  const records = new Map<string, ContainerRecord>();
  const running = new Map<string, StartedContainer>();
  let resolveStopped: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    resolveStopped = resolve;
  });

  const world = (): PodWorld => ({
    pod,
    folders: foldersState,
    containers: records,
    ...(ending === undefined ? {} : { ending }),
  });

  const change = (name: string, step: (record: ContainerRecord) => ContainerRecord): void => {
    const record = records.get(name);
    if (record !== undefined) records.set(name, step(record));
  };

  const finish = (): void => {
    if (isDone) return;
    isDone = true;
    for (const what of ['wake', 'delete']) alarms.clear(alarmKey(what));
    for (const renewal of renewals.keys()) alarms.clear(alarmKey(renewal));
    resolveStopped();
    onDone();
  };

  const writer = statusWriter({
    kube: host.kube,
    alarms,
    wanted: () =>
      isDone || ending !== undefined
        ? undefined
        : { pod, status: podStatus(world(), host.machine.ip, forwardMs()) },
    onPod: (newer) => update(newer),
    onGone: () => abandon(),
    onError: (err) => log.warn({ errKind: err.kind, reason: err.message }, 'pod status not written'),
  });

  // --- tokens ---------------------------------------------------------------------------------------------------

  const renewals = new Set<string>();
  const scheduleRenewal = (renewal: TokenRenewal): void => {
    const key = `token ${renewal.volume} ${renewal.source.serviceAccountToken?.path ?? ''}`;
    renewals.add(key);
    const { waitMs } = renewal;
    // By the clock that is never set back; and by the wall's, by which the API server says when a token is over.
    alarms.set(alarmKey(key), forwardMs() + waitMs, () => void renew(renewal), Date.now() + waitMs);
  };
  const volumeContext = { kube: host.kube, machine: host.machine, dataDir, folder: folders.folder };
  const renew = async (renewal: TokenRenewal): Promise<void> => {
    if (isDone || ending !== undefined) return;
    const next = await writeToken(volumeContext, pod, renewal.volume, renewal.source);
    if (isDone) return;
    if (E.isLeft(next)) log.warn({ volume: renewal.volume, reason: next.left }, 'token not renewed');
    scheduleRenewal(E.isRight(next) ? next.right : { ...renewal, waitMs: 10 * RETRY_MS });
  };

  // --- actions --------------------------------------------------------------------------------------------------

  const prepareFolders = async (): Promise<void> => {
    for (const folder of [folders.folder, folders.sockets, folders.logs])
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    const prepared = await prepareVolumes(volumeContext, pod);
    if (E.isRight(prepared)) {
      foldersState = 'ready';
      volumes = prepared.right.folders;
      prepared.right.renewals.forEach(scheduleRenewal);
      return;
    }
    foldersState = { failed: prepared.left, retryAtMs: forwardMs() + RETRY_MS };
    events.record(pod, 'Warning', 'FailedMount', prepared.left);
    for (const { name } of allContainers)
      change(name, (record) =>
        record.state.kind === 'Waiting'
          ? {
              ...record,
              state: { kind: 'Waiting', reason: 'CreateContainerConfigError', message: prepared.left },
            }
          : record,
      );
  };

  const start = async (container: Container): Promise<void> => {
    const { name } = container;
    const life = records.get(name)?.restarts ?? 0;
    const outcome = await startContainer(host, folders, pod, container, volumes, life);
    const nowMs = forwardMs();
    if (E.isLeft(outcome)) {
      const { reason, message } = outcome.left;
      events.record(pod, 'Warning', 'Failed', message, name);
      if (reason !== 'StartError') {
        change(name, (record) => obstructed(record, reason, message, nowMs));
        return;
      }
      const end = {
        exitCode: 128,
        reason,
        message,
        startedAtMs: nowMs,
        finishedAtMs: nowMs,
        containerID: '',
      };
      change(name, (record) => ended(record, pod, container, end, nowMs));
      return;
    }
    const { process } = outcome.right;
    const containerID = `process://${pod.metadata.uid}/${name}/${life}`;
    running.set(name, outcome.right);
    change(name, (record) => started(record, container, containerID, nowMs));
    events.record(pod, 'Normal', 'Started', `Started container ${name}`, name);
    log.info({ container: name, processId: process.pid, restarts: life }, 'container started');
    void process.end.then(({ exitCode, signal }) => {
      const finishedAtMs = forwardMs();
      if (running.get(name) === outcome.right) running.delete(name);
      const end = {
        exitCode,
        ...(signal === undefined ? {} : { signal }),
        reason: exitCode === 0 ? 'Completed' : 'Error',
        startedAtMs: nowMs,
        finishedAtMs,
        containerID,
      };
      log.info({ container: name, exitCode, signal }, 'container ended');
      change(name, (record) => ended(record, pod, container, end, finishedAtMs));
      const after = records.get(name)?.state;
      if (after?.kind === 'Waiting' && after.reason === 'CrashLoopBackOff')
        events.record(pod, 'Warning', 'BackOff', `Back-off restarting failed container ${name}`, name);
      look();
    });
  };

  const target = (container: Container, one: StartedContainer): ProbeTarget => ({
    container,
    address: (port) => {
      const number = portNumber(pod, port);
      return number === undefined ? undefined : address(number);
    },
    variables: one.environment.variables,
    workingDir: one.workingDir,
    rewrite: (word) => rewriteMountPath(word, one.mounts),
  });

  const stopContainer = (container: Container, graceMs: number, why: string): void => {
    const one = running.get(container.name);
    const nowMs = forwardMs();
    const before = records.get(container.name)?.state;
    const wasStopping = before?.kind === 'Running' && before.stopping !== undefined;
    change(container.name, (record) => stopping(record, why, nowMs + graceMs, false));
    if (one === undefined || wasStopping) return;
    events.record(pod, 'Normal', 'Killing', `Stopping container ${container.name}: ${why}`, container.name);
    const preStop = container.lifecycle?.preStop?.exec?.command;
    if (preStop === undefined || graceMs === 0) one.process.terminate();
    else
      void runHook(target(container, one), preStop, graceMs).then(({ ok, message }) => {
        if (!ok) events.record(pod, 'Warning', 'FailedPreStopHook', message ?? 'failed', container.name);
        one.process.terminate();
      });
  };

  const ask1 = async (container: Container, kind: ProbeKind): Promise<void> => {
    const probe = probeOf(container, kind);
    const one = running.get(container.name);
    const state = records.get(container.name)?.state;
    if (probe === undefined || one === undefined || state?.kind !== 'Running') return;
    change(container.name, (record) => asking(record, kind));
    const answer = await askProbe(probe, target(container, one));
    change(container.name, (record) =>
      answered(record, container, kind, state.containerID, answer, forwardMs()),
    );
    const after = records.get(container.name)?.probes[kind];
    if (!answer.ok && after !== undefined && after.failures > 0 && running.get(container.name) === one) {
      const title = `${kind.charAt(0).toUpperCase()}${kind.slice(1)} probe failed: ${answer.message ?? ''}`;
      events.record(pod, 'Warning', 'Unhealthy', title, container.name);
    }
    look();
  };

  const cleanUp = async (): Promise<void> => {
    killMarkedProcesses({
      prefix: `${host.controlPlane}/${host.life}/${first.metadata.uid}/`,
      folder: folders.folder,
    });
    rmSync(folders.sockets, { recursive: true, force: true });
    if (ending?.keeps === true) {
      finish();
      return;
    }
    rmSync(folders.folder, { recursive: true, force: true });
    rmSync(folders.logs, { recursive: true, force: true });
    foldersState = 'absent';
    if (ending !== undefined) {
      finish();
      return;
    }
    const { name, namespace, uid } = first.metadata;
    const answer = await ask(host.kube.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, uid }));
    if (E.isRight(answer) || answer.left.kind === 'NotFound' || answer.left.kind === 'Conflict') {
      // Conflict: another incarnation has the name already, so ours is gone.
      finish();
      return;
    }
    log.warn({ errKind: answer.left.kind, reason: answer.left.message }, 'pod not removed from the api');
    alarms.set(alarmKey('delete'), forwardMs() + RETRY_MS, look);
    deletionRetryMs = forwardMs() + RETRY_MS;
  };
  let deletionRetryMs = 0;

  const enact = async (action: Action): Promise<void> => {
    switch (action.kind) {
      case 'PrepareFolders':
        return prepareFolders();
      case 'CleanUp':
        return deletionRetryMs > forwardMs() ? undefined : cleanUp();
      case 'KillContainer':
        change(action.name, (record) =>
          record.state.kind === 'Running'
            ? stopping(record, record.state.stopping?.why ?? '', forwardMs(), true)
            : record,
        );
        return running.get(action.name)?.process.kill();
      default: {
        const container = containerNamed(action.name);
        if (container === undefined) return undefined;
        if (action.kind === 'StartContainer') return start(container);
        if (action.kind === 'StopContainer') return stopContainer(container, action.graceMs, action.why);
        void ask1(container, action.probe);
        return undefined;
      }
    }
  };

  const lookOnce = async (): Promise<void> => {
    const plan = planPod(world(), forwardMs());
    for (const action of plan.actions) {
      await enact(action);
      if (isDone) return;
    }
    // A change made here may make more possible at once; a mere wait does not.
    if (plan.actions.some(({ kind }) => kind === 'PrepareFolders' || kind === 'StartContainer'))
      lookAgain = true;
    const wakeMs = planPod(world(), forwardMs()).wakeMs;
    if (wakeMs === undefined) alarms.clear(alarmKey('wake'));
    else alarms.set(alarmKey('wake'), wakeMs, look);
    void writer.look();
  };

  const look = (): void => {
    if (isDone) return;
    lookAgain = true;
    if (isLooking) return;
    isLooking = true;
    void (async () => {
      try {
        while (lookAgain && !isDone) {
          lookAgain = false;
          await lookOnce();
        }
      } catch (err) {
        log.error({ err }, 'pod could not be handled');
        alarms.set(alarmKey('wake'), forwardMs() + RETRY_MS, look);
      } finally {
        isLooking = false;
      }
    })();
  };

  const update = (newer: Pod, isListed = false): void => {
    if (newer.metadata.uid !== first.metadata.uid || (!isListed && isOlder(newer, pod))) return;
    pod = newer;
    look();
  };

  const abandon = (): void => {
    if (ending !== undefined && !ending.keeps) return;
    ending = { graceMs: Math.min(graceSeconds(pod) * 1000, VANISHED_GRACE_MS), keeps: false };
    look();
  };

  const address = (port: number): PodAddress => {
    const socketPorts = new Set<number>();
    for (const one of running.values()) for (const own of one.environment.socketPorts) socketPorts.add(own);
    return podAddress(folders.sockets, socketPorts, port);
  };

  const logOf = (name: string, previous: boolean): E.Either<string, LogSource> => {
    const record = records.get(name);
    if (record === undefined) return E.left(`container ${name} is not valid for pod ${pod.metadata.name}`);
    const isRunning = record.state.kind === 'Running';
    const begun = isRunning || record.state.kind === 'Ended' ? record.restarts : record.restarts - 1;
    const life = previous ? record.restarts - 1 : begun;
    if (previous && life < 0)
      return E.left(`previous terminated container "${name}" in pod "${pod.metadata.name}" not found`);
    if (life < 0)
      return E.left(
        `container "${name}" in pod "${pod.metadata.name}" is waiting to start: ${
          record.state.kind === 'Waiting' ? record.state.reason : 'unknown'
        }`,
      );
    const live = previous ? undefined : running.get(name)?.log;
    return E.right({ path: logPath(folders, name, life), ...(live === undefined ? {} : { live }) });
  };

  const nowMs = forwardMs();
  const written = [
    ...(first.status?.initContainerStatuses ?? []),
    ...(first.status?.containerStatuses ?? []),
  ];
  for (const container of allContainers)
    records.set(
      container.name,
      recovered(
        first,
        container,
        written.find(({ name }) => name === container.name),
        nowMs,
      ),
    );
  look();

  return {
    pod: () => pod,
    update,
    abandon,
    stop: (graceMs) => {
      ending ??= { graceMs: Math.min(graceMs, graceSeconds(pod) * 1000), keeps: true };
      look();
      return stopped;
    },
    logOf,
    address,
  };
};
