/** The real world of krt: this process, its files and its cluster. */
import { readFile } from 'node:fs/promises';

import { Failure } from './failure.js';
import type { Krt, Terminal } from './krt.js';

const SUFFIX_LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** EPIPE: whoever read us has enough; we end as a program that SIGPIPE ends, and say nothing. */
const quietly = (error: NodeJS.ErrnoException): never => {
  if (error.code === 'EPIPE') process.exit(141);
  throw error;
};

const processTerminal = (argv: ReadonlyArray<string>): Terminal => {
  const { stdout, stderr, env } = process;
  stdout.on('error', quietly);
  stderr.on('error', quietly);
  const color = !argv.includes('--no-color') && !env.NO_COLOR && env.TERM !== 'dumb';
  return {
    out: (text) => {
      stdout.write(text);
    },
    err: (text) => {
      stderr.write(text);
    },
    outIsTerminal: stdout.isTTY === true,
    errIsTerminal: stderr.isTTY === true,
    color,
    columns: () => stderr.columns ?? 80,
  };
};

const readAllOf = async (path: string): Promise<Uint8Array> => {
  if (path === '-') {
    const chunks: Uint8Array[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
  try {
    return await readFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EISDIR'
          ? 'it is a folder'
          : code === 'EACCES'
            ? 'it may not be read by this user'
            : String(error);
    throw new Failure('Error', `cannot read ${path}: ${why}`, {
      hint: 'check the path; - reads stdin',
      cause: error,
    });
  }
};

/** The Krt of this process. */
export const processKrt = (argv: ReadonlyArray<string>): Krt => {
  const terminal = processTerminal(argv);
  return {
    terminal,
    env: process.env,
    nowMs: Date.now,
    randomSuffix: () =>
      Array.from({ length: 6 }, () => SUFFIX_LETTERS[Math.floor(Math.random() * SUFFIX_LETTERS.length)]).join(
        '',
      ),
    readSource: readAllOf,
    openCluster: async (flags) =>
      (await import('./api/open-cluster.js')).openCluster(flags, process.env, (line) =>
        terminal.err(`${line}\n`),
      ),
    onInterrupt: (listener) => {
      process.on('SIGINT', listener);
      process.on('SIGTERM', listener);
      return () => {
        process.off('SIGINT', listener);
        process.off('SIGTERM', listener);
      };
    },
  };
};
