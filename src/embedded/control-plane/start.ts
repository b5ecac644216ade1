/**
 * The supervisor: starts the API server, the operator and the process kubelet on a data folder, and keeps them
 * running until it is told to stop. It holds nothing that is not on disk, so killing it loses nothing.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import type Logger from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import { type KubeClient, kubeClient } from '../../io/kube/client.js';
import { clusterFromKubeconfig } from '../../io/kube/cluster.js';
import { version } from '../../model/version.js';
import { writeFileAtomically } from '../kubelet/files.js';
import { decodeImages, ImagesFile, programsFolder } from '../kubelet/images.js';
import { controlPlaneId } from '../kubelet/kubelet.js';
import { removeSocketFolder, socketFolder } from '../kubelet/socket-folder.js';
import { killMarkedProcesses } from '../kubelet/sweep.js';
import { takeLock, whenLockLost } from '../lock.js';
import { putBashRuntime } from './bash-runtime.js';
import { type Component, keepRunning } from './component.js';
import {
  CONTROL_PLANE_VARIABLE,
  type ComponentName,
  type ComponentsInput,
  componentSpec,
  healthSocket,
} from './components.js';
import {
  CONTROL_SOCKET,
  type ComponentStatus,
  type ControlServer,
  type SupervisorStatus,
  serveControl,
} from './control-socket.js';
import { type Folder, folderOf, makeFolder, strangeEntries, strangeFolderMessage } from './folder.js';
import { freePort, keptOrFreePort } from './free-port.js';
import { answersOn, isApiReady } from './health.js';
import { writeKubeconfigs } from './kubeconfigs.js';
import { readSettings, type Settings, writeSettings } from './settings.js';
import { waitForApi } from './wait-for-api.js';

export type ControlPlaneOptions = Readonly<{
  dataDir: string;
  /** Port of the API server; default: that of the last start, else any free one. */
  port?: number;
  /** Image → command line or argv; kept in D for later starts. */
  images?: ImagesFile;
  /** Whether the first start puts the bash Runtime. */
  withRuntimes: boolean;
  log: Logger;
  /** Folder of the bundled programs; default: that of this package. */
  programs?: string;
  /** Components to do without; for tests. */
  without?: ReadonlyArray<ComponentName>;
}>;

export type RunningControlPlane = Readonly<{
  url: string;
  dataDir: string;
  /** Path of the kubeconfig for people. */
  kubeconfig: string;
  /** Ends everything within seconds; resolves when no process is left. May be called again. */
  stop: () => Promise<void>;
  /** Resolves when it has stopped, whoever asked for it: `stop`, or `krt down`. */
  done: Promise<void>;
}>;

/** A start that cannot be; the message is one line for the person who asked. */
export class ControlPlaneError extends Error {}

/** Ends of the API server within its start after which the start counts as failed. */
const MOST_FAILED_STARTS = 3;

const choosePort = async (folder: Folder, wanted: number | undefined, kept: Settings): Promise<number> => {
  if (wanted !== undefined && wanted !== 0) {
    const free = await freePort(wanted);
    if (free === undefined)
      throw new ControlPlaneError(`port ${wanted} is taken; choose another with --port, or leave it out`);
    return free;
  }
  const port = await keptOrFreePort(kept.port);
  if (port === undefined)
    throw new ControlPlaneError(`no port is free for the control plane on ${folder.dataDir}`);
  return port;
};

/** Adds to the images of earlier starts. */
const keepImages = (folder: Folder, images: ImagesFile | undefined): void => {
  if (images === undefined || Object.keys(images).length === 0) return;
  const understood = decodeImages(images);
  if (E.isLeft(understood)) throw new ControlPlaneError(understood.left);
  let before: ImagesFile = {};
  if (existsSync(folder.images)) {
    const decoded = ImagesFile.decode(JSON.parse(readFileSync(folder.images, 'utf8')));
    if (E.isLeft(decoded))
      throw new ControlPlaneError(
        `${folder.images} is not a table of image to command; correct or remove it`,
      );
    before = decoded.right;
  }
  writeFileAtomically(folder.images, `${JSON.stringify({ ...before, ...images }, undefined, 2)}\n`);
};

const openClient = async (kubeconfig: string, version: string): Promise<KubeClient> => {
  const cluster = await clusterFromKubeconfig({ paths: [kubeconfig] });
  if (E.isLeft(cluster)) throw new ControlPlaneError(cluster.left.message);
  return kubeClient(cluster.right, { userAgent: `kruntimes-up/${version}` });
};

/** Starts the API server and waits until it listens. */
const startApi = async (input: ComponentsInput, log: Logger): Promise<readonly [Component, string]> => {
  const givenUp = new AbortController();
  rmSync(input.folder.apiServer, { force: true });
  const api = keepRunning(componentSpec('apiserver', input), log);
  let ends = 0;
  api.onExit((what) => {
    ends += 1;
    if (ends >= MOST_FAILED_STARTS)
      givenUp.abort(
        new ControlPlaneError(
          `the API server does not start (${what}); its log is ${input.folder.logs}/apiserver.log: ${api.lastWords()}`,
        ),
      );
  });
  try {
    return [api, await waitForApi(input.folder, api.pid, givenUp.signal)];
  } catch (error) {
    await api.stop();
    throw error;
  }
};

