/**
 * Makes a Pod's volumes: a folder for each, filled from ConfigMaps, Secrets, tokens and the Pod itself.
 *
 * Files are written whole, 0600 (0700 where a mode asks for execution), in folders of mode 0700. Tokens are renewed
 * when four fifths of their life are over.
 */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { isAbsolute, join, normalize } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';

import type { KubePort } from '../../ports.js';
import { bindClaim, type Content, readConfigMap, readSecret, requestToken } from './cluster.js';
import { fieldValue, type Machine, resourceValue } from './downward.js';
import { writeFileAtomically } from './files.js';
import type { Mount } from './loopback.js';
import type { Container, Pod, ProjectedSource, Volume } from './pod.js';

export type VolumeContext = Readonly<{
  kube: KubePort;
  machine: Machine;
  dataDir: string;
  /** Folder of the Pod. */
  folder: string;
}>;

/** A token file and after how long it is to be written anew, milliseconds. */
export type TokenRenewal = Readonly<{ volume: string; source: ProjectedSource; waitMs: number }>;

/** Folder by volume name, and the tokens to renew; a Left is fit for the containers' waiting message. */
export type PreparedVolumes = Readonly<{
  folders: ReadonlyMap<string, string>;
  renewals: ReadonlyArray<TokenRenewal>;
}>;

type FileToWrite = Readonly<{ path: string; content: string | Buffer; mode?: number | undefined }>;
type Files = E.Either<string, ReadonlyArray<FileToWrite>>;

/** Expiry of a projected token that does not say one, seconds: that of Kubernetes. */
const DEFAULT_TOKEN_SECONDS = 3600;

const isInside = (path: string): boolean => {
  const clean = normalize(path);
  return path !== '' && !isAbsolute(clean) && clean !== '..' && !clean.startsWith('../');
};

