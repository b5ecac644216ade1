/** Puts runtimed together: adapters made from its settings, the streams over them, its servers. One subscription. */

import { hostname } from 'node:os';
import { join } from 'node:path';
import { ServerCredentials } from '@grpc/grpc-js';
import { defer, firstValueFrom, from, merge, Subject, tap, timer } from 'rxjs';
import { runtimed } from '../../streams/runtimed.js';
import { informer } from '../../streams/watch/informer.js';
import { logKey } from '../decide/artifacts/keys.js';
import { idOf } from '../decide/sidecar/attempt.js';
import { Holdings, type Input } from '../decide/sidecar/holdings.js';
import { grpcTarget, isListening, listenGrpc } from '../io/address.js';
import { openStore } from '../io/artifacts/open-store.js';
import { serveArtifacts } from '../io/artifacts/server.js';
import { afterInput } from '../io/clock.js';
import { gitSources } from '../io/git/sources.js';
import type { Log } from '../io/log.js';
import { serveMetrics } from '../io/metrics-server.js';
import { serveProbes } from '../io/probes.js';
import { outputRecords } from '../io/run-logs/output-records.js';
import { partsOfId, RunLogs } from '../io/run-logs/run-logs.js';
import { logsServer } from '../io/run-logs/server.js';
import { LogShipper } from '../io/run-logs/ship.js';
import { storeLog } from '../io/run-logs/stored.js';
import { teeOutput } from '../io/run-logs/tee.js';
import { assignedSelection, listAssigned } from '../io/runs/assigned.js';
import { readRun } from '../io/runs/read-run.js';
import { RuntimeServerClient } from '../io/runtime-server/client.js';
import { serverEvents } from '../io/runtime-server/events.js';
import { dialOperator } from '../io/session/client.js';
import { nowMicros } from '../io/wall-clock.js';
import { AttemptFiles } from '../io/workspace/attempt-files.js';
import { cleanWorkspace } from '../io/workspace/clean.js';
import { findRecords, refFromId } from '../io/workspace/records.js';
import { locationOf, type RecordedStore, storePlace } from '../model/artifact-store.js';
import { runs } from '../model/resources.js';
import { Run } from '../model/run.js';
import type { KubePort } from '../ports.js';
import { type PodStore, podArtifacts } from './artifacts.js';
import type { Config } from './config.js';
import { type EffectParts, logFields, sidecarEffects } from './effects.js';
import { runtimedMetrics } from './metrics.js';

/** Version told to the operator. */
export const VERSION = '0.1.0';

/** How long a pod that has drained goes on storing logs, milliseconds. */
const LAST_SHIPS_MS = 10_000;

/** What it uses of the Kubernetes API. */
export type RuntimedKube = Pick<KubePort, 'get' | 'list' | 'watch' | 'patch'>;

export type Running = Readonly<{
  /** Resolves when it has drained; rejects on a defect. */
  done: Promise<void>;
  /** Begins to drain. */
  drain: () => void;
  /** Resolves at the next moment at which nothing is held. */
  idle: () => Promise<void>;
  /** Ends at once, without draining. */
  close: () => Promise<void>;
}>;

/** What an earlier runtimed of this pod left behind, as inputs; rests of what never began are removed. */
const recover = async (
  { folders, pod }: Config,
  files: AttemptFiles,
  logs: RunLogs,
  log: Log,
): Promise<Readonly<{ inputs: ReadonlyArray<Input>; unshipped: ReadonlyArray<string> }>> => {
  const unshipped = logs.recover();
  const { found, torn } = await findRecords(folders, pod.uid);
  for (const id of torn) {
    const ref = refFromId(id);
    if (ref)
      await cleanWorkspace(ref, files).catch((err: unknown) =>
        log.warn({ execution: id, err }, 'workspace cannot be removed'),
      );
  }
  for (const { assignment, end } of found) {
    log.info({ ...logFields(assignment.ref), isEnded: end !== undefined }, 'attempt found again');
    if (!end) await logs.resume({ ref: assignment.ref, runtime: assignment.runtime });
  }
  const held = new Set(found.map(({ assignment }) => idOf(assignment.ref)));
  return {
    inputs: found.map(
      ({ assignment, end }): Input => ({ kind: 'Resumed', assignment, ...(end ? { end } : {}) }),
    ),
    unshipped: unshipped.filter((id) => !held.has(id)),
  };
};

