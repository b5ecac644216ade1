/**
 * A small world: one API server, operators, pods, their processes and links, and what may befall them.
 *
 * Everything that happens is a step, chosen from outside: by default the oldest thing under way is delivered, and time
 * passes only when nothing is; a choice may instead hold something back, lose it, or be a fault. The same choices lead
 * to the same world.
 */
import { SERVER_LOST_MS } from '../../src/decide/sidecar/holdings.js';
import type { PodUid } from '../../src/model/ids.js';
import { isTerminal, type Phase } from '../../src/model/run.js';
import { Api, fault, type Stored } from './api.js';
import { Claims, Violation } from './claims.js';
import { podStatus, runtimeOf, runtimePod, START_MS } from './fixtures.js';
import { hash } from './hash.js';
import type { Link } from './link.js';
import type { Mutant } from './mutants.js';
import { OperatorNode } from './operator-node.js';
import { PodNode } from './pod-node.js';
import { type Item, Post } from './post.js';
import { Process } from './process.js';
import type { Script } from './runtime-server.js';

/** A Run of the story. */
export type StoryRun = Readonly<{
  name: string;
  spec?: Readonly<Record<string, unknown>>;
  /** By attempt, the last one for all after. */
  script: ReadonlyArray<Script>;
  /** Its owner asks for cancellation so long after its creation. */
  cancelAfterMs?: number;
}>;

/** What a world is made of. */
export type Story = Readonly<{
  name: string;
  runs: ReadonlyArray<StoryRun>;
  pods: number;
  capacity: number;
  /** The second is a hot standby. */
  operators: 1 | 2;
}>;

/** Something that may be chosen instead of the next delivery: it is held back or lost, or a fault happens first. */
export type Choice = Readonly<{ name: string; apply: () => void }>;

/** How long after the last fault everything must have ended, milliseconds of the model. */
export const STUCK_AFTER_MS = 45_000;
/** An operator that is killed is started again after this. */
const OPERATOR_RESTART_MS = 1000;
const API_AWAY_MS = [
  ['API server restarts', 3000],
  ['API server is away 90 s', 90_000],
] as const;
const LEASE_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
/** Three missed beats. */
const SILENCE_MS = 6000;
/** Until the cluster calls a node that is cut off not ready. */
const NODE_GRACE_MS = 10_000;
const PARTITION_MS = 60_000;
/** Longest backoff of a watch, with room. */
const REST_MS = 35_000;
/** Far more than any story takes: who gets there goes round in circles. */
const MOST_STEPS = 5000;
/** Held back for a moment, or for longer than it takes to be given up. */
const HOLDS_MS = [1, 12_000];

export class ModelWorld {
  readonly story: Story;
  readonly #mutant: Mutant | undefined;
  nowMs = START_MS;
  readonly #now = (): number => this.nowMs;
  readonly post = new Post(this.#now);
  readonly claims: Claims;
  readonly api: Api;
  readonly #operators = new Map<string, OperatorNode>();
  readonly #pods = new Map<string, PodNode>();
  readonly #links = new Set<Link>();
  #holder: string | undefined;
  #operatorLives = 0;
  /** Until when faults have an effect by themselves. */
  #faultUntilMs = START_MS;
  #defect: unknown;
  #steps = 0;
  /** What was done, for reading. */
  readonly told: string[] = [];

  constructor(story: Story, mutant?: Mutant) {
    this.story = story;
    this.#mutant = mutant;
    this.claims = new Claims(story.capacity, (uid) =>
      this.api.all('runs').find(({ metadata }) => metadata.uid === uid),
    );
    this.api = new Api(this.post, this.#now, (plural, before, after, by) => {
      if (plural === 'runs') this.claims.runWritten(before, after, by, (uid) => this.#isAnswering(uid));
      if (plural === 'pods') this.#podWritten(before, after, by);
    });
    this.api.create('runtimes', runtimeOf(story.pods, story.capacity), 'user');
    const [runtime] = this.api.all('runtimes');
    for (let i = 0; i < story.pods; i += 1) this.api.create('pods', runtimePod(runtime, `pod-${i}`), 'setup');
    for (const name of ['a', 'b'].slice(0, story.operators)) this.#startOperator(name);
    this.#settle();
    for (const run of story.runs) this.#create(run);
  }

  #isAnswering(podUid: string): boolean {
    const node = this.#pods.get(podUid);
    return [node?.server?.process, node?.runtimed].every(
      (process) => process?.isAlive === true && !this.#hasBeenAway.has(process),
    );
  }
  readonly #hasBeenAway = new Set<Process>();

