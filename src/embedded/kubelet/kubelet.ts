/**
 * The process kubelet: every Pod of this machine's node becomes local processes.
 *
 * It is the scheduler of its one node, too. All that was running under an earlier life is swept before anything
 * starts; Pods are then started anew, with their volumes kept.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type Logger from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import { forwardMs } from '../../io/wall-clock.js';
import { pods } from '../../model/resources.js';
import type { KubePort } from '../../ports.js';
import { alarms as makeAlarms } from './alarms.js';
import { ask } from './cluster.js';
import { eventRecorder } from './event-recorder.js';
import { decodeImages, type ImageTable, ownImages } from './images.js';
import { keepNode, machineOf, nodeLabels } from './node.js';
import { placePod } from './place-pod.js';
import { isFinished, Pod, podKey } from './pod.js';
import { type PodWorker, podWorker } from './pod-worker.js';
import { serveKubeletApi } from './serve.js';
import { socketFolder } from './socket-folder.js';
import type { Host } from './start-container.js';
import { conditionOf } from './status.js';
import { killMarkedProcesses } from './sweep.js';
import { type PodEvent, watchPods } from './watch-pods.js';
import { startWatchdog } from './watchdog.js';

export type KubeletOptions = Readonly<{
  kube: KubePort;
  /** URL of the API server, for the pods' KUBERNETES_SERVICE_*. */
  server: URL;
  dataDir: string;
  nodeName: string;
  /** Folder of the bundled programs of our own images. */
  programs: string;
  version: string;
  log: Logger;
}>;

export type Kubelet = Readonly<{
  /** Path of the kubelet's own API. */
  socket: string;
  /** Ends all containers within `graceMs`, keeps the Pods. */
  stop: (graceMs: number) => Promise<void>;
  /** SIGKILLs everything of this life at once; for when the parent is gone. */
  killAll: () => void;
}>;

/** Short name of a data folder, the same for every path that leads to it. */
export const controlPlaneId = (dataDir: string): string =>
  createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 16);

/** The user's images, read anew each time so that `krt up --image` needs no restart; a broken file counts as empty. */
const imagesOf = (dataDir: string, log: Logger) => (): ImageTable => {
  let text: string;
  try {
    text = readFileSync(join(dataDir, 'images.json'), 'utf8');
  } catch {
    return new Map();
  }
  try {
    const table = decodeImages(JSON.parse(text));
    if (E.isRight(table)) return table.right;
    log.warn({ reason: table.left }, 'images file not understood');
  } catch (err) {
    log.warn({ err }, 'images file not understood');
  }
  return new Map();
};

/** Removes the folders of Pods that no longer exist. */
const removeOrphans = (dataDir: string, uids: ReadonlySet<string>): void => {
  const entriesOf = (folder: string): ReadonlyArray<string> => {
    try {
      return readdirSync(folder);
    } catch {
      return [];
    }
  };
  for (const uid of entriesOf(join(dataDir, 'pods')))
    if (!uids.has(uid)) rmSync(join(dataDir, 'pods', uid), { recursive: true, force: true });
  for (const entry of entriesOf(join(dataDir, 'logs'))) {
    const uid = /^[^_]+_[^_]+_([^_]+)$/.exec(entry)?.[1];
    if (uid !== undefined && !uids.has(uid))
      rmSync(join(dataDir, 'logs', entry), { recursive: true, force: true });
  }
};