/** Brings logs into the store of the pod. */
const logShipping = (
  { store, settings }: PodStore,
  { pod, installation }: Config,
  logs: RunLogs,
  log: Log,
): NonNullable<EffectParts['shipping']> => {
  const keyOf = (ref: ReturnType<typeof partsOfId>): string =>
    logKey({ ...ref, namespace: pod.namespace }, pod.uid, installation);
  return {
    shipper: new LogShipper({
      logs,
      store: (id, readable) => storeLog(store, keyOf(partsOfId(id)), readable),
      onTrouble: (execution, err, ms) =>
        log.warn(
          { execution, err, errKind: err.kind, nextAttemptMs: Math.round(ms) },
          'log of the run not stored, trying again',
        ),
      onLost: (execution, err) => log.error({ execution, err }, 'log of the run cannot be stored'),
      onRecovered: () => log.info('logs of runs are stored again'),
    }),
    locationOf: (ref) => locationOf(settings, keyOf(ref)),
  };
};

/** The settings as Runs are to record them: files of a claim can be removed by nobody but their owner. */
const recorded = (settings: RecordedStore): RecordedStore => {
  const uid = process.getuid?.() ?? 0;
  return settings.driver === 'filesystem' && uid > 0 ? { ...settings, runAsUser: uid } : settings;
};

/** The pod's artifact store, with what unfinished uploads of an earlier runtimed have left removed. */
const openPodStore = async ({ artifacts, pod }: Config, log: Log): Promise<PodStore | undefined> => {
  const { store: settings, folder, credentialsFolder } = artifacts;
  if (!settings) return undefined;
  const store = await openStore(settings, {
    folder,
    ...(credentialsFolder === undefined ? {} : { credentialsFolder }),
    owner: pod.uid,
  });
  // Nothing waits for it: it only frees room.
  store.sweep().catch((err: unknown) => log.warn({ err }, 'unfinished uploads cannot be removed'));
  return { settings: recorded(settings), store };
};

/**
 * Starts it; resolves when its servers listen. `print` gets the Runs' output, as whole lines of JSON.
 *
 * @throws Error when the work folder cannot be used or an address cannot be bound.
 */
