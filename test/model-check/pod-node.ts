/**
 * A pod of the model: streams/runtimed.ts with its Holdings as they are, over a Runtime Server, a disk and the API of
 * the model; and its kubelet, which starts again what has died.
 */
import {
  concat,
  defer,
  EMPTY,
  ignoreElements,
  map,
  Observable,
  of,
  Subject,
  type Subscriber,
  type Subscription,
} from 'rxjs';

import type { Assignment, AttemptInput, Collected, EndEvent } from '../../src/decide/sidecar/attempt.js';
import { idOf } from '../../src/decide/sidecar/attempt.js';
import { Holdings, type Input } from '../../src/decide/sidecar/holdings.js';
import type { ServerNews } from '../../src/decide/sidecar/server-event.js';
import { assignedSelection, listAssigned } from '../../src/io/runs/assigned.js';
import { readRun } from '../../src/io/runs/read-run.js';
import { writeStatus } from '../../src/io/runs/status-writer.js';
import { runs } from '../../src/model/resources.js';
import { Run } from '../../src/model/run.js';
import { micros } from '../../src/model/time.js';
import type { KubePort } from '../../src/ports.js';
import { runtimed, type SidecarEffects } from '../../streams/runtimed.js';
import { informer } from '../../streams/watch/informer.js';
import { podStatus } from './fixtures.js';
import { dialing, type LinkSetting } from './link.js';
import type { Mutant } from './mutants.js';
import type { Post } from './post.js';
import { Process } from './process.js';
import { type Execution, RuntimeServer, type ServerSetting } from './runtime-server.js';

/** What a restarted runtimed finds. */
type Disk = Map<string, { assignment: Assignment; end?: EndEvent }>;

export type PodSetting = Readonly<{
  name: string;
  uid: string;
  capacity: number;
  post: Post;
  nowMs: () => number;
  kubeOf: (process: Process) => KubePort;
  accepting: LinkSetting['accepting'];
  register: LinkSetting['register'];
  scriptOf: ServerSetting['scriptOf'];
  onStart: (execution: Execution) => void;
  /** Writes what the kubelet has to say, when the API takes it. */
  say: (status: ReturnType<typeof podStatus>) => void;
  /** The pod's processes have ended as they were asked to. */
  onDrained: () => void;
  /** It was paused or cut off before. */
  hasBeenAway: (process: Process) => boolean;
  mutant: Mutant | undefined;
  onDefect: (cause: unknown) => void;
}>;

/** Pause before the kubelet starts a container again. */
const RESTART_MS = 500;

/** One pod and its processes, life after life. */
export class PodNode {
  readonly setting: PodSetting;
  readonly disk: Disk = new Map();
  /** Outputs files, by execution. */
  readonly #outputs = new Map<string, string>();
  runtimed: Process | undefined;
  server: RuntimeServer | undefined;
  holdings: Holdings | undefined;
  isGone = false;
  #lives = 0;
  #news: Readonly<{ process: Process; reader: Subscriber<ServerNews> }> | undefined;
  #terminate = new Subject<void>();
  #isTerminating = false;
  #calls = 0;

  constructor(setting: PodSetting) {
    this.setting = setting;
    this.#startServer();
    this.#startRuntimed();
    this.#report();
  }

  get digest(): string {
    const { disk, server, runtimed: daemon } = this;
    const ends = [...disk].map(([id, { end }]) => `${id}${end === undefined ? '' : '!'}`);
    return `${this.setting.uid}[${daemon?.digest ?? ''}|${server?.digest ?? ''}|${ends.join()}|${this.isGone}]`;
  }

  /** Its processes; a paused one is one. */
  processes(): ReadonlyArray<Process> {
    return [this.runtimed, this.server?.process].flatMap((p) => (p?.isAlive ? [p] : []));
  }

