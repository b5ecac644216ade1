/**
 * What a whole node is made of: root filesystems from Debian's packages, images from images/Dockerfile. What does not
 * change with our sources is made once and kept in the cache.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';

import { cacheRoot } from '../binaries.js';
import { exitOfGroup } from '../process.js';
import type { Parts } from './node-level.js';

/** What is made here; the programs are found elsewhere. */
export type MadeParts = Pick<Parts, 'root' | 'images'>;

const root = fileURLToPath(new URL('../../..', import.meta.url));
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Tag that the images are built with: the guide's. */
export const IMAGE_TAG = 'latest';
const IMAGES = ['kruntimes-controller', 'kruntimes-runtimed', 'kruntimes-bash-runtime'];
/** The image of a user, as docs/installation.md says it is made. */
const customDockerfile = (): string => {
  const page = readFileSync(join(root, 'docs/installation.md'), 'utf8');
  const [, text] = /```dockerfile\n([\s\S]*?)```/.exec(page) ?? [];
  if (text === undefined) throw new Error('docs/installation.md has no Dockerfile');
  return text;
};
const NEEDED = ['unshare', 'nsenter', 'ip', 'apt-get', 'dpkg-deb'];

/** Why this machine cannot; undefined when it can. */
export const whyNoNode = (): string | undefined => {
  if (process.getuid?.() !== 0) return 'it needs root';
  const missing = NEEDED.filter((name) => spawnSync('which', [name]).status !== 0);
  if (missing.length > 0) return `it needs ${missing.join(', ')}, as Debian has them`;
  // Root of a container may not, for one.
  const folder = mkdtempSync(join(tmpdir(), 'krt-try-'));
  const { status, stderr } = spawnSync('bash', [file('machine.sh'), 'try', join(folder, 'machine')], {
    encoding: 'utf8',
  });
  rmSync(folder, { recursive: true, force: true });
  return status === 0
    ? undefined
    : `it needs namespaces, control groups and overlays: ${stderr.trim().split('\n').at(-1)}`;
};

/** Runs it to its end with a line before and after; a Left has its last words. */
const make = async (
  what: string,
  argv: readonly [string, ...string[]],
  signal: AbortSignal,
): Promise<E.Either<string, void>> => {
  process.stderr.write(`making ${what}\n`);
  const startedMs = performance.now();
  const [command, ...args] = argv;
  // Its own group, so that all of it can be ended.
  const child = spawn(command, args, { cwd: root, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-2000);
  });
  const code = await exitOfGroup(child, signal);
  if (signal.aborted) return E.left(`making ${what} was ended: ${String(signal.reason)}`);
  if (code !== 0) return E.left(`${what} cannot be made: ${words.trim()}`);
  process.stderr.write(`made in ${Math.round((performance.now() - startedMs) / 1000)} s\n`);
  return E.right(undefined);
};

/** The parts, made if need be below the folder or in the cache; a Left says in one line why they cannot be. */
export const makeParts = async (
  folder: string,
  signal: AbortSignal,
): Promise<E.Either<string, MadeParts>> => {
  const recipe = createHash('sha256')
    .update(readFileSync(file('roots.sh')))
    .update(process.version);
  const roots = join(cacheRoot(), `roots-${recipe.digest('hex').slice(0, 16)}`);
  if (!existsSync(roots)) {
    const made = await make(
      "root filesystems from Debian's packages (once)",
      ['bash', file('roots.sh'), roots, process.execPath],
      signal,
    );
    if (E.isLeft(made)) return made;
  }
  const storage = `${roots}-images`;
  mkdirSync(storage, { recursive: true });
  const pause = join(folder, 'pause');
  const images = join(folder, 'images');
  mkdirSync(images);
  const custom = join(folder, 'Dockerfile');
  writeFileSync(custom, customDockerfile());
  const steps = [
    ['programs for the images', ['npm', 'run', '--silent', 'build:images']],
    [
      'the pause program',
      [
        'env',
        'CGO_ENABLED=0',
        'go',
        'build',
        '-C',
        file('..'),
        '-o',
        pause,
        '-ldflags=-s -w',
        './node/pause',
      ],
    ],
    [
      'images',
      [
        'bash',
        file('images.sh'),
        join(roots, 'node'),
        join(roots, 'base'),
        storage,
        join(root, 'images'),
        custom,
        pause,
        images,
        IMAGE_TAG,
        ...IMAGES,
      ],
    ],
  ] as const;
  for (const [what, argv] of steps) {
    const made = await make(what, argv as unknown as readonly [string, ...string[]], signal);
    if (E.isLeft(made)) throw new Error(made.left);
  }
  return E.right({ root: join(roots, 'node'), images });
};