const writeFiles = (
  folder: string,
  files: ReadonlyArray<FileToWrite>,
  defaultMode: number | undefined,
): E.Either<string, void> => {
  for (const { path, content, mode } of files) {
    if (!isInside(path)) return E.left(`path ${path} leaves its volume`);
    const isExecutable = ((mode ?? defaultMode ?? 0) & 0o111) !== 0;
    try {
      writeFileAtomically(join(folder, path), content, isExecutable ? 0o700 : 0o600);
    } catch (error) {
      return E.left(`${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return E.right(undefined);
};

type KeyedSource = Readonly<{
  items?: ReadonlyArray<Readonly<{ key: string; path: string; mode?: number }>>;
  optional?: boolean;
}>;

const keyedFiles = (what: string, source: KeyedSource, content: Content): Files => {
  if (content === undefined) return source.optional === true ? E.right([]) : E.left(`${what} not found`);
  if (source.items === undefined)
    return E.right([...content].map(([path, bytes]) => ({ path, content: bytes })));
  const files: FileToWrite[] = [];
  for (const { key, path, mode } of source.items) {
    const bytes = content.get(key);
    if (bytes !== undefined) files.push({ path, content: bytes, mode });
    else if (source.optional !== true) return E.left(`${what} references non-existent key: ${key}`);
  }
  return E.right(files);
};

type DownwardItems = ReadonlyArray<
  Readonly<{
    path: string;
    mode?: number;
    fieldRef?: { fieldPath: string };
    resourceFieldRef?: { resource: string; containerName?: string; divisor?: string | number };
  }>
>;

const downwardFiles = (pod: Pod, machine: Machine, items: DownwardItems | undefined): Files => {
  const files: FileToWrite[] = [];
  for (const { path, mode, fieldRef, resourceFieldRef } of items ?? []) {
    const container = pod.spec.containers.find(({ name }) => name === resourceFieldRef?.containerName);
    const value =
      fieldRef !== undefined
        ? fieldValue(pod, machine, fieldRef.fieldPath)
        : resourceFieldRef !== undefined && container !== undefined
          ? resourceValue(container, machine, resourceFieldRef.resource, resourceFieldRef.divisor)
          : undefined;
    if (value === undefined) return E.left(`downward API item ${path} names nothing that exists`);
    files.push({ path, content: value, mode });
  }
  return E.right(files);
};

const fromConfigMap = async (
  { kube }: VolumeContext,
  pod: Pod,
  name: string | undefined,
  source: KeyedSource,
): Promise<Files> => {
  const { namespace } = pod.metadata;
  const content = await readConfigMap(kube, { namespace, name: name ?? '' });
  return E.isLeft(content)
    ? E.left(content.left.message)
    : keyedFiles(`configmap ${namespace}/${name ?? ''}`, source, content.right);
};

const fromSecret = async (
  { kube }: VolumeContext,
  pod: Pod,
  name: string | undefined,
  source: KeyedSource,
): Promise<Files> => {
  const { namespace } = pod.metadata;
  const content = await readSecret(kube, { namespace, name: name ?? '' });
  return E.isLeft(content)
    ? E.left(content.left.message)
    : keyedFiles(`secret ${namespace}/${name ?? ''}`, source, content.right);
};

/** Writes one token and says when it must be written again. */
export const writeToken = async (
  { kube, folder }: VolumeContext,
  pod: Pod,
  volume: string,
  source: ProjectedSource,
): Promise<E.Either<string, TokenRenewal>> => {
  const wanted = source.serviceAccountToken;
  if (wanted === undefined) return E.left(`volume ${volume} has no token`);
  const issued = await requestToken(
    kube,
    pod,
    wanted.audience,
    wanted.expirationSeconds ?? DEFAULT_TOKEN_SECONDS,
  );
  if (E.isLeft(issued)) return E.left(issued.left.message);
  const { token, expiresAtMs } = issued.right;
  const written = writeFiles(
    join(folder, 'volumes', volume),
    [{ path: wanted.path, content: token }],
    undefined,
  );
  // By the API server's clock and by ours.
  const leftMs = expiresAtMs - Date.now();
  return E.isLeft(written) ? written : E.right({ volume, source, waitMs: Math.max(leftMs * 0.8, 1000) });
};

const fillProjected = async (
  context: VolumeContext,
  pod: Pod,
  volume: string,
  projected: NonNullable<Volume['projected']>,
): Promise<E.Either<string, ReadonlyArray<TokenRenewal>>> => {
  const renewals: TokenRenewal[] = [];
  const folder = join(context.folder, 'volumes', volume);
  for (const source of projected.sources ?? []) {
    if (source.serviceAccountToken !== undefined) {
      const renewal = await writeToken(context, pod, volume, source);
      if (E.isLeft(renewal)) return renewal;
      renewals.push(renewal.right);
      continue;
    }
    const files =
      source.configMap !== undefined
        ? await fromConfigMap(context, pod, source.configMap.name, source.configMap)
        : source.secret !== undefined
          ? await fromSecret(context, pod, source.secret.name, source.secret)
          : source.downwardAPI !== undefined
            ? downwardFiles(pod, context.machine, source.downwardAPI.items)
            : E.left('a projected source of this kind is not provided by the local control plane');
    if (E.isLeft(files)) return files;
    const written = writeFiles(folder, files.right, projected.defaultMode);
    if (E.isLeft(written)) return written;
  }
  return E.right(renewals);
};

const hostFolder = (volume: Volume): E.Either<string, string> => {
  const path = volume.hostPath?.path ?? '';
  const type = volume.hostPath?.type ?? '';
  if (!isAbsolute(path)) return E.left(`hostPath ${path} is not absolute`);
  if (type === 'DirectoryOrCreate') mkdirSync(path, { recursive: true, mode: 0o755 });
  else if (type === 'FileOrCreate' && !existsSync(path)) writeFileAtomically(path, '', 0o644);
  else if (type !== '' && !existsSync(path))
    return E.left(`hostPath type check failed: ${path} does not exist`);
  if (type.startsWith('Directory') && !statSync(path).isDirectory())
    return E.left(`hostPath type check failed: ${path} is not a directory`);
  return E.right(path);
};

const KNOWN = 'emptyDir, hostPath, configMap, secret, downwardAPI, projected and persistentVolumeClaim';

const prepareVolume = async (
  context: VolumeContext,
  pod: Pod,
  volume: Volume,
): Promise<E.Either<string, Readonly<{ folder: string; renewals: ReadonlyArray<TokenRenewal> }>>> => {
  if (volume.hostPath !== undefined)
    return E.map((folder: string) => ({ folder, renewals: [] }))(hostFolder(volume));
  if (volume.persistentVolumeClaim !== undefined) {
    const ref = { namespace: pod.metadata.namespace, name: volume.persistentVolumeClaim.claimName };
    const bound = await bindClaim(context.kube, ref);
    if (E.isLeft(bound))
      return E.left(
        bound.left.kind === 'NotFound' ? `persistentvolumeclaim "${ref.name}" not found` : bound.left.message,
      );
    const folder = join(context.dataDir, 'volumes', ref.namespace, ref.name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return E.right({ folder, renewals: [] });
  }
  const folder = join(context.folder, 'volumes', volume.name);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (volume.emptyDir !== undefined) return E.right({ folder, renewals: [] });
  if (volume.projected !== undefined) {
    const renewals = await fillProjected(context, pod, volume.name, volume.projected);
    return E.map((list: ReadonlyArray<TokenRenewal>) => ({ folder, renewals: list }))(renewals);
  }
  const files =
    volume.configMap !== undefined
      ? await fromConfigMap(context, pod, volume.configMap.name, volume.configMap)
      : volume.secret !== undefined
        ? await fromSecret(context, pod, volume.secret.secretName, volume.secret)
        : volume.downwardAPI !== undefined
          ? downwardFiles(pod, context.machine, volume.downwardAPI.items)
          : E.left(`volumes of this kind are not provided by the local control plane, which has ${KNOWN}`);
  if (E.isLeft(files)) return files;
  const mode = (volume.configMap ?? volume.secret ?? volume.downwardAPI)?.defaultMode;
  const written = writeFiles(folder, files.right, mode);
  return E.isLeft(written) ? written : E.right({ folder, renewals: [] });
};

/** Makes all volumes. Safe to repeat: what is there is kept or written anew. */
export const prepareVolumes = async (
  context: VolumeContext,
  pod: Pod,
): Promise<E.Either<string, PreparedVolumes>> => {
  const folders = new Map<string, string>();
  const renewals: TokenRenewal[] = [];
  for (const volume of pod.spec.volumes ?? []) {
    if (!isInside(volume.name) || volume.name.includes('/')) return E.left(`bad volume name ${volume.name}`);
    try {
      const prepared = await prepareVolume(context, pod, volume);
      if (E.isLeft(prepared)) return E.left(`volume ${volume.name}: ${prepared.left}`);
      folders.set(volume.name, prepared.right.folder);
      renewals.push(...prepared.right.renewals);
    } catch (error) {
      return E.left(`volume ${volume.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return E.right({ folders, renewals });
};

/** Where a container's mounts are; a Left when one names no volume or leaves it. */
export const containerMounts = (
  container: Container,
  folders: ReadonlyMap<string, string>,
): E.Either<string, ReadonlyArray<Mount>> => {
  const mounts: Mount[] = [];
  for (const { name, mountPath, subPath } of container.volumeMounts ?? []) {
    const folder = folders.get(name);
    if (folder === undefined)
      return E.left(`volumeMount ${mountPath} names the volume ${name}, which does not exist`);
    if (subPath !== undefined && subPath !== '') {
      if (!isInside(subPath))
        return E.left(`subPath ${subPath} of volumeMount ${mountPath} leaves its volume`);
      const below = join(folder, subPath);
      if (!existsSync(below)) mkdirSync(below, { recursive: true, mode: 0o700 });
      mounts.push({ mountPath, folder: below });
    } else mounts.push({ mountPath, folder });
  }
  return E.right(mounts);
};
