/**
 * Where are the programs of the stores' servers? In our cache, `$XDG_CACHE_HOME/kruntimes-test-stores/<hash of the
 * pins>`; else they are built into it from the modules pinned in go.mod.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';

const moduleFolder = fileURLToPath(new URL('.', import.meta.url));

const packages = {
  'fake-gcs-server': 'github.com/fsouza/fake-gcs-server',
  versitygw: 'github.com/versity/versitygw/cmd/versitygw',
} as const;

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  CGO_ENABLED: '0',
  GOTOOLCHAIN: 'local',
  GOFLAGS: '-mod=readonly',
});

/** Why this machine cannot build them; undefined when it can. */
const whyNoBuild = (): string | undefined => {
  const [, wanted = '0'] = /^go 1\.(\d+)/m.exec(readFileSync(join(moduleFolder, 'go.mod'), 'utf8')) ?? [];
  const { status, stdout } = spawnSync('go', ['env', 'GOVERSION'], { encoding: 'utf8', env: environment() });
  if (status !== 0) return `Go is not installed (1.${wanted} or newer builds fake-gcs-server and versitygw)`;
  const [, minor = '0'] = /^go1\.(\d+)/.exec(stdout.trim()) ?? [];
  return Number(minor) >= Number(wanted)
    ? undefined
    : `${stdout.trim()} is too old, the servers need go1.${wanted} or newer`;
};

/** Folder with both; a Left says in one line what is missing. A build that fails rejects. */
export const findPrograms = async (signal: AbortSignal): Promise<E.Either<string, string>> => {
  const pins = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) pins.update(readFileSync(join(moduleFolder, file)));
  const cache = join(
    process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
    'kruntimes-test-stores',
    pins.digest('hex').slice(0, 16),
  );
  const names = Object.keys(packages);
  if (names.every((name) => existsSync(join(cache, name)))) return E.right(cache);
  const why = whyNoBuild();
  if (why !== undefined) return E.left(why);
  mkdirSync(cache, { recursive: true });
  const fetched = spawnSync('go', ['list', '-deps', ...Object.values(packages)], {
    cwd: moduleFolder,
    encoding: 'utf8',
    env: environment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  if (fetched.status !== 0)
    return E.left(`Go modules cannot be downloaded: ${fetched.stderr.trim().split('\n').at(-1)}`);
  process.stderr.write('building fake-gcs-server and versitygw, once\n');
  const scratch = mkdtempSync(join(cache, 'making-'));
  try {
    const args = ['build', '-o', `${scratch}/`, '-ldflags', '-s -w', ...Object.values(packages)];
    const child = spawn('nice', ['-n', '10', 'go', ...args], {
      cwd: moduleFolder,
      env: environment(),
      stdio: ['ignore', 'inherit', 'inherit'],
      signal,
      killSignal: 'SIGTERM',
    });
    child.on('error', () => undefined);
    const [code] = await once(child, 'close');
    if (signal.aborted) return E.left(`the build was ended: ${String(signal.reason)}`);
    if (code !== 0) throw new Error(`building the servers failed with exit code ${code}`);
    for (const name of names) renameSync(join(scratch, name), join(cache, name));
    return E.right(cache);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};