export const startKubelet = async (options: KubeletOptions): Promise<Kubelet> => {
  const { kube, server, dataDir, nodeName, log } = options;
  mkdirSync(join(dataDir, 'pods'), { recursive: true, mode: 0o700 });
  const realDataDir = realpathSync(dataDir);
  const host: Host = {
    kube,
    machine: machineOf(nodeName),
    ownImages: ownImages(options.programs),
    mappedImages: imagesOf(dataDir, log),
    api: {
      host: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port || (server.protocol === 'https:' ? '443' : '80'),
    },
    controlPlane: controlPlaneId(dataDir),
    life: `${process.pid}-${randomBytes(6).toString('hex')}`,
  };
  const lifePrefix = `${host.controlPlane}/${host.life}/`;
  const swept = killMarkedProcesses({ prefix: `${host.controlPlane}/`, folder: join(realDataDir, 'pods') });
  if (swept > 0) log.warn({ processes: swept }, 'ended processes of an earlier life');
  const watchdog = startWatchdog(lifePrefix);
  const sockets = socketFolder(dataDir);
  const alarms = makeAlarms();
  const events = eventRecorder(kube, nodeName);
  const labels = nodeLabels(nodeName);

  /** By uid; `undefined` while a Pod that we finished is still seen. */
  const workers = new Map<string, PodWorker | undefined>();
  const binding = new Set<string>();

  const find = (namespace: string, name: string): PodWorker | undefined => {
    for (const worker of workers.values()) {
      const metadata = worker?.pod().metadata;
      if (metadata?.namespace === namespace && metadata.name === name) return worker;
    }
    return undefined;
  };

  const take = (pod: Pod, isListed: boolean): void => {
    const { uid } = pod.metadata;
    if (workers.has(uid)) {
      workers.get(uid)?.update(pod, isListed);
      return;
    }
    if (!isFinished(pod)) log.info({ pod: podKey(pod), uid }, 'pod taken');
    workers.set(uid, workerOf(pod));
  };

  const workerOf = (pod: Pod): PodWorker =>
    podWorker(pod, {
      host,
      dataDir: realDataDir,
      sockets,
      alarms,
      events,
      log,
      onDone: () => {
        if (workers.has(pod.metadata.uid)) workers.set(pod.metadata.uid, undefined);
        log.info({ pod: podKey(pod), uid: pod.metadata.uid }, 'pod ended');
      },
    });

  const place = async (pod: Pod): Promise<void> => {
    const { name, namespace, uid, resourceVersion } = pod.metadata;
    const placement = placePod(pod, labels);
    if (placement.kind === 'Leave' || binding.has(uid)) return;
    const ref = { namespace, name };
    binding.add(uid);
    try {
      if (placement.kind === 'Bind') {
        const body = {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name, namespace, uid },
          target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
        };
        const bound = await ask(kube.create(pods, namespace, body, { subresource: 'binding' }));
        // The watch brings the bound Pod.
        if (E.isLeft(bound)) retryPlacing(pod, bound.left.kind, bound.left.message);
        else events.record(pod, 'Normal', 'Scheduled', `Successfully assigned ${podKey(pod)} to ${nodeName}`);
        return;
      }
      const { reason, message } = placement;
      const before = pod.status?.conditions ?? [];
      const written = before.find(({ type }) => type === 'PodScheduled');
      if (written?.status === 'False' && written.message === message) return;
      const verdict = { status: 'False', reason, message } as const;
      const conditions = [
        conditionOf('PodScheduled', verdict, before, forwardMs()),
        ...before.filter(({ type }) => type !== 'PodScheduled'),
      ];
      const body = { metadata: { resourceVersion, uid }, status: { phase: 'Pending', conditions } };
      const said = await ask(kube.patch(pods, ref, { type: 'merge', body }, { subresource: 'status' }));
      if (E.isLeft(said)) retryPlacing(pod, said.left.kind, said.left.message);
      else events.record(pod, 'Warning', 'FailedScheduling', message);
    } finally {
      binding.delete(uid);
    }
  };

  /** Tries again with the Pod as it is then; a Conflict or NotFound says that a newer event is on its way anyway. */
  const retryPlacing = (pod: Pod, errKind: string, reason: string): void => {
    const { uid, name, namespace } = pod.metadata;
    if (errKind === 'NotFound') return;
    if (errKind !== 'Conflict') log.warn({ pod: podKey(pod), errKind, reason }, 'pod not placed');
    alarms.set(`place ${uid}`, forwardMs() + (errKind === 'Conflict' ? 20 : 1000), () => {
      void ask(kube.get(pods, { namespace, name })).then((fresh) => {
        const decoded = E.isRight(fresh) ? Pod.decode(fresh.right) : fresh;
        if (E.isRight(decoded)) onPod(decoded.right);
        else if (E.isLeft(fresh)) retryPlacing(pod, fresh.left.kind, fresh.left.message);
      });
    });
  };

  const onPod = (pod: Pod, isListed = false): void => {
    if (pod.spec.nodeName === nodeName) take(pod, isListed);
    else if (pod.spec.nodeName === undefined || pod.spec.nodeName === '') void place(pod);
  };

  const gone = (uid: string): void => {
    const worker = workers.get(uid);
    workers.delete(uid);
    alarms.clear(`place ${uid}`);
    worker?.abandon();
  };

  let isFirstList = true;
  const onEvent = (event: PodEvent): void => {
    switch (event.kind) {
      case 'Apply':
        onPod(event.pod, event.isListed);
        break;
      case 'Delete':
        gone(event.uid);
        break;
      case 'Rejected':
        log.warn({ pod: event.key }, 'pod not understood');
        break;
      case 'Trouble':
        log.warn({ errKind: event.error.kind, reason: event.error.message }, 'watch of pods interrupted');
        break;
      case 'Listed':
        for (const uid of [...workers.keys()]) if (!event.uids.has(uid)) gone(uid);
        if (isFirstList) removeOrphans(realDataDir, event.uids);
        isFirstList = false;
    }
  };

  const socket = join(sockets, 'kubelet.sock');
  const api = await serveKubeletApi(socket, find);
  await keepNode({ kube, machine: host.machine, socket, version: options.version, alarms, log });
  const subscription = watchPods(kube).subscribe(onEvent);
  log.info({ node: nodeName, socket }, 'kubelet started');

  return {
    socket,
    stop: async (graceMs) => {
      subscription.unsubscribe();
      await Promise.all([...workers.values()].map((worker) => worker?.stop(graceMs)));
      alarms.stop();
      killMarkedProcesses({ prefix: lifePrefix });
      watchdog.stop();
      await api.close();
    },
    killAll: () => {
      killMarkedProcesses({ prefix: lifePrefix });
    },
  };
};
