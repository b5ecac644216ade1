/** A program of a Go module, built once into the cache. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';

import { cacheRoot } from './binaries.js';
import { exitOfGroup } from './process.js';

/** Folder of what is built so. */
export const toolsFolder = (): string => join(cacheRoot(), 'tools');

/** The path of `package@version`, built if it is not there: minutes. A Left says in one line why it cannot be. */
export const ensureGoTool = async (
  pinned: string,
  signal: AbortSignal,
): Promise<E.Either<string, string>> => {
  const name = basename(pinned.slice(0, pinned.lastIndexOf('@')));
  const path = join(toolsFolder(), name);
  if (existsSync(path)) return E.right(path);
  process.stderr.write(`building ${pinned} (once; into ${toolsFolder()})\n`);
  const startedMs = performance.now();
  const child = spawn('nice', ['-n', '15', 'go', 'install', '-ldflags', '-s -w', pinned], {
    // A group of its own, so that compilers end with it.
    detached: true,
    env: { ...process.env, GOBIN: toolsFolder(), CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOFLAGS: '' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString()}`.slice(-2000);
  });
  const code = await exitOfGroup(child, signal).catch(() => null);
  if (signal.aborted) return E.left(`building ${name} was ended: ${String(signal.reason)}`);
  if (code !== 0)
    return E.left(`${name} is not here and cannot be built: ${said.trim().split('\n').at(-1) || 'no Go'}`);
  process.stderr.write(`built in ${Math.round((performance.now() - startedMs) / 1000)} s\n`);
  return E.right(path);
};
