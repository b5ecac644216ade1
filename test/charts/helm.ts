/** helm: on the PATH, or in the cache of the programs that tests build. */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';
import * as yaml from 'js-yaml';

import { ensureGoTool, toolsFolder } from '../cluster/go-tool.js';
import type { Body } from '../conformance/target.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Folder of a chart. */
export const chart = (name: 'kruntimes' | 'kruntimes-runtimes'): string => join(root, 'charts', name);

/** Version whose API objects the charts are rendered for. */
const KUBE_VERSION = '1.34.0';

/** The helm that is built where there is none. */
const HELM_MODULE = 'helm.sh/helm/v3/cmd/helm@v3.19.5';

/** Path of helm; undefined where there is none. */
export const findHelm = (): string | undefined =>
  [...(process.env.PATH ?? '').split(delimiter), toolsFolder()]
    .filter(Boolean)
    .map((folder) => join(folder, 'helm'))
    .find((path) => existsSync(path));

/** The helm that there is, else one that is built with Go into the cache: minutes. A Left says why there is none. */
export const ensureHelm = async (signal: AbortSignal): Promise<E.Either<string, string>> => {
  const found = findHelm();
  return found === undefined ? ensureGoTool(HELM_MODULE, signal) : E.right(found);
};

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
