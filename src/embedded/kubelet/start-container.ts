/**
 * From a container of a Pod to a running process: image, environment, folders, command line, process. Whatever is in
 * the way comes back as the reason and message that the container then waits with.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';

import type { KubePort } from '../../ports.js';
import { readConfigMap, readSecret } from './cluster.js';
import { type CommandLine, commandLine } from './command-line.js';
import { type ContainerProcess, startProcess } from './container-process.js';
import type { Machine } from './downward.js';
import { containerEnvironment, type Environment, environmentSources } from './environment.js';
import { commandOfImage, type ImageTable, unknownImageMessage } from './images.js';
import { LogFile } from './log-file.js';
import { type Mount, rewriteMountPath } from './loopback.js';
import type { Container, Pod } from './pod.js';
import { containerFolder, logPath, type PodFolders } from './pod-folders.js';
import { MARKER, type Mark } from './sweep.js';
import { containerMounts } from './volumes.js';

/** What is the same for all containers of this kubelet. */
export type Host = Readonly<{
  kube: KubePort;
  machine: Machine;
  ownImages: ImageTable;
  mappedImages: () => ImageTable;
  /** `host` and `port` of the API server, as `KUBERNETES_SERVICE_*`. */
  api: Readonly<{ host: string; port: string }>;
  /** Of the data folder; see `controlPlaneId`. */
  controlPlane: string;
  /** Of this life of the kubelet. */
  life: string;
}>;

export type StartedContainer = Readonly<{
  process: ContainerProcess;
  log: LogFile;
  environment: Environment;
  workingDir: string;
  mounts: ReadonlyArray<Mount>;
}>;

export type Obstacle = Readonly<{
  reason: 'ErrImagePull' | 'CreateContainerConfigError' | 'StartError';
  message: string;
}>;

/** Environment of every container before its own: no more of ours than is needed to find programs. */
const BASE_NAMES = ['PATH', 'LANG', 'LC_ALL', 'TZ'] as const;

const baseEnvironment = (host: Host, folder: string, pod: Pod): ReadonlyMap<string, string> => {
  const base = new Map<string, string>([
    ['PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    ['HOME', folder],
    ['TMPDIR', join(folder, 'tmp')],
    ['HOSTNAME', pod.metadata.name],
    ['KUBERNETES_SERVICE_HOST', host.api.host],
    ['KUBERNETES_SERVICE_PORT', host.api.port],
    ['KUBERNETES_SERVICE_PORT_HTTPS', host.api.port],
  ]);
  for (const name of BASE_NAMES) {
    const value = process.env[name];
    if (value !== undefined && value !== '') base.set(name, value);
  }
  return base;
};

/** The mark of everything a container starts. */
const containerMark = (host: Host, folders: PodFolders, pod: Pod, container: string): Mark => ({
  prefix: `${host.controlPlane}/${host.life}/${pod.metadata.uid}/${container}`,
  folder: containerFolder(folders, container),
});

const markers = (host: Host, pod: Pod, container: string, prefix: string): ReadonlyMap<string, string> =>
  new Map([
    [MARKER, prefix],
    ['KRUNTIME_CONTROL_PLANE', host.controlPlane],
    ['KRUNTIME_POD_UID', pod.metadata.uid],
    ['KRUNTIME_CONTAINER', `${pod.metadata.uid}/${container}`],
  ]);

const readSources = async (host: Host, pod: Pod, container: Container) => {
  const wanted = environmentSources(container);
  const { namespace } = pod.metadata;
  const read = async (names: ReadonlySet<string>, readOne: typeof readSecret) => {
    const found = new Map<string, ReadonlyMap<string, string>>();
    for (const name of names) {
      const content = await readOne(host.kube, { namespace, name });
      if (E.isLeft(content)) return content;
      if (content.right !== undefined)
        found.set(name, new Map([...content.right].map(([key, bytes]) => [key, bytes.toString('utf8')])));
    }
    return E.right(found);
  };
  const configMaps = await read(wanted.configMaps, readConfigMap);
  if (E.isLeft(configMaps)) return configMaps;
  const secrets = await read(wanted.secrets, readSecret);
  if (E.isLeft(secrets)) return secrets;
  return E.right({
    configMap: (name: string) => configMaps.right.get(name),
    secret: (name: string) => secrets.right.get(name),
  });
};

const misconfigured = (message: string): E.Either<Obstacle, never> =>
  E.left({ reason: 'CreateContainerConfigError', message });

/** Starts the `life`-th life of a container (0 is the first). */
export const startContainer = async (
  host: Host,
  folders: PodFolders,
  pod: Pod,
  container: Container,
  volumes: ReadonlyMap<string, string>,
  life: number,
): Promise<E.Either<Obstacle, StartedContainer>> => {
  const image = commandOfImage(container.image ?? '', host.ownImages, host.mappedImages());
  if (image === undefined)
    return E.left({ reason: 'ErrImagePull', message: unknownImageMessage(container.image ?? '') });
  const mounts = containerMounts(container, volumes);
  if (E.isLeft(mounts)) return misconfigured(mounts.left);
  const sources = await readSources(host, pod, container);
  if (E.isLeft(sources)) return misconfigured(sources.left.message);
  const folder = containerFolder(folders, container.name);
  const mark = containerMark(host, folders, pod, container.name);
  const environment = containerEnvironment({
    pod,
    container,
    machine: host.machine,
    sources: sources.right,
    base: baseEnvironment(host, folder, pod),
    markers: markers(host, pod, container.name, mark.prefix),
    sockets: folders.sockets,
    mounts: mounts.right,
  });
  if (E.isLeft(environment)) return misconfigured(environment.left);
  const workingDir =
    container.workingDir === undefined || container.workingDir === ''
      ? folder
      : rewriteMountPath(container.workingDir, mounts.right);
  const line: CommandLine = commandLine(container, image, environment.right.variables, mounts.right);
  try {
    mkdirSync(join(folder, 'tmp'), { recursive: true, mode: 0o700 });
    if (!existsSync(workingDir))
      return misconfigured(`workingDir ${container.workingDir ?? workingDir} does not exist on this machine`);
    rmSync(logPath(folders, container.name, life - 2), { force: true });
    rmSync(`${logPath(folders, container.name, life - 2)}.1`, { force: true });
    const log = new LogFile(logPath(folders, container.name, life));
    const process = await startProcess({
      argv: line.argv,
      variables: environment.right.variables,
      workingDir,
      folder,
      watchesParent: line.watchesParent,
      log,
      mark,
    });
    return E.right({ process, log, environment: environment.right, workingDir, mounts: mounts.right });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return E.left({ reason: 'StartError', message: `cannot run ${line.argv[0] ?? '(nothing)'}: ${message}` });
  }
};
