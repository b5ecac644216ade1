/**
 * Where are the programs of a real control plane?
 *
 * In this order: the folder `$KUBEBUILDER_ASSETS`, our cache, for etcd the PATH; else they are made: Kubernetes is
 * built from the modules pinned in go.mod, etcd is unpacked from Debian's package (which is not installed, since that
 * would start it). What is made goes to the cache, `$XDG_CACHE_HOME/kruntimes-test-cluster/<hash of the pins>`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';

const moduleFolder = fileURLToPath(new URL('.', import.meta.url));

/** What the API level consists of. */
export type Program = 'etcd' | 'kube-apiserver' | 'kube-controller-manager';

/** Path of each program. Without a controller manager (KUBEBUILDER_ASSETS has none) nothing collects garbage. */
export type Binaries = Readonly<{
  etcd: string;
  'kube-apiserver': string;
  'kube-controller-manager': string | undefined;
}>;

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** The program in one of these folders. */
const foundIn = (folders: ReadonlyArray<string>, name: string): string | undefined =>
  folders.map((folder) => join(folder, name)).find(isExecutable);

const onPath = (name: string): string | undefined =>
  foundIn((process.env.PATH ?? '').split(delimiter).filter(Boolean), name);

/** The version of Kubernetes that go.mod pins, as `v1.2.3`. */
const pinnedVersion = (): string => {
  const [, version] = /^\s*k8s\.io\/kubernetes (v[\d.]+)(?:\s|$)/m.exec(read('go.mod')) ?? [];
  if (version === undefined) throw new Error('go.mod does not require k8s.io/kubernetes');
  return version;
};
const read = (name: string): string => readFileSync(join(moduleFolder, name), 'utf8');

const cacheFolder = (): string => {
  const root = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const pins = createHash('sha256').update(read('go.mod')).update(read('go.sum')).digest('hex');
  const folder = join(root, 'kruntimes-test-cluster', pins.slice(0, 16));
  mkdirSync(folder, { recursive: true });
  return folder;
};

/** A folder beside the final place, so that what is made there can be renamed into it; removed afterwards. */
const inScratch = async <A>(cache: string, make: (scratch: string) => Promise<A>): Promise<A> => {
  const scratch = mkdtempSync(join(cache, 'making-'));
  try {
    return await make(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};

/** Why this machine cannot build Kubernetes; undefined when it can. */
const whyNoBuild = (): string | undefined => {
  const { status, stdout } = spawnSync('go', ['env', 'GOVERSION'], {
    encoding: 'utf8',
    env: { ...process.env, GOTOOLCHAIN: 'local' },
  });
  if (status !== 0) return 'Go is not installed (1.24 or newer builds kube-apiserver)';
  const [, minor = '0'] = /^go1\.(\d+)/.exec(stdout.trim()) ?? [];
  return Number(minor) >= 24 ? undefined : `${stdout.trim()} is too old, kube-apiserver needs go1.24`;
};

/**
 * Builds one program. Long (minutes from nothing, seconds when Go's own cache is warm) and low in priority.
 * An aborted build is not lost: Go keeps what it has compiled.
 */
const buildKubernetes = (
  cache: string,
  name: Program,
  signal: AbortSignal,
): Promise<E.Either<string, string>> =>
  inScratch(cache, async (scratch) => {
    const version = pinnedVersion();
    const [major = '', minor = ''] = version.slice(1).split('.');
    const stamp = Object.entries({ gitVersion: version, gitMajor: major, gitMinor: minor })
      .map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`)
      .join(' ');
    const args = ['build', '-o', scratch, '-ldflags', `-s -w ${stamp}`, `k8s.io/kubernetes/cmd/${name}`];
    process.stderr.write(`building ${name} ${version} (once; into ${cache})\n`);
    const startedMs = performance.now();
    const child = spawn('nice', ['-n', '19', 'go', ...args], {
      cwd: moduleFolder,
      // A group of its own, so that compilers end with it.
      detached: true,
      env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const stop = (): void => {
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    };
    signal.addEventListener('abort', stop);
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    }).finally(() => signal.removeEventListener('abort', stop));
    if (signal.aborted) return E.left(`building ${name} was ended: ${String(signal.reason)}`);
    if (code !== 0) return E.left(`building ${name} failed (exit code ${code})`);
    renameSync(join(scratch, name), join(cache, name));
    process.stderr.write(`built ${name} in ${Math.round((performance.now() - startedMs) / 1000)} s\n`);
    return E.right(join(cache, name));
  });

/** Debian's etcd, unpacked. */
const unpackEtcd = (cache: string): Promise<E.Either<string, string>> =>
  inScratch(cache, async (scratch) => {
    if (onPath('apt-get') === undefined || onPath('dpkg-deb') === undefined)
      return E.left('etcd is not on the PATH, and this is no Debian to get etcd-server from');
    const got = spawnSync('apt-get', ['download', 'etcd-server'], { cwd: scratch, encoding: 'utf8' });
    const deb = readdirSync(scratch).find((file) => file.endsWith('.deb'));
    if (got.status !== 0 || deb === undefined)
      return E.left(`etcd is not on the PATH and apt-get cannot download etcd-server: ${got.stderr.trim()}`);
    const unpacked = spawnSync('dpkg-deb', ['-x', deb, 'root'], { cwd: scratch, encoding: 'utf8' });
    if (unpacked.status !== 0) return E.left(`etcd-server cannot be unpacked: ${unpacked.stderr.trim()}`);
    copyFileSync(join(scratch, 'root/usr/bin/etcd'), join(scratch, 'etcd'));
    renameSync(join(scratch, 'etcd'), join(cache, 'etcd'));
    return E.right(join(cache, 'etcd'));
  });

/** All programs of the API level, made if need be; a Left says in one line what is missing. */
export const findBinaries = async (signal: AbortSignal): Promise<E.Either<string, Binaries>> => {
  const assets = process.env.KUBEBUILDER_ASSETS;
  if (assets !== undefined && assets !== '') {
    const [etcd, apiserver] = [foundIn([assets], 'etcd'), foundIn([assets], 'kube-apiserver')];
    if (etcd === undefined || apiserver === undefined)
      return E.left(`KUBEBUILDER_ASSETS=${assets} has no etcd or no kube-apiserver`);
    const manager = foundIn([assets], 'kube-controller-manager');
    return E.right({ etcd, 'kube-apiserver': apiserver, 'kube-controller-manager': manager });
  }
  const cache = cacheFolder();
  const known = foundIn([cache], 'etcd') ?? onPath('etcd');
  const etcd = known === undefined ? await unpackEtcd(cache) : E.right(known);
  if (E.isLeft(etcd)) return etcd;
  const built = async (name: Program): Promise<E.Either<string, string>> => {
    const cached = foundIn([cache], name);
    if (cached !== undefined) return E.right(cached);
    const why = whyNoBuild();
    return why === undefined ? buildKubernetes(cache, name, signal) : E.left(why);
  };
  const apiserver = await built('kube-apiserver');
  if (E.isLeft(apiserver)) return apiserver;
  const manager = await built('kube-controller-manager');
  if (E.isLeft(manager)) return manager;
  return E.right({
    etcd: etcd.right,
    'kube-apiserver': apiserver.right,
    'kube-controller-manager': manager.right,
  });
};