  #report(): void {
    const { say } = this.setting;
    const isRunning = this.runtimed?.isAlive === true && this.server?.process.isAlive === true;
    say(podStatus(isRunning, undefined));
  }

  #restartLater(label: string, start: () => void): void {
    if (this.isGone) return;
    this.#report();
    this.setting.post.send({
      channel: `kubelet ${this.setting.uid} ${label}`,
      label: `kubelet starts ${label} of ${this.setting.name}`,
      run: () => {
        if (this.isGone) return;
        start();
        this.#report();
      },
      afterMs: RESTART_MS,
    });
  }

  #startServer(): void {
    const { post, nowMs, uid, scriptOf, onStart, name, mutant } = this.setting;
    this.#lives += 1;
    const process = new Process(`server-${name}/${this.#lives}`, nowMs);
    const server = new RuntimeServer({
      post,
      process,
      podUid: uid,
      nowMs,
      scriptOf,
      onStart: (execution) => {
        this.#outputs.set(execution.id, execution.token);
        onStart(execution);
      },
      isForgetful: mutant?.forgetfulServer === true,
    });
    this.server = server;
    process.onEnd(() => this.#restartLater('server', () => this.#startServer()));
    const reader = this.#news;
    if (reader?.process.isAlive) this.#connect(reader.process, reader.reader);
  }

  /** The stream of news: it begins when the server takes the call. */
  #connect(process: Process, reader: Subscriber<ServerNews>): void {
    this.#news = { process, reader };
    const { server } = this;
    if (!server?.process.isAlive) {
      this.setting.post.send({
        channel: `news ${process.id}`,
        label: `${process.id} > nobody listens`,
        to: () => process,
        isPrompt: true,
        run: () => reader.next({ kind: 'Gone' }),
      });
      return;
    }
    this.setting.post.send({
      channel: `calls ${server.process.id}`,
      label: `${process.id} > server watch`,
      to: () => server.process,
      run: () => {
        if (process.isAlive) server.connect(process, reader);
      },
    });
  }

  /** runtimed takes the connection for lost, though the server lives, and dials again. */
  giveUpServer(): void {
    this.server?.hangUp((process, reader) => this.#connect(process, reader));
  }

  /** A call of the Runtime Server: it arrives or not, its answer arrives or not. */
  #call(
    process: Process,
    label: string,
    serve: (server: RuntimeServer) => void,
    canBeLost = false,
  ): Observable<'Answered' | 'Unanswered'> {
    return new Observable((caller) => {
      this.#calls += 1;
      const channel = `server call ${this.setting.uid} ${this.#calls}`;
      const answer = (how: 'Answered' | 'Unanswered'): void =>
        this.setting.post.send({
          channel,
          label: `${process.id} < server ${how} ${label}`,
          to: () => process,
          run: () => {
            caller.next(how);
            caller.complete();
          },
          ...(canBeLost ? { lose: () => answer('Unanswered') } : {}),
        });
      const { server } = this;
      this.setting.post.send({
        // One connection after another: in order. What a dead caller sent, a paused server may still read.
        channel: `calls ${server?.process.id}`,
        label: `${process.id} > server ${label}`,
        // A paused server answers when it runs again.
        to: () => (server?.process.isAlive ? server.process : undefined),
        run: () => {
          if (!server?.process.isAlive) return answer('Unanswered');
          if (!process.isAlive && !this.setting.hasBeenAway(server.process)) return;
          serve(server);
          answer('Answered');
        },
        ...(canBeLost ? { lose: () => answer('Unanswered') } : {}),
      });
      return undefined;
    });
  }

  /** Something on the pod's own disk that takes a moment. */
  #work<A>(process: Process, label: string, act: () => A): Observable<A> {
    return new Observable((caller) => {
      this.#calls += 1;
      this.setting.post.send({
        channel: `disk ${this.setting.uid} ${this.#calls}`,
        label: `${process.id} ${label}`,
        to: () => process,
        run: () => {
          caller.next(act());
          caller.complete();
        },
      });
    });
  }

  #effects(process: Process, kube: KubePort): SidecarEffects {
    const { uid, nowMs, mutant } = this.setting;
    const now = () => micros(nowMs() * 1000);
    const givingBack = new Set<string>();
    const write: SidecarEffects['writeStatus'] = (assignment, event) =>
      writeStatus(assignment, event, {
        kube: mutant?.writerKube?.(kube) ?? kube,
        podUid: uid,
        hold: (held, end) => {
          this.disk.set(idOf(held.ref), { assignment: held, end });
          return [undefined];
        },
        onRetry: () => undefined,
        chance: process.random,
        clock: process.clock,
      });
    return {
      prepare: (assignment) =>
        this.#work(process, `prepares ${idOf(assignment.ref)}`, (): AttemptInput => {
          this.disk.set(idOf(assignment.ref), { assignment });
          return {
            kind: 'Prepared',
            execution: { workingDir: '', entrypoint: 'script', args: [], env: {}, timeoutSeconds: 0 },
          };
        }),
      abortPrepare: () => EMPTY,
      tryWorkspace: () => of(''),
      removeArtifacts: () => EMPTY,
      sweepLogs: () => EMPTY,
      keptLogs: () => [],
      forgetLogs: () => EMPTY,
      execute: (ref) =>
        this.#call(process, `execute ${idOf(ref)}`, (server) => server.execute(idOf(ref)), true).pipe(
          map(
            (how): AttemptInput =>
              how === 'Answered' ? { kind: 'Executed' } : { kind: 'ExecuteUnanswered', message: 'no answer' },
          ),
        ),
      cancelExecution: (id) =>
        this.#call(process, `cancel ${id}`, (server) => server.cancel(id)).pipe(ignoreElements()),
      collect: (ref) =>
        this.#work(
          process,
          `collects ${idOf(ref)}`,
          (): Collected => ({
            kind: 'Outputs',
            outputs: { token: this.#outputs.get(idOf(ref)) ?? '' },
          }),
        ),
      writeStatus: mutant?.effectOfWrite?.(write) ?? write,
      giveBack: (assignment, { reason, message }) =>
        defer(() => {
          const id = idOf(assignment.ref);
          if (givingBack.has(id)) return EMPTY;
          givingBack.add(id);
          return new Observable<never>((caller) => {
            const writing = write(assignment, { kind: 'Returned', reason, message, at: now() }).subscribe({
              complete: () => {
                givingBack.delete(id);
                caller.complete();
              },
            });
            return () => writing.unsubscribe();
          });
        }),
      clean: ({ ref, executed }) =>
        concat(
          executed
            ? this.#call(process, `forget ${idOf(ref)}`, (server) => server.forget(idOf(ref))).pipe(
                ignoreElements(),
              )
            : EMPTY,
          this.#work(process, `cleans ${idOf(ref)}`, () => {
            this.disk.delete(idOf(ref));
            this.#outputs.delete(idOf(ref));
          }).pipe(ignoreElements()),
        ),
      endUnknown: (id, running) =>
        this.#call(process, `ends unknown ${id}`, (server) =>
          running ? server.cancel(id) : server.forget(id),
        ).pipe(ignoreElements()),
      note: () => undefined,
    };
  }

  #startRuntimed(): void {
    const { setting } = this;
    const { name, uid, capacity, post, nowMs, accepting, register, mutant, onDefect } = setting;
    this.#lives += 1;
    const process = new Process(`runtimed-${name}/${this.#lives}`, nowMs);
    this.runtimed = process;
    const kube = setting.kubeOf(process);
    const selection = assignedSelection({ name, namespace: 'default' });
    const pod = { uid, capacity: { runs: capacity } };
    const holdings = mutant?.holdings?.(pod) ?? new Holdings(pod);
    this.holdings = holdings;
    const recovered: ReadonlyArray<Input> =
      mutant?.readoptsNothing === true
        ? []
        : [...this.disk.values()].map(({ assignment, end }) => ({
            kind: 'Resumed',
            assignment,
            ...(end === undefined ? {} : { end }),
          }));
    this.#terminate = new Subject();
    const terminate = this.#terminate;
    let subscription: Subscription | undefined;
    subscription = runtimed(
      {
        recovered,
        dial: dialing({ post, pod: { name, uid }, runtimed: process, accepting, register }),
        readRun: readRun(kube, 'default'),
        list$: listAssigned(kube, selection, process.random, process.clock),
        watch$: informer(kube, runs, selection, Run, { random: process.random, clock: process.clock }),
        server$: new Observable((reader) => this.#connect(process, reader)),
        terminate$: terminate,
      },
      this.#effects(process, kube),
      {
        identity: { podName: name, podUid: uid, runtime: 'bash', version: '1', artifactStore: '' },
        holdings,
        now: () => micros(nowMs() * 1000),
        clock: process.clock,
        chance: process.random,
      },
    ).subscribe({
      error: onDefect,
      complete: () => {
        if (process.isAlive) setting.onDrained();
      },
    });
    process.onEnd(() => {
      subscription?.unsubscribe();
      if (this.#isTerminating) return;
      this.#restartLater('runtimed', () => this.#startRuntimed());
    });
  }

  /** SIGTERM, at the pod's deletion. */
  terminate(): void {
    if (this.#isTerminating) return;
    this.#isTerminating = true;
    this.#terminate.next();
  }

  /** All of it dies at once and nothing of it comes back. */
  vanish(): void {
    this.isGone = true;
    for (const process of this.processes()) process.kill();
  }
}
