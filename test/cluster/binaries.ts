/**
 * Where are the programs of a real cluster?
 *
 * In this order: the folder `$KUBEBUILDER_ASSETS`, our cache, for kubectl the PATH; else they are built from the modules
 * pinned in go.mod, into the cache, `$XDG_CACHE_HOME/kruntimes-test-cluster/<hash of the pins>`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';
import { exitOfGroup } from './process.js';

const moduleFolder = fileURLToPath(new URL('.', import.meta.url));

/** The package that each program is built from. */
const packages = {
  // Debian's 3.4 lacks what kube-apiserver asks of it (progress of watches).
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
  'kube-proxy': 'k8s.io/kubernetes/cmd/kube-proxy',
  kubelet: 'k8s.io/kubernetes/cmd/kubelet',
} as const;

/** What both levels consist of. */
export type Program = keyof typeof packages;

/** The programs of the API level. */
export const apiLevelPrograms: ReadonlyArray<Program> = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kubectl',
];

/** The programs of the whole node. */
export const nodeLevelPrograms: ReadonlyArray<Program> = [
  ...apiLevelPrograms,
  'kube-scheduler',
  'kube-proxy',
  'kubelet',
];

/** Path of each program that there is. */
export type Binaries = ReadonlyMap<Program, string>;

/** Time between two lines about a build that goes on, milliseconds. */
const PROGRESS_MS = 30_000;

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
};

/** Where programs may be. */
export type Places = Readonly<{
  /** $KUBEBUILDER_ASSETS: where it is set nothing else is looked at, so that no two versions are mixed. */
  assets: string | undefined;
  /** The folder of what was built from our pins. */
  cache: string;
  /** The folders of $PATH, for kubectl alone: the machine's own is what users have. */
  path: ReadonlyArray<string>;
}>;

/**
 * Which programs there are and which have to be built; a Left says what is missing that cannot be built. What
 * setup-envtest downloads into $KUBEBUILDER_ASSETS has no controller manager: without nodes it can be done without, but
 * nothing collects garbage then.
 */
export const choosePrograms = (
  names: ReadonlyArray<Program>,
  { assets, cache, path }: Places,
  isThere: (path: string) => boolean,
): E.Either<string, Readonly<{ found: Binaries; missing: ReadonlyArray<Program> }>> => {
  const hasNodes = names.includes('kubelet');
  const foldersOf = (name: Program): ReadonlyArray<string> =>
    assets ? [assets] : name === 'kubectl' ? [cache, ...path] : [cache];
  const found = new Map<Program, string>();
  for (const name of names) {
    const place = foldersOf(name)
      .map((folder) => join(folder, name))
      .find(isThere);
    if (place !== undefined) found.set(name, place);
  }
  const missing = names.filter((name) => !found.has(name));
  if (!assets) return E.right({ found, missing });
  const needed = missing.filter(
    (name) => name !== 'kubectl' && (hasNodes || name !== 'kube-controller-manager'),
  );
  return needed.length === 0
    ? E.right({ found, missing: [] })
    : E.left(`KUBEBUILDER_ASSETS=${assets} has no ${needed.join(', ')}`);
};

const read = (name: string): string => readFileSync(join(moduleFolder, name), 'utf8');

/** The version of Kubernetes that go.mod pins, as `v1.2.3`. */
const pinnedVersion = (): string => {
  const [, version] = /^\s*k8s\.io\/kubernetes (v[\d.]+)(?:\s|$)/m.exec(read('go.mod')) ?? [];
  if (version === undefined) throw new Error('go.mod does not require k8s.io/kubernetes');
  return version;
};

/** Folder of all that is kept for the next time. */
export const cacheRoot = (): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kruntimes-test-cluster');

/** Where the programs of these pins are kept. */
const cacheFolder = (): string => {
  const pins = createHash('sha256').update(read('go.mod')).update(read('go.sum')).digest('hex');
  const folder = join(cacheRoot(), pins.slice(0, 16));
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
  return Number(minor) >= 24
    ? undefined
    : `${stdout.trim()} is too old, kube-apiserver needs go1.24 or newer`;
};

