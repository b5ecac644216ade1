/** A Runtime Pod in a folder: a real Runtime Server as a process, runtimed, the operator's end of the session. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import bunyan from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';

import type { Run, RunStatus } from '../../src/model/run.js';
import { readConfig } from '../../src/runtimed/config.js';
import { type Running, startRuntimed } from '../../src/runtimed/program.js';
import type { Api, Spec } from './api.js';
import { ScriptedOperator } from './scripted-operator.js';

export type ServerKind = 'bash' | 'unary';

const ENTRIES: Readonly<Record<ServerKind, string>> = {
  bash: 'src/runtimes/bash/main.ts',
  unary: 'test/fixtures/unary-runtime-server.ts',
};

/** spec of an inline script. */
export const script = (inline: string, more: Spec = {}): Spec => ({
  runtime: 'bash',
  source: { inline },
  ...more,
});

/** A piece of a script that goes on when the test says so, however slow the machine is. */
export const UNTIL_TOLD = 'until [ -e told ]; do sleep 0.02; done';

/** Tells it. */
export const tell = (pod: Pod, { metadata }: Run): Promise<void> =>
  writeFile(join(pod.workDir, metadata.uid, 'told'), '');

export type PodOptions = Readonly<{
  kind?: ServerKind;
  capacity?: number;
  /** runtimed as a process of its own, so that it can be killed. */
  isProcess?: boolean;
  /** Whether the operator answers sessions at the start. */
  welcomes?: boolean;
  /** Further variables of runtimed. */
  env?: Readonly<Record<string, string>>;
}>;

let pods = 0;

export class Pod {
  readonly operator = new ScriptedOperator();
  /** Log records of runtimed. */
  readonly records: Array<Record<string, unknown>> = [];
  readonly name: string;
  readonly uid: string;
  readonly #recordWaits = new Set<() => void>();
  #server: ChildProcess | undefined;
  #running: Running | undefined;
  #process: ChildProcess | undefined;

  private constructor(
    readonly api: Api,
    readonly folder: string,
    readonly options: PodOptions,
  ) {
    pods += 1;
    this.name = `bash-${pods}`;
    this.uid = `pod-uid-${pods}`;
    this.operator.welcomes = options.welcomes ?? true;
  }

  static async start(api: Api, options: PodOptions = {}): Promise<Pod> {
    const pod = new Pod(api, await mkdtemp(join(tmpdir(), 'krt-pod-')), options);
    await mkdir(pod.workDir);
    await writeFile(join(pod.folder, 'session-token'), 'session-token\n');
    await writeFile(join(pod.folder, 'token'), api.token);
    await writeFile(join(pod.folder, 'ca.crt'), api.ca);
    await writeFile(join(pod.folder, 'namespace'), 'default');
    await pod.operator.listen(join(pod.folder, 'operator.sock'));
    await pod.startServer();
    await pod.startRuntimed();
    return pod;
  }

  get workDir(): string {
    return join(this.folder, 'workspace');
  }

  get stateDir(): string {
    return join(this.folder, 'state');
  }

  get logsTarget(): string {
    return `unix:${join(this.folder, 'logs.sock')}`;
  }

  environment(): Record<string, string> {
    return {
      KRUNTIME_WORK_DIR: this.workDir,
      KRUNTIME_STATE_DIR: this.stateDir,
      KRUNTIME_SERVER_ADDRESS: `unix:${join(this.folder, 'server.sock')}`,
      KRUNTIME_LOGS_ADDRESS: this.logsTarget,
      KRUNTIME_PROBES_ADDRESS: `unix:${join(this.folder, 'probes.sock')}`,
      KRUNTIME_METRICS_ADDRESS: `unix:${join(this.folder, 'metrics.sock')}`,
      KRUNTIME_OPERATOR_URL: this.operator.url,
      KRUNTIME_SESSION_TOKEN_FILE: join(this.folder, 'session-token'),
      KRUNTIME_SERVICE_ACCOUNT_DIR: this.folder,
      KRUNTIME_POD_NAME: this.name,
      KRUNTIME_POD_NAMESPACE: 'default',
      KRUNTIME_POD_UID: this.uid,
      KRUNTIME_RUNTIME: 'bash',
      KRUNTIME_CAPACITY: JSON.stringify({ runs: this.options.capacity ?? 4 }),
      KUBERNETES_SERVICE_HOST: this.api.url.hostname,
      KUBERNETES_SERVICE_PORT: this.api.url.port,
      ...this.options.env,
    };
  }

