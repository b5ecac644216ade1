/**
 * `npm run test:stores`: the drivers of object stores, and whole control planes with them, against real servers of GCS
 * and S3. They are built from Go modules at the first time; where that cannot be it says so in one line and exits 0.
 * It ends with a line "stores: N passing, N failing"; exit code 1 when any failed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';

import { flagsOf } from '../support/command-line.js';
import { findPrograms } from './programs.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const USAGE = `Usage: npm run test:stores -- [--build-limit SECONDS] [--grep TEXT]

The drivers of object stores, and whole control planes with them, against real servers of GCS and S3, built from Go modules at
the first time (for at most --build-limit seconds, default 900; a later run goes on). Where that cannot be it says so in one
line and exits 0. It ends with a line "stores: N passing, N failing"; exit code 1 when any failed.
`;

const flags = flagsOf(USAGE, { 'build-limit': { type: 'string', default: '900' }, grep: { type: 'string' } });

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => interruption.abort(signal));

const main = async (): Promise<number> => {
  const limit = setTimeout(
    () => interruption.abort(`--build-limit ${flags['build-limit']} s is over; run it again to go on`),
    Number(flags['build-limit']) * 1000,
  );
  const programs = await findPrograms(interruption.signal);
  clearTimeout(limit);
  if (E.isLeft(programs)) {
    process.stdout.write(`skipped: the tests against servers of GCS and S3: ${programs.left}\n`);
    return 0;
  }
  const grep = flags.grep === undefined ? [] : ['--grep', flags.grep];
  const child = spawn(
    process.execPath,
    [
      'node_modules/mocha/bin/mocha.js',
      ...['--import=tsx/esm', '--no-color', '--exit', ...grep, 'test/stores/*.test.ts'],
    ],
    {
      cwd: root,
      env: { ...process.env, STORE_SERVERS: programs.right },
      stdio: ['ignore', 'pipe', 'inherit'],
      signal: interruption.signal,
      killSignal: 'SIGTERM',
    },
  );
  child.on('error', () => undefined);
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    process.stdout.write(chunk);
  });
  const [code] = await once(child, 'close');
  const count = (what: string): number => Number(new RegExp(`^  (\\d+) ${what}`, 'm').exec(text)?.[1] ?? 0);
  const failing = count('failing');
  process.stdout.write(
    `stores: ${count('passing')} passing, ${failing === 0 && code !== 0 ? 1 : failing} failing\n`,
  );
  return code === 0 ? 0 : 1;
};

process.exit(await main());
