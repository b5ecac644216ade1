/**
 * Where does the demo play? On a control plane of its own in a new temporary folder. Nothing outside that folder is
 * read or written: HOME is in it, KUBECONFIG is not passed on, krt and kubectl are given their kubeconfig by flag.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as E from 'fp-ts/lib/Either.js';

import { kubeClient } from '../io/kube/client.js';
import { clusterFromKubeconfig } from '../io/kube/cluster.js';
import { type CallOptions, call, type Ended } from './call.js';
import { type Leftover, leftovers } from './leftovers.js';

/** Longest time of one command, milliseconds. */
const COMMAND_LIMIT_MS = 30_000;
/** Longest time of the control plane's stop, milliseconds. */
const DOWN_LIMIT_MS = 20_000;

const KRT = fileURLToPath(new URL('../../dist/krt.js', import.meta.url));

export type RunOptions = Readonly<Pick<CallOptions, 'onLine' | 'ownSession'> & { limitMs?: number }>;

export type Stage = Readonly<{
  /** The temporary folder; the control plane's is `dataDir` in it. */
  folder: string;
  dataDir: string;
  kubeconfig: string;
  /** Runs this checkout's krt with exactly these arguments. */
  krt: (args: ReadonlyArray<string>, options?: RunOptions) => Promise<Ended>;
  /** Runs any program of the PATH. */
  program: (name: string, args: ReadonlyArray<string>, options?: RunOptions) => Promise<Ended>;
  /** A client of the control plane's API. */
  client: () => Promise<ReturnType<typeof kubeClient>>;
  /** `krt down`; also where nothing runs. */
  down: () => Promise<Ended>;
  leftovers: () => ReadonlyArray<Leftover>;
  /** Kills what `leftovers` finds, then removes the folder. */
  clear: () => void;
}>;

/** Makes the folder. `signal` ends every command but `down`. */
export const openStage = (signal: AbortSignal): Stage => {
  const folder = mkdtempSync(join(tmpdir(), 'kruntimes-demo-'));
  const home = join(folder, 'home');
  const dataDir = join(folder, 'data');
  mkdirSync(home);
  const kubeconfig = join(dataDir, 'kubeconfig');
  const { KUBECONFIG: _, ...inherited } = process.env;
  const env = { ...inherited, HOME: home, NO_COLOR: '1' };
  const program: Stage['program'] = (name, args, { limitMs = COMMAND_LIMIT_MS, ...options } = {}) =>
    call(name, args, { env, signal, limitMs, ...options });
  return {
    folder,
    dataDir,
    kubeconfig,
    program,
    krt: (args, options) => program(process.execPath, [KRT, ...args], options),
    client: async () => {
      const cluster = await clusterFromKubeconfig({ paths: [kubeconfig] });
      if (E.isLeft(cluster)) throw new Error(cluster.left.message);
      return kubeClient(cluster.right, { userAgent: 'kruntimes-demo' });
    },
    down: () =>
      call(process.execPath, [KRT, 'down', '--data-dir', dataDir], {
        env,
        signal: new AbortController().signal,
        limitMs: DOWN_LIMIT_MS,
        ownSession: true,
      }),
    leftovers: () => leftovers(folder, dataDir),
    clear: () => {
      for (const { pid } of leftovers(folder, dataDir)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It went by itself.
        }
      }
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
};