  async startServer(): Promise<void> {
    // A life line on fd 3, so that the server does not outlive a test that is killed.
    const server = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        ENTRIES[this.options.kind ?? 'bash'],
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

  #take(record: Record<string, unknown>): void {
    this.records.push(record);
    for (const look of this.#recordWaits) look();
  }

  async startRuntimed(): Promise<void> {
    this.records.length = 0;
    if (this.options.isProcess) {
      await this.#spawnRuntimed();
      return;
    }
    const config = readConfig({ PATH: process.env.PATH, ...this.environment() });
    if (E.isLeft(config)) throw new Error(config.left.join('; '));
    const lines = new Writable({
      write: (line: Buffer, _encoding, done) => {
        for (const record of line.toString().trimEnd().split('\n')) this.#take(JSON.parse(record));
        done();
      },
    });
    const log = bunyan.createLogger({ name: 'runtimed', level: 'debug', stream: lines });
    this.#running = await startRuntimed(config.right, this.api.observed, log, (records) =>
      lines.write(records),
    );
  }

  async #spawnRuntimed(): Promise<void> {
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/runtimed/main.ts'], {
      stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
      env: { PATH: process.env.PATH ?? '', ...this.environment(), KRUNTIME_PARENT_FD: '3' },
    });
    this.#process = child;
    if (child.stdout) createInterface(child.stdout).on('line', (line) => this.#take(JSON.parse(line)));
    await once(child, 'spawn');
  }

  /** runtimed's process. */
  get process(): ChildProcess {
    if (!this.#process) throw new Error('runtimed is no process here');
    return this.#process;
  }

  get running(): Running {
    if (!this.#running) throw new Error('runtimed is not started in this process');
    return this.#running;
  }

  /** Ends runtimed without any warning: nothing is drained, told or cleaned. */
  async killRuntimed(): Promise<void> {
    const child = this.#process;
    if (child && child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
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

  /** Creates a Run and writes its assignment to this pod, as the operator does before it tells. */
  async schedule(name: string, spec: Spec, attempt = 1): Promise<Run> {
    await this.api.create(name, spec);
    return this.reschedule(name, attempt);
  }

  /** Writes an assignment to this pod. */
  reschedule(name: string, attempt: number): Promise<Run> {
    return this.api.setStatus(name, {
      phase: 'Scheduled',
      assignedPod: this.name,
      assignedPodUID: this.uid,
      attempt,
      scheduledTime: '2026-01-01T00:00:01Z',
      nextAttemptTime: null,
    });
  }

  /** Creates a Run and assigns it over the session. */
  async assign(name: string, spec: Spec): Promise<Run> {
    const run = await this.schedule(name, spec);
    this.operator.assign(run);
    return run;
  }

  /** Creates a Run, assigns it and waits for its end. */
  async run(name: string, spec: Spec): Promise<RunStatus> {
    await this.assign(name, spec);
    return this.ended(name);
  }

  /** The status when the Run has ended, or is Pending again. */
  ended(name: string): Promise<RunStatus> {
    return this.api.until(
      name,
      ({ phase }) => phase !== undefined && phase !== 'Scheduled' && phase !== 'Running',
    );
  }

  /** Resolves when a record of that message was logged about that Run. */
  logged(msg: string, run?: string): Promise<void> {
    return this.untilRecords((records) =>
      records.some((record) => record.msg === msg && (run === undefined || record.run === `default/${run}`)),
    );
  }

  /** Resolves when nothing is held any more: each admitted attempt has been cleaned. */
  async untilIdle(): Promise<void> {
    await this.running.idle();
  }

  /** Lines of a Run's output, as they stand in the log. */
  output(run: string, stream = 'stdout'): ReadonlyArray<unknown> {
    return this.records
      .filter((r) => r.msg === 'run output' && r.run_name === run && r.stream === stream)
      .map(({ message }) => message);
  }

  /** Resolves when that line of that Run's output was logged. */
  printed(run: string, line: string): Promise<void> {
    return this.untilRecords(() => this.output(run).includes(line));
  }

  /** Resolves when the session is open and healthy, so that assignments are welcome. */
  async ready(): Promise<void> {
    await this.untilRecords(
      (records) =>
        records.some(({ msg, healthy }) => msg === 'health of the pod changed' && healthy === true) &&
        records.some(({ msg, isOpen }) => msg === 'session with the operator changed' && isOpen === true),
    );
  }

  async stop(): Promise<void> {
    await this.killRuntimed();
    await this.killServer();
    this.operator.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