/** Says now and then how far it is; gives what Go said that is no package's name. */
const followed = (lines: AsyncIterable<string>): (() => string) => {
  const startedMs = performance.now();
  const words: string[] = [];
  let compiled = 0;
  const progress = setInterval(() => {
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    process.stderr.write(`  ${compiled} packages compiled after ${seconds} s\n`);
  }, PROGRESS_MS);
  void (async () => {
    for await (const line of lines)
      if (/^[\w./-]+$/.test(line)) compiled += 1;
      else if (!line.startsWith('go: downloading')) words.push(line);
  })();
  return () => {
    clearInterval(progress);
    return words.slice(-10).join('\n');
  };
};

/** What `go build` calls it: the last part of its package's path, less a major version. */
const builtName = (name: Program): string => basename(packages[name].replace(/\/v\d+$/, ''));

const goEnvironment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  CGO_ENABLED: '0',
  GOTOOLCHAIN: 'local',
  GOFLAGS: '-mod=readonly',
});

/** Downloads the sources of these packages and of what they import; a Left says why that cannot be. */
const fetchSources = (wanted: ReadonlyArray<string>): E.Either<string, void> => {
  const { status, stderr } = spawnSync('go', ['list', '-deps', ...wanted], {
    cwd: moduleFolder,
    encoding: 'utf8',
    env: goEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (status === 0) return E.right(undefined);
  return E.left(`Go modules cannot be downloaded: ${stderr.trim().split('\n').at(-1)}`);
};

/**
 * Builds them together, so that the compilers always have work. Long (minutes from nothing, seconds when Go's own cache
 * is warm) and low in priority. An aborted build is not lost: Go keeps what it has compiled.
 */
const build = (
  cache: string,
  names: ReadonlyArray<Program>,
  signal: AbortSignal,
): Promise<E.Either<string, void>> =>
  inScratch(cache, async (scratch) => {
    const version = pinnedVersion();
    const [major = '', minor = ''] = version.slice(1).split('.');
    const stamp = Object.entries({ gitVersion: version, gitMajor: major, gitMinor: minor })
      .map(([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`)
      .join(' ');
    const wanted = names.map((name) => packages[name]);
    const args = ['build', '-v', '-o', `${scratch}/`, '-ldflags', `-s -w ${stamp}`, ...wanted];
    const what = names.join(', ');
    process.stderr.write(`building ${what} (once; into ${cache})\n`);
    const startedMs = performance.now();
    const fetched = fetchSources(wanted);
    if (E.isLeft(fetched)) return fetched;
    const child = spawn('nice', ['-n', '15', 'go', ...args], {
      cwd: moduleFolder,
      // A group of its own, so that compilers end with it.
      detached: true,
      env: goEnvironment(),
      stdio: ['ignore', 'inherit', 'pipe'],
    });
    const lastWords = followed(createInterface({ input: child.stderr }));
    const code = await exitOfGroup(child, signal);
    const words = lastWords();
    if (signal.aborted) return E.left(`building ${what} was ended: ${String(signal.reason)}`);
    if (code !== 0) throw new Error(`building ${what} failed (exit code ${code}):\n${words}`);
    for (const name of names) renameSync(join(scratch, builtName(name)), join(cache, name));
    process.stderr.write(`built in ${Math.round((performance.now() - startedMs) / 1000)} s\n`);
    return E.right(undefined);
  });

/** These programs, made if need be; a Left says in one line what is missing. A build that fails rejects. */
export const findBinaries = async (
  names: ReadonlyArray<Program>,
  signal: AbortSignal,
): Promise<E.Either<string, Binaries>> => {
  const places = {
    assets: process.env.KUBEBUILDER_ASSETS,
    cache: cacheFolder(),
    path: (process.env.PATH ?? '').split(delimiter).filter(Boolean),
  };
  const choice = choosePrograms(names, places, isExecutable);
  if (E.isLeft(choice)) return choice;
  const { found, missing } = choice.right;
  if (missing.length === 0) return E.right(found);
  const why = whyNoBuild();
  if (why !== undefined) return E.left(why);
  const built = await build(places.cache, missing, signal);
  if (E.isLeft(built)) return built;
  return E.right(new Map([...found, ...missing.map((name) => [name, join(places.cache, name)] as const)]));
};
