/** One call of the bundled krt, and what it says while it runs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';

import { bundles } from './bundle.js';

export type Said = Readonly<{ code: number; out: string; err: string }>;

export type Call = Readonly<{
  child: ChildProcess;
  /** Resolves when it has ended. */
  done: Promise<Said>;
  /** Resolves when stdout (or stderr) has said this. Rejects when krt ends without. */
  says: (stream: 'out' | 'err', pattern: RegExp) => Promise<void>;
}>;

const calls = new Set<ChildProcess>();

/** Ends what a failed test left running. */
export const endCalls = (): void => {
  for (const child of calls) child.kill('SIGKILL');
};

/** Starts krt. `home` is an empty folder, so that nothing of this machine is found. */
export const start = (
  argv: ReadonlyArray<string>,
  options: Readonly<{ home: string; kubeconfig?: string; stdin?: string; env?: NodeJS.ProcessEnv }>,
): Call => {
  const child = spawn(process.execPath, [join(bundles, 'krt.js'), ...argv], {
    env: {
      PATH: process.env.PATH,
      HOME: options.home,
      ...(options.kubeconfig === undefined ? {} : { KUBECONFIG: options.kubeconfig }),
      ...options.env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  calls.add(child);
  const said = { out: '', err: '' };
  let over = false;
  const listeners = new Set<() => void>();
  const tell = (): void => {
    for (const listener of [...listeners]) listener();
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.out += text;
    tell();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.err += text;
    tell();
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const done = new Promise<Said>((resolve) => {
    child.once('close', (code, signal) => {
      calls.delete(child);
      over = true;
      tell();
      resolve({ code: code ?? (signal === 'SIGINT' ? 130 : 1000), ...said });
    });
  });
  return {
    child,
    done,
    says: (stream, pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (pattern.test(said[stream])) {
            listeners.delete(look);
            resolve();
          } else if (over) {
            listeners.delete(look);
            reject(new Error(`krt ${argv.join(' ')} never said ${pattern}; it said ${JSON.stringify(said)}`));
          }
        };
        listeners.add(look);
        look();
      }),
  };
};