  /** Runs without any choice until nothing is under way. */
  #settle(): void {
    for (let i = 0; i < 10_000; i += 1) {
      const next = this.next();
      if (next === undefined || next.atMs > this.nowMs + 5000) return;
      this.take(next);
    }
    throw new Error('the model does not come to rest at its beginning');
  }

  #create({ name, spec = {}, cancelAfterMs }: StoryRun): void {
    this.post.send({
      channel: `user ${name}`,
      label: `user creates ${name}`,
      run: () => {
        const body = {
          apiVersion: 'kruntimes.io/v1alpha1',
          kind: 'Run',
          metadata: { name, namespace: 'default' },
          spec: { runtime: 'bash', source: { inline: ':' }, ...spec },
        };
        this.api.create('runs', body as never, 'user');
        if (cancelAfterMs !== undefined)
          this.post.send({
            channel: `user ${name}`,
            label: `user cancels ${name}`,
            run: () => this.api.patch('runs', name, { spec: { cancelRequested: true } }),
            afterMs: cancelAfterMs,
          });
      },
    });
  }

  #scriptOf(runUid: string, attempt: number): Script {
    const name = runUid.slice(0, runUid.lastIndexOf('-'));
    const scripts = this.story.runs.find((run) => run.name === name)?.script ?? [{ runsMs: 10, exitCode: 0 }];
    return scripts[Math.min(attempt, scripts.length) - 1] ?? { runsMs: 10, exitCode: 0 };
  }

  // Operators and their Lease

  #startOperator(name: string): void {
    this.#operatorLives += 1;
    const process = new Process(`operator-${name}/${this.#operatorLives}`, this.#now);
    const kube = this.api.portOf(process);
    const node = new OperatorNode({
      process,
      kube: this.#mutant?.operatorKube?.(kube) ?? kube,
      nowMs: this.#now,
      sessionPort: this.#mutant?.sessionPort,
      onDefect: (cause) => {
        this.#defect ??= cause;
      },
    });
    this.#operators.set(name, node);
    process.onEnd(() => {
      if (this.#holder === name) {
        this.#holder = undefined;
        // The standby waits for the Lease to expire; one that starts again where there is none leads at once.
        if (this.#operators.size > 1) this.#electLater(LEASE_MS);
      }
      this.post.send({
        channel: `supervisor ${name}`,
        label: `operator-${name} is started again`,
        run: () => this.#startOperator(name),
        afterMs: OPERATOR_RESTART_MS,
      });
    });
    if (this.#holder === undefined && this.story.operators === 1) this.#elect(name);
    else if (this.#holder === undefined && this.#operatorLives <= 1) this.#elect(name);
  }

  #electLater(afterMs: number): void {
    this.post.send({
      channel: 'lease',
      label: 'the lease has expired',
      run: () => {
        if (this.#holder !== undefined) return;
        const next = [...this.#operators].find(([, { process }]) => process.isAlive && !process.isPaused);
        if (next) this.#elect(next[0]);
        else this.#electLater(2000);
      },
      afterMs,
    });
  }

  #elect(name: string): void {
    const node = this.#operators.get(name);
    if (!node) return;
    this.#holder = name;
    this.post.send({
      channel: `lease ${name}`,
      label: `${node.process.id} leads`,
      to: () => node.process,
      run: () => node.lead(() => this.#holder === name && this.#operators.get(name) === node),
    });
  }

  // Pods and their kubelet

  #podWritten(before: Stored | undefined, after: Stored | undefined, by: string): void {
    const uid = (after ?? before)?.metadata.uid ?? '';
    const name = (after ?? before)?.metadata.name ?? '';
    const node = this.#pods.get(uid);
    if (after === undefined) {
      // Its processes may have outlived the object, on a node that is cut off.
      if (node && !node.processes().some((process) => process.isCutOff)) node.vanish();
    } else if (before === undefined) {
      this.post.send({
        channel: `kubelet ${uid}`,
        label: `kubelet starts pod ${name}`,
        run: () => this.#startPod(name, uid),
        afterMs: by === 'setup' ? 0 : 500,
      });
    } else if (after.metadata.deletionTimestamp !== undefined) {
      if (before.metadata.deletionTimestamp === undefined) this.#terminateLater(name, uid);
    } else if (by !== 'kubelet') {
      this.#sayLater(name, uid);
    }
  }

  #startPod(name: string, uid: string): void {
    if (this.api.get('pods', name)?.metadata.uid !== uid) return;
    let areReady = false;
    this.#areContainersReady.set(uid, () => areReady);
    const node: PodNode = new PodNode({
      name,
      uid,
      capacity: this.story.capacity,
      post: this.post,
      nowMs: this.#now,
      kubeOf: (process) => this.api.portOf(process),
      accepting: () =>
        [...this.#operators.values()].find(({ process, isDeciding }) => process.isAlive && isDeciding),
      register: (link) => this.#links.add(link),
      scriptOf: (runUid, attempt) => this.#scriptOf(runUid, attempt),
      onStart: (execution) => this.claims.started(execution),
      say: ({ conditions }) => {
        areReady = (conditions as unknown as ReadonlyArray<{ status: string }>)[0]?.status === 'True';
        this.#sayLater(name, uid);
      },
      onDrained: () => this.#removed(name, uid),
      hasBeenAway: (process) => this.#hasBeenAway.has(process),
      mutant: this.#mutant,
      onDefect: (cause) => {
        this.#defect ??= cause;
      },
    });
    this.#pods.set(uid, node);
  }
  readonly #areContainersReady = new Map<string, () => boolean>();

  /** The kubelet states the pod's conditions, once the API is there to hear it. */
  #sayLater(name: string, uid: string, afterMs = 0): void {
    this.post.send({
      channel: `status ${uid}`,
      label: `kubelet states ${name}`,
      isQuiet: true,
      run: () => {
        const pod = this.api.get('pods', name);
        const node = this.#pods.get(uid);
        if (pod?.metadata.uid !== uid || node === undefined) return;
        if (!this.api.isUp) return this.#sayLater(name, uid, 1000);
        const isCutOff = node.processes().some((process) => process.isCutOff);
        const conditions = ((pod.status as { conditions?: unknown } | undefined)?.conditions ??
          []) as ReadonlyArray<{ type: string; status: string }>;
        const gate = conditions.find(({ type }) => type === 'kruntimes.io/RuntimedReady')?.status;
        const areReady = this.#areContainersReady.get(uid)?.() === true && !isCutOff;
        const status = podStatus(areReady, gate) as unknown as {
          conditions: ReadonlyArray<{ type: string; status: string }>;
        };
        const kubelets = status.conditions.filter(({ type }) => type !== 'kruntimes.io/RuntimedReady');
        this.api.patchStatus('pods', name, { ...status, conditions: kubelets } as never);
      },
      afterMs,
    });
  }

  #terminateLater(name: string, uid: string): void {
    this.post.send({
      channel: `kubelet ${uid}`,
      label: `kubelet terminates ${name}`,
      run: () => {
        const node = this.#pods.get(uid);
        if (node === undefined || node.isGone) return this.#removed(name, uid);
        node.terminate();
      },
    });
    this.post.send({
      channel: `kill ${uid}`,
      label: `kubelet kills ${name}`,
      run: () => this.#removed(name, uid),
      afterMs: 5000,
    });
  }

  #removed(name: string, uid: string): void {
    this.#pods.get(uid)?.vanish();
    this.post.send({
      channel: `kubelet ${uid}`,
      label: `kubelet removes ${name}`,
      run: () => {
        if (!this.api.isUp) return this.#removed(name, uid);
        if (this.api.get('pods', name)?.metadata.uid === uid) this.api.remove('pods', name, false, 'kubelet');
      },
      afterMs: this.api.isUp ? 0 : 1000,
    });
  }

  // Faults

  #lasts(ms: number): void {
    this.#faultUntilMs = Math.max(this.#faultUntilMs, this.nowMs + ms);
  }

  #pause(process: Process, ms: number): void {
    this.#lasts(ms);
    process.isPaused = true;
    this.#hasBeenAway.add(process);
    const at = (afterMs: number, label: string, run: () => void): void =>
      this.post.send({
        channel: `pause ${process.id} ${label}`,
        label: `${process.id} ${label}`,
        run,
        afterMs,
      });
    at(ms, 'is resumed', () => {
      process.isPaused = false;
    });
    if (ms > SILENCE_MS)
      at(SILENCE_MS, 'is silent', () => {
        if (!process.isPaused || !process.isAlive) return;
        for (const link of this.#links) {
          if (link.runtimed === process) link.hangUp();
          if (link.operator?.process === process) link.operatorIsGone();
        }
      });
    const name = [...this.#operators].find(([, node]) => node.process === process)?.[0];
    const node = name === undefined ? undefined : this.#operators.get(name);
    if (name === undefined || node === undefined || ms <= RENEW_DEADLINE_MS) return;
    at(RENEW_DEADLINE_MS, 'lost its lease', () => {
      if (this.#holder !== name || !process.isPaused || !process.isAlive) return;
      this.#holder = undefined;
      this.#electLater(LEASE_MS - RENEW_DEADLINE_MS);
      this.post.send({
        channel: `lease ${name}`,
        label: `${process.id} is deposed`,
        to: () => process,
        run: () => node.depose(),
      });
    });
  }

  #partition(node: PodNode): void {
    this.#lasts(PARTITION_MS);
    const cutOff = (isCutOff: boolean): void => {
      for (const process of node.processes()) {
        process.isCutOff = isCutOff;
        this.#hasBeenAway.add(process);
      }
    };
    cutOff(true);
    this.api.cutWatches((owner) => owner.isCutOff, fault('Unavailable', 'the network is gone'));
    for (const link of this.#links) if (link.runtimed === node.runtimed) link.cut(SILENCE_MS);
    const { name, uid } = node.setting;
    this.#sayLater(name, uid, NODE_GRACE_MS);
    this.post.send({
      channel: `network ${uid}`,
      label: `network of ${name} heals`,
      run: () => {
        cutOff(false);
        if (this.api.get('pods', name)?.metadata.uid !== uid) node.vanish();
        else this.#sayLater(name, uid);
      },
      afterMs: PARTITION_MS,
    });
  }

  /** What may happen now besides the next delivery. */
  #faults(): ReadonlyArray<Choice> {
    const faults: Choice[] = [];
    const may = (name: string, apply: () => void): void => {
      faults.push({
        name,
        apply: () => {
          this.#lasts(0);
          apply();
        },
      });
    };
    for (const [name, node] of this.#operators) {
      const { process } = node;
      if (!process.isAlive) continue;
      may(`kill operator-${name}`, () => {
        this.#lasts(OPERATOR_RESTART_MS + (this.story.operators > 1 ? LEASE_MS : 0));
        process.kill();
      });
      if (!process.isPaused) may(`pause operator-${name} 20s`, () => this.#pause(process, 20_000));
      may(`cut watches of operator-${name}`, () => this.api.cutWatches((owner) => owner === process));
      if (this.story.operators > 1 && this.#holder === name)
        may('another takes the lease', () => {
          this.#holder = undefined;
          this.#electLater(0);
          this.post.send({
            channel: `lease ${name}`,
            label: `${process.id} is deposed`,
            to: () => process,
            run: () => node.depose(),
            afterMs: 100,
          });
        });
    }
    for (const node of this.#pods.values()) {
      const { name, uid } = node.setting;
      const { runtimed, server } = node;
      if (node.isGone) continue;
      if (runtimed?.isAlive) {
        may(`kill runtimed of ${name}`, () => {
          this.#lasts(500);
          runtimed.kill();
        });
        if (!runtimed.isPaused) may(`pause runtimed of ${name} 20s`, () => this.#pause(runtimed, 20_000));
        for (const link of this.#links)
          if (link.runtimed === runtimed && link.isOpen) may(`cut session of ${name}`, () => link.cut());
      }
      if (server?.process.isAlive) {
        const { process } = server;
        may(`kill server of ${name}`, () => {
          this.#lasts(500);
          process.kill();
        });
        if (!process.isPaused) {
          may(`pause server of ${name} 3s`, () => this.#pause(process, 3000));
          // Long enough that what it runs is given up while it lives.
          may(`server of ${name} is silent 75s`, () => {
            this.#pause(process, 75_000);
            node.giveUpServer();
          });
        }
      }
      if (runtimed?.isAlive && !runtimed.isCutOff) may(`cut off ${name} 60s`, () => this.#partition(node));
      if (this.api.isUp && this.api.get('pods', name)?.metadata.uid === uid) {
        may(`delete pod ${name}`, () => this.api.remove('pods', name, true, 'user'));
        may(`pod ${name} vanishes`, () => {
          node.vanish();
          this.api.remove('pods', name, false, 'user');
        });
      }
    }
    if (this.api.isUp) {
      for (const [name, ms] of API_AWAY_MS)
        may(name, () => {
          this.#lasts(ms);
          this.api.crash();
          this.post.send({
            channel: 'api',
            label: 'API server is up',
            run: () => {
              this.api.isUp = true;
            },
            afterMs: ms,
          });
        });
      may('old versions are forgotten', () => {
        this.api.compact();
        this.api.cutWatches(() => true);
      });
      for (const { name } of this.story.runs) {
        const run = this.api.get('runs', name);
        const spec = run?.spec as Readonly<{ cancelRequested?: boolean }> | undefined;
        if (run && spec?.cancelRequested !== true)
          may(`user cancels ${name}`, () =>
            this.api.patch('runs', name, { spec: { cancelRequested: true } }),
          );
        if (run) may(`user deletes ${name}`, () => this.api.remove('runs', name, false, 'user'));
      }
    }
    return faults;
  }

  // Steps

  /** The next thing by default, and when. */
  next(): Next | undefined {
    let best: Next | undefined;
    const better = (candidate: Next): void => {
      if (
        best === undefined ||
        candidate.atMs < best.atMs ||
        (candidate.atMs === best.atMs && candidate.rank < best.rank)
      )
        best = candidate;
    };
    for (const item of this.post.heads())
      better({
        atMs: Math.max(item.readyMs, this.nowMs),
        rank: item.isQuiet ? item.seq - 1e12 : item.seq,
        label: item.label,
        item,
      });
    for (const process of this.#processes()) {
      const due = process.isPaused ? undefined : process.clock.nextMs;
      if (due === undefined || due > this.nowMs + 600_000) continue;
      better({ atMs: Math.max(due, this.nowMs), rank: 1e12, label: `${process.id} timer`, process });
    }
    return best;
  }

  #processes(): ReadonlyArray<Process> {
    return [
      ...[...this.#operators.values()].map(({ process }) => process),
      ...[...this.#pods.values()].flatMap((node) => node.processes()),
    ].filter(({ isAlive }) => isAlive);
  }

  /** Makes the step. */
  take({ atMs, item, process, label }: Next): void {
    this.#steps += 1;
    if (this.#steps > MOST_STEPS) throw new Violation('the world comes to rest', `at ${label}`);
    this.nowMs = atMs;
    if (item) {
      this.post.take(item);
      const to = item.to();
      if (to instanceof Process) to.told(`${label}@${atMs}`);
      item.run();
    } else if (process) {
      process.told(`timer@${atMs}`);
      process.clock.fire();
    }
    if (!item?.isQuiet) this.told.push(`${atMs - START_MS} ${label}`);
    this.#check();
  }

  /** Holds back what would be next. */
  #hold(item: Item, ms: number): void {
    item.readyMs = Math.max(item.readyMs, this.nowMs) + ms;
    this.#lasts(ms);
    if (ms >= SERVER_LOST_MS.gone) this.#wereAway();
    this.told.push(`${this.nowMs - START_MS} HELD ${ms} ms: ${item.label}`);
  }

  #lose(item: Item): void {
    this.post.take(item);
    this.#lasts(0);
    this.told.push(`${this.nowMs - START_MS} LOST: ${item.label}`);
    this.#wereAway();
    item.lose?.();
    this.#check();
  }

  /** Who did not answer may be taken for lost. */
  #wereAway(): void {
    for (const node of this.#pods.values())
      for (const process of node.processes()) this.#hasBeenAway.add(process);
  }

  #befall({ name, apply }: Choice): void {
    this.told.push(`${this.nowMs - START_MS} FAULT: ${name}`);
    apply();
    this.#check();
  }

  #check(): void {
    if (this.#defect !== undefined)
      throw new Violation('nothing throws', String((this.#defect as Error).stack ?? this.#defect));
  }

  /** Everything has ended and nothing is left of it. */
  isDone(): boolean {
    const runs = this.api.all('runs');
    const created = this.story.runs.every(({ name }) => !this.post.has(`user ${name}`));
    return created && runs.every((run) => isTerminal(phase(run))) && this.#leftovers().length === 0;
  }

  #leftovers(): ReadonlyArray<string> {
    return [...this.#pods.values()]
      .filter(({ isGone }) => !isGone)
      .flatMap(({ setting: { name }, holdings, disk, server, runtimed }) => [
        ...(runtimed?.isAlive ? [] : [`runtimed of ${name} is down`]),
        ...(holdings?.held() ?? []).map((ref) => `${name} holds ${ref.uid}/${ref.attempt}`),
        ...[...disk.keys()].map((id) => `the disk of ${name} has ${id}`),
        ...[...(server?.executions.keys() ?? [])].map((id) => `the server of ${name} knows ${id}`),
      ]);
  }

  /** One step by default. Throws when it comes too late: nothing may be stuck so long after the last fault. */
  go(): void {
    const next = this.next();
    if (next === undefined || next.atMs > this.#faultUntilMs + STUCK_AFTER_MS)
      throw new Violation(
        'every Run ends',
        `${STUCK_AFTER_MS / 1000} s after the last fault: ${this.#plight()}`,
      );
    this.take(next);
  }

  /** Goes on without further faults until all has ended. */
  finish(): void {
    while (!this.isDone()) this.go();
  }

  #plight(): string {
    const runs = this.api.all('runs').map((run) => {
      const { phase: p, attempt, assignedPod } = (run.status ?? {}) as Readonly<Record<string, unknown>>;
      return `${run.metadata.name} is ${String(p ?? 'Pending')}/${String(attempt ?? 0)} on ${String(assignedPod)}`;
    });
    return [...runs, ...this.#leftovers()].join('; ');
  }

  /**
   * After the end: as many Runs as there is room for are all assigned without time passing, so nothing of the room is
   * lost; and they end.
   */
  probe(): void {
    const pods = this.story.pods;
    this.#rest(Math.max(0, this.#faultUntilMs - this.nowMs) + REST_MS);
    this.#whenServing(pods);
    const names = Array.from({ length: pods * this.story.capacity }, (_, i) => `probe${i}`);
    for (const name of names) this.#create({ name, script: [] });
    const beganMs = this.nowMs;
    for (let next = this.next(); next !== undefined && next.atMs <= beganMs + 1; next = this.next())
      this.take(next);
    const waiting = names.filter((name) => phase(this.api.get('runs', name)) === 'Pending');
    if (waiting.length > 0)
      throw new Violation('no room is lost', `${waiting.length} Runs wait though all pods are free`);
    this.#faultUntilMs = this.nowMs;
    this.finish();
  }

  /** Lets time pass: every watch is open again, every alarm has rung. */
  #rest(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let next = this.next(); next !== undefined && next.atMs <= untilMs; next = this.next())
      this.take(next);
    this.nowMs = untilMs;
  }

  /** Until every wanted pod serves. */
  #whenServing(pods: number): void {
    const limitMs = this.nowMs + 120_000;
    const serving = (): number => {
      const [leader] = [...this.#operators.values()].filter(({ isDeciding }) => isDeciding);
      const { world } = leader ?? {};
      if (!world) return 0;
      return [...world.pods.values()].filter(
        (pod) =>
          !pod.terminating &&
          pod.cordonedSince === undefined &&
          world.sessions.get(pod.uid as PodUid)?.healthy === true,
      ).length;
    };
    while (serving() < pods) {
      const next = this.next();
      if (next === undefined || next.atMs > limitMs)
        throw new Violation('the pods come back', `${serving()} of ${pods} serve`);
      this.take(next);
    }
  }

  /** What may be chosen now instead of the next delivery: its names, stable over replays. */
  choices(): ReadonlyArray<Choice> {
    const next = this.next();
    const item =
      next !== undefined && next.atMs === this.nowMs && !next.item?.isQuiet ? next.item : undefined;
    if (next?.item?.isQuiet) return [];
    return [
      ...(item && !item.isPrompt
        ? HOLDS_MS.map((ms) => ({ name: `hold ${ms} ms`, apply: () => this.#hold(item, ms) }))
        : []),
      ...(item?.lose ? [{ name: 'lose', apply: () => this.#lose(item) }] : []),
      ...this.#faults().map((fault) => ({ name: fault.name, apply: () => this.#befall(fault) })),
    ];
  }

  /** Ends all of it. */
  close(): void {
    for (const node of this.#pods.values()) node.isGone = true;
    for (const process of this.#processes()) process.kill();
  }

  /** Equal for worlds whose futures are equal. */
  digest(): string {
    const operators = [...this.#operators.values()].map(
      ({ process: p }) => `${p.id}${p.digest}${p.isAlive}${p.isPaused}${p.isCutOff}`,
    );
    const pods = [...this.#pods.values()].map(
      (node) =>
        node.digest +
        node
          .processes()
          .map((p) => `${p.isPaused}${p.isCutOff}${this.#hasBeenAway.has(p)}`)
          .join(),
    );
    const rest = [
      this.nowMs,
      this.#faultUntilMs,
      this.#holder,
      this.api.digest,
      this.post.digest(this.nowMs),
    ];
    return hash([...operators, ...pods, ...rest].join('|'));
  }
}

/** One step that may be taken. */
export type Next = Readonly<{
  atMs: number;
  rank: number;
  label: string;
  item?: Item;
  process?: Process;
}>;

const phase = (run: Stored | undefined): Phase =>
  ((run?.status as { phase?: Phase } | undefined)?.phase ?? 'Pending') as Phase;
