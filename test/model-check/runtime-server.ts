/** The model's Runtime Server: idempotent Execute, one stream of news, and processes that really run or do not. */
import type { Subscriber } from 'rxjs';

import type { Exit } from '../../src/decide/sidecar/attempt.js';
import type { ServerNews } from '../../src/decide/sidecar/server-event.js';
import { micros } from '../../src/model/time.js';
import type { Post } from './post.js';
import type { Process } from './process.js';

/** One execution, as it truly is. */
export type Execution = {
  readonly id: string;
  readonly runUid: string;
  readonly attempt: number;
  readonly podUid: string;
  /** Written into its outputs: no two executions have the same. */
  readonly token: string;
  readonly startedMs: number;
  /** Its processes live. */
  isLive: boolean;
  exit: Exit | undefined;
  /** Its server lives and has it. */
  readonly isKnown: () => boolean;
};

/** What its script does. */
export type Script = Readonly<{ runsMs: number; exitCode: number }>;

export type ServerSetting = Readonly<{
  post: Post;
  process: Process;
  podUid: string;
  nowMs: () => number;
  scriptOf: (runUid: string, attempt: number) => Script;
  /** A process of a Run has begun. */
  onStart: (execution: Execution) => void;
  /** Execute twice starts twice; a planted bug. */
  isForgetful: boolean;
}>;

/** Who is told of what happens. */
type Reader = Readonly<{ process: Process; news: Subscriber<ServerNews> }>;

/** Until SIGTERM has had its effect. */
const GRACE_MS = 10;

const parse = (id: string): readonly [string, number] => {
  const [uid = '', attempt] = id.split('.');
  return [uid, attempt === undefined ? 1 : Number(attempt)];
};

let tokens = 0;

/** One life of it. */
export class RuntimeServer {
  readonly executions = new Map<string, Execution>();
  readonly #setting: ServerSetting;
  #reader: Reader | undefined;

  constructor(setting: ServerSetting) {
    this.#setting = setting;
    setting.process.onEnd(() => {
      // What it ran goes with it: a shell that sleeps beside it sees to that.
      for (const execution of this.executions.values()) execution.isLive = false;
      this.#tell('down', { kind: 'Down', message: 'gone' });
      this.#tell('gone', { kind: 'Gone' });
      this.#reader = undefined;
    });
  }

  /** Its reader has had no answer for too long, and dials again. */
  hangUp(dial: (process: Process, news: Subscriber<ServerNews>) => void): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    this.#reader = undefined;
    this.#send(reader, 'is silent', { kind: 'Down', message: 'silent' }, () =>
      dial(reader.process, reader.news),
    );
  }

  get process(): Process {
    return this.#setting.process;
  }

  get digest(): string {
    return [...this.executions.values()].map((e) => `${e.id}${e.isLive}${e.exit?.code ?? ''}`).join();
  }

  #tell(label: string, news: ServerNews): void {
    if (this.#reader !== undefined) this.#send(this.#reader, label, news);
  }

  #send(reader: Reader, label: string, news: ServerNews, andThen: () => void = () => undefined): void {
    this.#setting.post.send({
      channel: `news ${reader.process.id}`,
      label: `${reader.process.id} < server ${label}`,
      to: () => reader.process,
      isPrompt: news.kind === 'Down' || news.kind === 'Gone',
      run: () => {
        reader.news.next(news);
        andThen();
      },
    });
  }

  /** The stream of a runtimed, from its beginning. */
  connect(process: Process, news: Subscriber<ServerNews>): void {
    this.#reader = { process, news };
    this.#tell('health', { kind: 'Health', healthy: true, message: '' });
    this.#tell('opened', { kind: 'Opened' });
    for (const execution of this.executions.values()) {
      this.#started(execution);
      if (execution.exit)
        this.#tell(`exited ${execution.id}`, { kind: 'Exited', id: execution.id, exit: execution.exit });
    }
    this.#tell('synced', { kind: 'Synced' });
  }

  #started({ id, startedMs }: Execution): void {
    this.#tell(`started ${id}`, { kind: 'Started', id, at: micros(startedMs * 1000) });
  }

  execute(id: string): void {
    const { nowMs, podUid, post, scriptOf, onStart, isForgetful, process } = this.#setting;
    if (this.executions.has(id) && !isForgetful) return;
    const [runUid, attempt] = parse(id);
    tokens += 1;
    const execution: Execution = {
      id,
      runUid,
      attempt,
      podUid,
      token: `${podUid}-${process.id}-${id}`,
      startedMs: nowMs(),
      isLive: true,
      exit: undefined,
      isKnown: () => process.isAlive && this.executions.get(id) === execution,
    };
    this.executions.set(id, execution);
    onStart(execution);
    this.#started(execution);
    const { runsMs, exitCode } = scriptOf(runUid, attempt);
    post.send({
      channel: `script ${podUid} ${tokens}`,
      label: `script ${id} on ${process.id} ends`,
      to: () => process,
      run: () => this.#exit(execution, exitCode, 'Exited'),
      afterMs: runsMs,
    });
  }

  cancel(id: string): void {
    const { post, process } = this.#setting;
    const execution = this.executions.get(id);
    if (!execution?.isLive) return;
    tokens += 1;
    post.send({
      channel: `kill ${process.id} ${tokens}`,
      label: `script ${id} on ${process.id} is stopped`,
      to: () => process,
      run: () => this.#exit(execution, 143, 'Stopped'),
      afterMs: GRACE_MS,
    });
  }

  forget(id: string): void {
    if (this.executions.get(id)?.isLive === false) this.executions.delete(id);
  }

  #exit(execution: Execution, code: number, cause: Exit['cause']): void {
    if (!execution.isLive) return;
    execution.isLive = false;
    const at = micros(this.#setting.nowMs() * 1000);
    execution.exit = { code, signal: 0, cause, errorMessage: '', lastStderr: '', at };
    this.#tell(`exited ${execution.id} ${code}`, { kind: 'Exited', id: execution.id, exit: execution.exit });
  }
}
