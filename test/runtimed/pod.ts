/** A Runtime Pod in a folder: a real Runtime Server as a process, runtimed, the operator's end of the session. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import bunyan from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import { readConfig } from '../../src/runtimed/config.js';
import { type Running, startRuntimed } from '../../src/runtimed/program.js';
import { MemoryKube, type StoredRun } from './memory-kube.js';
import { ScriptedOperator } from './scripted-operator.js';

export type ServerKind = 'bash' | 'unary';

const ENTRIES: Readonly<Record<ServerKind, string>> = {
  bash: 'src/runtimes/bash/main.ts',
  unary: 'test/fixtures/unary-runtime-server.ts',
};

export const POD_UID = 'pod-uid-1';

/** A Run that is assigned to this pod. */
export const assigned = (
  name: string,
  spec: Record<string, unknown>,
  status: Record<string, unknown> = {},
): StoredRun => ({
  metadata: {
    name,
    namespace: 'default',
    uid: `uid-${name}`,
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { runtime: 'bash', ...spec },
  status: {
    phase: 'Scheduled',
    assignedPod: 'bash-0',
    assignedPodUID: POD_UID,
    attempt: 1,
    scheduledTime: '2026-01-01T00:00:01Z',
    ...status,
  },
});

/** An assigned Run of an inline script. */
export const script = (name: string, inline: string, spec: Record<string, unknown> = {}): StoredRun =>
  assigned(name, { source: { inline }, ...spec });

export class Pod {
  readonly kube = new MemoryKube();
  readonly operator = new ScriptedOperator();
  readonly records: Array<Record<string, unknown>> = [];
  readonly #recordWaits = new Set<() => void>();
  #server: ChildProcess | undefined;
  #running: Running | undefined;

  private constructor(
    readonly folder: string,
    readonly kind: ServerKind,
    readonly capacity: number,
  ) {}

  static async start(kind: ServerKind = 'bash', capacity = 4): Promise<Pod> {
    const pod = new Pod(await mkdtemp(join(tmpdir(), 'krt-pod-')), kind, capacity);
    await mkdir(pod.workDir);
    await writeFile(join(pod.folder, 'token'), 'session-token\n');
    await pod.operator.listen(join(pod.folder, 'operator.sock'));
    await pod.startServer();
    await pod.startRuntimed();
    return pod;
  }

  get workDir(): string {
    return join(this.folder, 'workspace');
  }

  get logsTarget(): string {
    return `unix:${join(this.folder, 'logs.sock')}`;
  }

  environment(): Record<string, string> {
    return {
      KRUNTIME_WORK_DIR: this.workDir,
      KRUNTIME_SERVER_ADDRESS: `unix:${join(this.folder, 'server.sock')}`,
      KRUNTIME_LOGS_ADDRESS: this.logsTarget,
      KRUNTIME_PROBES_ADDRESS: `unix:${join(this.folder, 'probes.sock')}`,
      KRUNTIME_METRICS_ADDRESS: `unix:${join(this.folder, 'metrics.sock')}`,
      KRUNTIME_OPERATOR_URL: this.operator.url,
      KRUNTIME_SESSION_TOKEN_FILE: join(this.folder, 'token'),
      KRUNTIME_SERVICE_ACCOUNT_DIR: this.folder,
      KRUNTIME_POD_NAME: 'bash-0',
      KRUNTIME_POD_NAMESPACE: 'default',
      KRUNTIME_POD_UID: POD_UID,
      KRUNTIME_RUNTIME: 'bash',
      KRUNTIME_CAPACITY: JSON.stringify({ runs: this.capacity }),
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: '1',
    };
  }

  async startServer(): Promise<void> {
    // A life line on fd 3, so that the server does not outlive a test that is killed.
    const server = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        ENTRIES[this.kind],
        '--listen',
        `unix:${join(this.folder, 'server.sock')}`,
        '--work-dir',
        this.workDir,
      ],
      { stdio: ['ignore', 'ignore', 'ignore', 'pipe'], env: { ...process.env, KRUNTIME_PARENT_FD: '3' } },
    );
    this.#server = server;
    await once(server, 'spawn');
  }

  async killServer(): Promise<void> {
    const server = this.#server;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    const gone = once(server, 'exit');
    server.kill('SIGKILL');
    await gone;
  }

  async startRuntimed(): Promise<void> {
    const config = readConfig(this.environment());
    if (E.isLeft(config)) throw new Error(config.left.join('; '));
    const log = bunyan.createLogger({
      name: 'runtimed',
      level: 'debug',
      streams: [
        {
          type: 'raw',
          level: 'debug',
          stream: {
            write: (record: Record<string, unknown>) => {
              this.records.push(record);
              for (const look of this.#recordWaits) look();
            },
          } as unknown as NodeJS.WritableStream,
        },
      ],
    });
    this.#running = await startRuntimed(config.right, this.kube, log);
  }

  get running(): Running {
    if (!this.#running) throw new Error('runtimed is not started');
    return this.#running;
  }

  /** Ends runtimed as kill -9 would: nothing is drained, told or cleaned. */
  async dropRuntimed(): Promise<void> {
    await this.#running?.close();
    this.#running = undefined;
  }

  /** Resolves when the records satisfy `wanted`. */
  untilRecords(wanted: (records: ReadonlyArray<Record<string, unknown>>) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!wanted(this.records)) return;
        this.#recordWaits.delete(look);
        resolve();
      };
      this.#recordWaits.add(look);
      look();
    });
  }

  /** Stores the Run and assigns it over the session. */
  assign(run: StoredRun): StoredRun {
    const stored = this.kube.put(run);
    this.operator.assign(stored);
    return stored;
  }

  /** Stores the Run, assigns it and waits for its end. */
  async run(run: StoredRun): Promise<StoredRun> {
    this.assign(run);
    return this.ended(run.metadata.name);
  }

  /** The Run when its phase is terminal, or Pending again. */
  ended(name: string): Promise<StoredRun> {
    return this.kube.until(name, ({ status }) => !['Scheduled', 'Running'].includes(String(status?.phase)));
  }

  /** Resolves when the session is open and healthy, so that assignments are welcome. */
  async ready(): Promise<void> {
    await this.untilRecords(
      (records) =>
        records.some(
          ({ msg, healthy }) => msg === 'health of the runtime server changed' && healthy === true,
        ) &&
        records.some(({ msg, isOpen }) => msg === 'session with the operator changed' && isOpen === true),
    );
  }

  async stop(): Promise<void> {
    await this.dropRuntimed();
    await this.killServer();
    this.operator.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
