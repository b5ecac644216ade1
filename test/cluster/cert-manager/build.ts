/** cert-manager's controllers, built once from main.go and the modules that go.mod pins, into the cache. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';

import { cacheRoot } from '../binaries.js';
import { exitOfGroup } from '../process.js';

const folder = fileURLToPath(new URL('.', import.meta.url));

/** The path of the program, made if need be; a Left says in one line why there is none. */
export const ensureCertManager = async (signal: AbortSignal): Promise<E.Either<string, string>> => {
  const pins = createHash('sha256');
  for (const name of ['go.mod', 'go.sum', 'main.go']) pins.update(readFileSync(join(folder, name)));
  const cache = join(cacheRoot(), `cert-manager-${pins.digest('hex').slice(0, 16)}`);
  const program = join(cache, 'cert-manager');
  if (existsSync(program)) return E.right(program);
  mkdirSync(cache, { recursive: true });
  process.stderr.write(`building cert-manager (once; into ${cache})\n`);
  const startedMs = performance.now();
  // `go build` writes its output when it is complete.
  const child = spawn('nice', ['-n', '15', 'go', 'build', '-ldflags', '-s -w', '-o', program, '.'], {
    cwd: folder,
    detached: true,
    env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words = `${words}${chunk.toString()}`.slice(-2000);
  });
  const code = await exitOfGroup(child, signal).catch(() => null);
  if (signal.aborted) return E.left(`building cert-manager was ended: ${String(signal.reason)}`);
  if (code !== 0)
    return E.left(`cert-manager cannot be built: ${words.trim().split('\n').at(-1) || 'no Go'}`);
  process.stderr.write(`built in ${Math.round((performance.now() - startedMs) / 1000)} s\n`);
  return E.right(program);
};