/** Starts everything; resolves when the API answers. Rejects with a ControlPlaneError that is one line for a person. */
export const startControlPlane = async (options: ControlPlaneOptions): Promise<RunningControlPlane> => {
  const { log, withRuntimes, programs = programsFolder(), without = [] } = options;
  const folder = folderOf(options.dataDir);
  const names: ReadonlyArray<ComponentName> = ['controller', 'kubelet'];
  const wanted = names.filter((name) => !without.includes(name));
  for (const name of ['apiserver', ...wanted])
    if (!existsSync(join(programs, `${name}.js`)))
      throw new ControlPlaneError(`${join(programs, `${name}.js`)} is missing; build the package first`);
  if (strangeEntries(folder).length > 0) throw new ControlPlaneError(strangeFolderMessage(folder));
  makeFolder(folder);
  const lock = takeLock(folder.lock);
  if (E.isLeft(lock))
    throw new ControlPlaneError(
      `a control plane already runs on ${folder.dataDir} (process ${lock.left}); stop it with: krt down --data-dir ${folder.dataDir}`,
    );
  const unlock = lock.right;
  const components: Component[] = [];
  let stopLooking = (): void => undefined;
  const stopAll = async (): Promise<void> => {
    stopLooking();
    // The operator first, lest it mourns pods that the kubelet is ending; the API server last.
    for (const name of ['controller', 'kubelet', 'apiserver'])
      await components.find((component) => component.name === name)?.stop();
    removeSocketFolder(folder.dataDir);
    unlock();
  };
  try {
    keepImages(folder, options.images);
    const id = controlPlaneId(folder.dataDir);
    const leftOver = killMarkedProcesses({ variable: CONTROL_PLANE_VARIABLE, prefix: id });
    if (leftOver > 0) log.warn({ processes: leftOver }, 'ended processes of an earlier life');
    const settings = readSettings(folder.settings);
    const port = await choosePort(folder, options.port, settings);
    const sessionsPort = (await keptOrFreePort(settings.sessionsPort)) ?? 0;
    const input: ComponentsInput = {
      folder,
      programs,
      sockets: socketFolder(folder.dataDir),
      port,
      sessionsPort,
      controlPlane: id,
    };
    const [api, url] = await startApi(input, log);
    components.push(api);
    writeKubeconfigs(folder, url);
    let kept: Settings = { ...settings, port, sessionsPort };
    writeSettings(folder.settings, kept);
    const client = await openClient(folder.kubeconfig, version);
    for (const name of wanted) components.push(keepRunning(componentSpec(name, input), log));
    if (withRuntimes && settings.hasRuntimes !== true) {
      const put = await putBashRuntime(client);
      if (E.isLeft(put))
        throw new ControlPlaneError(`the bash Runtime could not be put: ${put.left.message}`);
      kept = { ...kept, hasRuntimes: true };
      writeSettings(folder.settings, kept);
    }
    const since = new Date().toISOString();
    const status = async (): Promise<SupervisorStatus> => ({
      pid: process.pid,
      url,
      since,
      version,
      components: await Promise.all(components.map((component) => statusOf(component, input, client))),
    });
    let control: ControlServer | undefined;
    let stopping: Promise<void> | undefined;
    let resolveDone: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      resolveDone = resolve;
    });
    const stop = (): Promise<void> => {
      stopping ??= (async () => {
        log.info({ dataDir: folder.dataDir }, 'control plane stopping');
        await stopAll();
        client.close();
        control?.close();
        resolveDone();
      })();
      return stopping;
    };
    // `krt down` would no longer find us, and what was written to the folder is gone.
    const lost = (): void => {
      log.error({ dataDir: folder.dataDir }, 'the data folder was removed or moved, ending');
      void stop();
    };
    try {
      stopLooking = whenLockLost(folder.lock, lost);
    } catch (err) {
      log.warn({ err }, 'the data folder cannot be watched');
    }
    control = await serveControl(join(input.sockets, CONTROL_SOCKET), status, stop);
    log.info({ dataDir: folder.dataDir, url }, 'control plane started');
    return { url, dataDir: folder.dataDir, kubeconfig: folder.kubeconfig, stop, done };
  } catch (error) {
    await stopAll();
    throw error;
  }
};

const statusOf = async (
  component: Component,
  { sockets }: ComponentsInput,
  client: KubeClient,
): Promise<ComponentStatus> => {
  const pid = component.pid();
  const isWell = async (): Promise<boolean> => {
    if (pid === undefined) return false;
    if (component.name === 'apiserver') return isApiReady(client);
    return component.name === 'kubelet'
      ? answersOn(healthSocket(sockets, 'kubelet'), '/healthz')
      : answersOn(healthSocket(sockets, 'controller'), '/healthz');
  };
  return {
    name: component.name,
    restarts: component.restarts(),
    healthy: await isWell(),
    failing: component.isFailing(),
    ...(pid === undefined ? {} : { pid }),
  };
};
