/** Runs one program to its end, as a person would: what it printed, how it exited, how long it took. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What became of a program. */
export type Ended = Readonly<{
  /** 128+N when signal N ended it. */
  code: number;
  stdout: string;
  stderr: string;
  /** stdout and stderr as they came. */
  output: string;
  /** From spawn to exit, by the monotonic clock. */
  ms: number;
}>;

export type CallOptions = Readonly<{
  env: NodeJS.ProcessEnv;
  /** Kills it. */
  signal: AbortSignal;
  /** After this long it counts as hanging and is killed. */
  limitMs: number;
  /** Told of each line of stdout as it comes. */
  onLine?: (line: string) => void;
  /** In a session of its own, so that Ctrl-C on the terminal does not reach it. */
  ownSession?: boolean;
}>;

/** Rejects when it cannot be started, is aborted, or hangs. An exit code is an answer, not a rejection. */
export const call = (
  program: string,
  args: ReadonlyArray<string>,
  { env, signal, limitMs, onLine, ownSession = false }: CallOptions,
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const startedMs = performance.now();
    const child = spawn(program, args, {
      env,
      signal,
      killSignal: 'SIGKILL',
      detached: ownSession,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const texts = { stdout: '', stderr: '', output: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].setEncoding('utf8').on('data', (chunk: string) => {
        texts[name] += chunk;
        texts.output += chunk;
      });
    if (onLine) createInterface({ input: child.stdout }).on('line', onLine);
    let hangs = false;
    const limit = setTimeout(() => {
      hangs = true;
      child.kill('SIGKILL');
    }, limitMs);
    child.once('error', (error) => {
      clearTimeout(limit);
      reject(error);
    });
    child.once('close', (code, killedBy) => {
      clearTimeout(limit);
      if (hangs)
        reject(new Error(`${program} ${args.join(' ')} did not end within ${limitMs} ms\n${texts.output}`));
      else
        resolve({
          ...texts,
          code: code ?? (killedBy === 'SIGTERM' ? 143 : killedBy === 'SIGINT' ? 130 : 137),
          ms: performance.now() - startedMs,
        });
    });
  });

/** An argument as one would type it in a shell. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./{}-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
