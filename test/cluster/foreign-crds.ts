/**
 * The CRDs of other projects whose objects our charts make, from their Go modules: what Prometheus' operator and
 * cert-manager take, and what they do not, is theirs to say.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import * as yaml from 'js-yaml';

import type { Body } from '../conformance/target.js';

const SOURCES: ReadonlyArray<Readonly<{ module: string; files: ReadonlyArray<string> }>> = [
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    files: ['example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml'],
  },
  {
    module: 'github.com/cert-manager/cert-manager@v1.21.2',
    files: ['certificates', 'certificaterequests', 'issuers', 'clusterissuers'].map(
      (plural) => `deploy/crds/cert-manager.io_${plural}.yaml`,
    ),
  },
];

/** All of them; a Left says in one line why they cannot be had. */
export const foreignCrds = (): E.Either<string, ReadonlyArray<Body>> => {
  const { stdout, error } = spawnSync(
    'go',
    ['mod', 'download', '-json', ...SOURCES.map(({ module }) => module)],
    {
      encoding: 'utf8',
      // Not what this project's own modules are pinned to.
      cwd: '/',
      env: { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-modcacherw', GOWORK: 'off' },
    },
  );
  if (error !== undefined) return E.left('Go is not installed');
  // One JSON object after the other.
  const modules: ReadonlyArray<Body> = stdout
    .split(/^(?=\{)/m)
    .filter((text) => text.trim() !== '')
    .map((text) => JSON.parse(text));
  const failed = modules.find(({ Error: said }) => said !== undefined);
  if (failed !== undefined) return E.left(`${failed.Path}: ${failed.Error.trim().split('\n').at(-1)}`);
  return E.right(
    SOURCES.flatMap(({ files }, index) =>
      files.map((file) => yaml.load(readFileSync(join(modules[index].Dir, file), 'utf8')) as Body),
    ),
  );
};
