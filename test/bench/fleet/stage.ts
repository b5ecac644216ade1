/**
 * A control plane without nodes: the embedded API server, and operators that are started and killed one by one. Its
 * pods are a fleet's (simulated-pods.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import bunyan from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import { CONTROL_PLANE_VARIABLE } from '../../../src/embedded/control-plane/components.js';
import { anyFreePort } from '../../../src/embedded/control-plane/free-port.js';
import { startControlPlane } from '../../../src/embedded/control-plane/start.js';
import { controlPlaneId } from '../../../src/embedded/kubelet/kubelet.js';
import { type KubeClient, kubeClient } from '../../../src/io/kube/client.js';
import { clusterFromKubeconfig } from '../../../src/io/kube/cluster.js';
import { pidsWith } from '../../e2e/pids.js';
import { type MemoryMiB, memoryOf } from '../memory.js';

/** One operator process. */
export type Operator = Readonly<{
  pid: number;
  /** Where its sessions are dialled. */
  sessionsUrl: string;
  memory: () => MemoryMiB;
  /** A figure of its metrics, NaN where it has none of the name. */
  metric: (name: string) => Promise<number>;
  /** As the kernel would, without a word. */
  kill: () => Promise<void>;
  stop: () => Promise<void>;
}>;

/** How an operator is started: by default as the only one, on any port. */
export type OperatorFlags = Readonly<{ flags?: ReadonlyArray<string>; sessionsUrl?: string }>;

/** The control plane. */
export type Stage = Readonly<{
  kube: KubeClient;
  dataDir: string;
  apiServer: () => MemoryMiB;
  /** Starts one more; resolves when its metrics answer. */
  operator: (options?: OperatorFlags) => Promise<Operator>;
  stop: () => Promise<void>;
}>;

const textOf = (at: number, path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    request({ port: at, host: '127.0.0.1', path, timeout: 30_000 }, (response) => {
      let text = '';
      response
        .setEncoding('utf8')
        .on('data', (chunk: string) => {
          text += chunk;
        })
        .once('end', () => resolve(text));
    })
      .once('error', reject)
      .end();
  });

/** Tries until it answers; a process that is starting tells nobody when it is ready. */
const answering = async (at: number, child: ChildProcess, log: string): Promise<void> => {
  for (let tries = 0; tries < 600; tries += 1) {
    if (child.exitCode !== null) throw new Error(`the operator ended with ${child.exitCode}; see ${log}`);
    try {
      await textOf(at, '/metrics');
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error('the operator does not answer');
};

const startOperator = async (
  kubeconfig: string,
  marker: string,
  log: string,
  { flags = ['--no-leader-elect'], sessionsUrl }: OperatorFlags,
): Promise<Operator> => {
  const sessions = sessionsUrl === undefined ? await anyFreePort() : Number(new URL(sessionsUrl).port);
  const [metrics, probes] = [await anyFreePort(), await anyFreePort()];
  const file = openSync(log, 'a');
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('../../../dist/controller.js', import.meta.url)),
      ...['--kubeconfig', kubeconfig, '--namespace', 'default'],
      ...['--sessions-listen', `127.0.0.1:${sessions}`, '--sessions-url', `https://127.0.0.1:${sessions}`],
      ...['--metrics-listen', `127.0.0.1:${metrics}`, '--probes-listen', `127.0.0.1:${probes}`],
      ...flags,
    ],
    {
      // Ends with this process, by the pipe.
      stdio: ['ignore', file, file, 'pipe'],
      env: { ...process.env, [CONTROL_PLANE_VARIABLE]: marker, KRUNTIME_PARENT_FD: '3' },
    },
  );
  closeSync(file);
  const ended = once(child, 'exit');
  await answering(metrics, child, log);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return {
    pid: child.pid ?? 0,
    sessionsUrl: `https://127.0.0.1:${sessions}`,
    memory: () => memoryOf(child.pid ?? 0),
    metric: async (name) => {
      const line = (await textOf(metrics, '/metrics'))
        .split('\n')
        .find((text) => text.startsWith(`${name} `));
      return line === undefined ? Number.NaN : Number(line.slice(name.length + 1));
    },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  };
};

/** Starts the API server, and nothing else. */
export const openStage = async (folder = tmpdir()): Promise<Stage> => {
  const dataDir = await mkdtemp(join(folder, 'krt-stage-'));
  const plane = await startControlPlane({
    dataDir,
    withRuntimes: false,
    without: ['controller', 'kubelet'],
    log: bunyan.createLogger({ name: 'bench', level: 'error', stream: process.stderr }),
  });
  const cluster = await clusterFromKubeconfig({ paths: [plane.kubeconfig] });
  if (E.isLeft(cluster)) throw new Error(cluster.left.message);
  const kube = kubeClient(cluster.right, { userAgent: 'bench', requestTimeoutMs: 120_000 });
  const marker = controlPlaneId(dataDir);
  let operators = 0;
  return {
    kube,
    dataDir,
    apiServer: () =>
      memoryOf(pidsWith(`${CONTROL_PLANE_VARIABLE}=${marker}`, 'apiserver.js')[0] ?? process.pid),
    operator: async (options = {}) => {
      // Goes with the folder.
      const log = join(dataDir, 'logs', `operator-${operators}.log`);
      operators += 1;
      return startOperator(plane.kubeconfig, marker, log, options);
    },
    stop: async () => {
      kube.close();
      await plane.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
};