export const startRuntimed = async (
  config: Config,
  kube: RuntimedKube,
  log: Log,
  print: (records: string) => void,
): Promise<Running> => {
  const { pod, folders } = config;
  const format = outputRecords({ hostname: hostname(), pid: process.pid, pod: pod.name });
  const logs = new RunLogs(
    join(folders.state, 'logs'),
    (owner, records) => print(format(owner, records)),
    ({ ref }, err) => log.error({ ...logFields(ref), err }, 'log of the run can no longer be stored'),
    { isShipping: config.artifacts.store !== undefined, bounds: config.logBounds },
  );
  const files = await AttemptFiles.open(folders, pod.uid);
  const { inputs: recovered, unshipped } = await recover(config, files, logs, log);
  const server = new RuntimeServerClient(grpcTarget(config.serverAddress));
  const holdings = new Holdings({ uid: pod.uid, capacity: config.capacity });
  const metrics = runtimedMetrics(holdings, config.capacity, () => logs.stored, nowMicros);
  const podStore = await openPodStore(config, log);
  const artifacts = podArtifacts({
    folders,
    pod,
    podStore,
    limits: config.artifacts.limits,
    kube,
    log,
    fieldsOf: logFields,
  });
  const shipping = podStore && logShipping(podStore, config, logs, log);
  const git = await gitSources({ ...config.git, log });
  const executedSubject = new Subject<string>();
  const terminateSubject = new Subject<void>();
  const selection = assignedSelection(pod);
  const ready = { isOpen: false, why: '', isWatching: false, healthy: false, message: 'starting' };

  const steps$ = runtimed(
    {
      recovered,
      dial: dialOperator(config.operator),
      readRun: readRun(kube, pod.namespace),
      list$: listAssigned(kube, selection),
      watch$: defer(() => informer(kube, runs, selection, Run, { random: Math.random })).pipe(
        tap({
          next: (event) => {
            if (event.kind === 'InitDone' || event.kind === 'Connected') ready.isWatching = true;
            if (event.kind === 'Disconnected') {
              ready.isWatching = false;
              log.warn({ err: event.error, nextAttemptMs: event.retryInMs }, 'watch of own runs is down');
            }
            if (event.kind === 'Rejected')
              log.warn({ run: event.key, paths: event.paths }, 'run cannot be read');
          },
          finalize: () => {
            ready.isWatching = false;
          },
        }),
      ),
      server$: serverEvents(server, {
        isListening: () => isListening(config.serverAddress),
        cursors: () => logs.cursors(),
        cursor: (id) => logs.cursor(id),
        executed$: executedSubject,
        pressure$: logs.pressure$,
        now: nowMicros,
      }).pipe(teeOutput(logs, config.logBounds)),
      terminate$: terminateSubject,
    },
    sidecarEffects({
      folders,
      podUid: pod.uid,
      kube,
      server,
      logs,
      artifacts,
      shipping,
      git,
      files,
      executedSubject,
      log,
      now: nowMicros,
    }),
    {
      identity: {
        podName: pod.name,
        podUid: pod.uid,
        runtime: config.runtime,
        version: VERSION,
        artifactStore: podStore ? storePlace(podStore.settings) : '',
      },
      holdings,
      now: nowMicros,
      clock: afterInput,
      onState: ({ isOpen, why, beat }) => {
        if (isOpen !== ready.isOpen) log.info({ isOpen, why }, 'session with the operator changed');
        else if (why !== ready.why) log.warn({ why }, 'no session with the operator');
        if (beat.healthy !== ready.healthy)
          log.info({ healthy: beat.healthy, reason: beat.healthMessage }, 'health of the pod changed');
        Object.assign(ready, { isOpen, why, healthy: beat.healthy, message: beat.healthMessage });
        metrics.sessionOpen(isOpen);
      },
    },
  );

  const probes = await serveProbes(config.probesAddress, {
    whyUnhealthy: () => undefined,
    whyUnready: () => {
      if (!ready.healthy) return `the pod is not healthy: ${ready.message}`;
      return ready.isOpen || ready.isWatching
        ? undefined
        : `there is neither a session with the operator nor a watch of the API: ${ready.why}`;
    },
  });
  const scrapes = await serveMetrics(config.metricsAddress, metrics.registry);
  const logService = logsServer(logs, { ...pod, installation: config.installation, store: podStore?.store });
  serveArtifacts(logService, pod.namespace, podStore?.store);
  await listenGrpc(logService, config.logsAddress, ServerCredentials.createInsecure());

  const close = async (): Promise<void> => {
    subscription.unsubscribe();
    changes?.unsubscribe();
    shipping?.shipper.stop();
    logService.forceShutdown();
    server.close();
    await Promise.all([files.clear(), probes.close(), scrapes.close()]);
  };
  let finish: (cause?: unknown) => void = () => undefined;
  const done = new Promise<void>((resolve, reject) => {
    finish = (cause) => (cause === undefined ? resolve() : reject(cause));
  });
  const changes = shipping && logs.changes$.subscribe((id) => shipping.shipper.changed(id));
  for (const id of unshipped) shipping?.shipper.ended(id);
  const idleWaits = new Set<() => void>();
  const subscription = steps$.subscribe({
    next: (input) => {
      metrics.observe(input);
      if (holdings.size > 0) return;
      for (const resolve of idleWaits) resolve();
      idleWaits.clear();
    },
    error: (cause: unknown) => finish(cause ?? new Error('the sidecar failed')),
    // What is not stored in time is lost with the pod, and no reason to keep it.
    complete: () => {
      const settled = shipping ? shipping.shipper.settled() : Promise.resolve();
      firstValueFrom(merge(from(settled), timer(LAST_SHIPS_MS))).then(() => finish(), finish);
    },
  });
  log.info(
    { pod: `${pod.namespace}/${pod.name}`, runtime: config.runtime, recovered: recovered.length },
    'runtimed started',
  );
  const idle = (): Promise<void> =>
    holdings.size === 0 ? Promise.resolve() : new Promise((resolve) => idleWaits.add(resolve));
  return {
    done,
    drain: () => {
      shipping?.shipper.hurry();
      terminateSubject.next();
    },
    idle,
    close,
  };
};
