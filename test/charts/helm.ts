/** helm: on the PATH, or in the cache of the programs that tests build. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as yaml from 'js-yaml';

import type { Body } from '../conformance/target.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Folder of a chart. */
export const chart = (name: 'kruntimes' | 'kruntimes-runtimes'): string => join(root, 'charts', name);

/** Version whose API objects the charts are rendered for. */
const KUBE_VERSION = '1.34.0';

/**
 * Path of helm; undefined where there is none. `go install helm.sh/helm/v3/cmd/helm@v3.19.5` with
 * `GOBIN=~/.cache/kruntimes-test-cluster/tools` puts it where this looks second.
 */
export const findHelm = (): string | undefined =>
  [
    ...(process.env.PATH ?? '').split(delimiter),
    join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kruntimes-test-cluster', 'tools'),
  ]
    .filter(Boolean)
    .map((folder) => join(folder, 'helm'))
    .find((path) => existsSync(path));

/** Calls helm; what it did is for the caller to judge. */
export const helm = (path: string, args: ReadonlyArray<string>): SpawnSyncReturns<string> =>
  spawnSync(path, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });

/** What a chart renders to with these values. */
export const render = (
  path: string,
  name: 'kruntimes' | 'kruntimes-runtimes',
  namespace: string,
  values: Body = {},
  extra: ReadonlyArray<string> = [],
): string => {
  const { status, stdout, stderr } = spawnSync(
    path,
    [
      'template',
      name === 'kruntimes' ? 'kruntimes' : 'runtimes',
      chart(name),
      `--namespace=${namespace}`,
      `--kube-version=${KUBE_VERSION}`,
      '--values=-',
      ...extra,
    ],
    { encoding: 'utf8', input: JSON.stringify(values), maxBuffer: 64 * 1024 * 1024 },
  );
  if (status !== 0) throw new Error(stderr.trim());
  return stdout;
};

/** The same as objects, CRDs left out. */
export const renderObjects = (...args: Parameters<typeof render>): ReadonlyArray<Body> =>
  yaml
    .loadAll(render(...args))
    .filter((object: Body) => object && object.kind !== 'CustomResourceDefinition') as ReadonlyArray<Body>;
