/** What may go wrong on the whole control plane: a part and what befalls it, for how long. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';

import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom, map, of, timeout } from 'rxjs';

import { configMaps, pods } from '../../src/model/resources.js';
import type { Mishap, Rule, WatchMishap } from './api-proxy.js';
import type { DiskName, FaultyPlane } from './plane.js';

/** A fault. `apply` resolves when it is over, as far as it has an end of its own; `chance`: from 0 to 1, each time anew. */
export type Fault = Readonly<{
  name: string;
  apply: (plane: FaultyPlane, chance: () => number) => Promise<void>;
  /** The Runs leave an artifact, too. */
  withArtifact?: boolean;
  /** Why it cannot be played on this plane. */
  lacks?: (plane: FaultyPlane) => string | undefined;
  /** The API forgets what it had said: only what happens in the end can be asked. */
  rewinds?: boolean;
  /** Promises, by their first words, that the fault itself breaks. */
  excuses?: ReadonlyArray<string>;
  /** Before the Runs are made. */
  before?: (plane: FaultyPlane) => Promise<void>;
  /** When all Runs have ended. */
  after?: (plane: FaultyPlane) => Promise<void>;
}>;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Tells a process, if it is there. */
export const signal = (pid: number | undefined, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void => {
  try {
    if (pid !== undefined) process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
};

/** Stops a process for so long, milliseconds. */
export const stopFor = async (pid: number | undefined, ms: number): Promise<void> => {
  signal(pid, 'SIGSTOP');
  await sleep(ms);
  signal(pid, 'SIGCONT');
};

const ANSWERS_MS = 120_000;

/** The pause before the API server is started again doubles: a fault is over when it answers; rejects after two minutes. */
export const answers = async ({ kube }: FaultyPlane): Promise<void> => {
  const untilMs = Date.now() + ANSWERS_MS;
  while (E.isLeft(await firstValueFrom(kube.list(pods, { namespace: 'default' })))) {
    if (Date.now() > untilMs) throw new Error('the API server does not answer two minutes after the fault');
    await sleep(100);
  }
};

/** The parts, and the programs that they are. */
export const PARTS: Readonly<Record<string, string>> = {
  operator: 'controller.js',
  runtimed: 'runtimed.js',
  'Runtime Server': 'bash-runtime.js',
  'API server': 'apiserver.js',
  kubelet: 'kubelet.js',
};

/** The first of a program's processes, which has to be there: a fault of nobody says nothing. */
export const theProcess = (plane: Pick<FaultyPlane, 'pidsOf'>, program: string): number => {
  const [pid] = plane.pidsOf(program);
  if (pid === undefined) throw new Error(`no ${program} is there: the cell says nothing`);
  return pid;
};

const killed = (part: string, program: string): Fault => ({
  name: `${part} killed`,
  apply: async (plane) => signal(theProcess(plane, program), 'SIGKILL'),
});

const paused = (part: string, program: string, seconds: number): Fault => ({
  name: `${part} paused ${seconds} s`,
  apply: (plane) => stopFor(theProcess(plane, program), seconds * 1000),
});

/** Runs for a tenth of the time: stopped and continued in turn. */
const slowed = (part: string, program: string): Fault => ({
  name: `${part} slowed`,
  apply: async (plane) => {
    const pid = theProcess(plane, program);
    for (let i = 0; i < 30; i += 1) {
      await stopFor(pid, 90);
      await sleep(10);
    }
  },
});

const boundary = (name: string, rule: Rule, seconds = 2): Fault => ({
  name: `API: ${name}`,
  apply: async (plane) => {
    plane.api.set(rule);
    // Watches that are open must meet it, too.
    plane.api.breakOff();
    await sleep(seconds * 1000);
    plane.api.set(undefined);
    plane.api.breakOff();
  },
});

const always =
  (mishap: Mishap): Rule =>
  () =>
    mishap;
const writes =
  (mishap: Mishap): Rule =>
  ({ method }) =>
    method === 'GET' ? undefined : mishap;
const watches =
  (how: WatchMishap): Rule =>
  ({ isWatch }) =>
    isWatch ? { kind: 'watch', how } : undefined;

const lacksEtcd = ({ cluster }: FaultyPlane): string | undefined =>
  cluster === undefined ? 'the embedded API server has no etcd' : undefined;

/** kube-apiserver without its store; a fault is over when it answers again. */
export const ETCD_FAULTS: ReadonlyArray<Fault> = [
  {
    name: 'etcd killed',
    lacks: lacksEtcd,
    apply: async (plane) => {
      signal(plane.cluster?.etcdPid(), 'SIGKILL');
      await answers(plane);
    },
  },
  ...[1, 10].map(
    (seconds): Fault => ({
      name: `etcd paused ${seconds} s`,
      lacks: lacksEtcd,
      apply: async (plane) => {
        await stopFor(plane.cluster?.etcdPid(), seconds * 1000);
        await answers(plane);
      },
    }),
  ),
  {
    name: 'etcd away 5 s',
    lacks: lacksEtcd,
    apply: async (plane) => {
      await plane.cluster?.withoutEtcd(() => sleep(5000));
      await answers(plane);
    },
  },
];

/** All faults, the longer pauses apart. */
export const FAULTS: ReadonlyArray<Fault> = [
  ...Object.entries(PARTS).flatMap(([part, program]) => [
    killed(part, program),
    paused(part, program, 1),
    slowed(part, program),
  ]),
  {
    name: 'pod deleted by force',
    apply: async (plane) => {
      const [name = ''] = await plane.podNames();
      await firstValueFrom(
        plane.kube.delete(pods, { namespace: 'default', name }, { gracePeriodSeconds: 0 }),
      );
    },
  },
  {
    name: 'pod deleted',
    apply: async (plane) => {
      const [name = ''] = await plane.podNames();
      await firstValueFrom(plane.kube.delete(pods, { namespace: 'default', name }));
    },
  },
  {
    name: 'sessions slow: 200 ms late, 32 KiB/s',
    apply: async (plane) => {
      plane.sessions.slow({ delayMs: 200, bytesPerSecond: 32 * 1024 });
      await sleep(5000);
      plane.sessions.slow(undefined);
    },
  },
  { name: 'sessions cut', apply: async (plane) => plane.sessions.cut() },
  {
    name: 'sessions cut off 10 s',
    apply: async (plane) => {
      plane.sessions.refuse(true);
      plane.sessions.cut();
      await sleep(10_000);
      plane.sessions.refuse(false);
    },
  },
  {
    name: 'sessions half-open 10 s',
    apply: async (plane) => {
      plane.sessions.freeze(true);
      await sleep(10_000);
      plane.sessions.freeze(false);
    },
  },
  boundary('409 for every write', writes({ kind: 'answer', status: 409 })),
  boundary('429 with Retry-After', always({ kind: 'answer', status: 429, retryAfterSeconds: 1 })),
  boundary('500', always({ kind: 'answer', status: 500 })),
  boundary('503', always({ kind: 'answer', status: 503 })),
  boundary('requests lost', always({ kind: 'reset', when: 'before' })),
  boundary('answers lost', writes({ kind: 'reset', when: 'after' })),
  boundary('half of each answer', always({ kind: 'halve' })),
  boundary('half of each watch event', watches('halve'), 4),
  boundary('400 ms late', always({ kind: 'delay', ms: 400 })),
  boundary('half-open', always({ kind: 'silence' }), 5),
  boundary('watch events repeated', watches('repeat')),
  boundary('watch events late', watches('late'), 4),
  boundary('watches cut in the middle of an event', watches('cut'), 4),
  boundary('410 for every watch', watches('gone')),
];

/** While it lasts the folder of the store is a file. */
const storeReplaced: Fault = {
  name: 'artifact store unwritable 5 s',
  withArtifact: true,
  apply: async ({ artifacts }) => {
    // One that nobody has used yet is not there.
    mkdirSync(artifacts, { recursive: true, mode: 0o700 });
    renameSync(artifacts, `${artifacts}.away`);
    writeFileSync(artifacts, '');
    await sleep(5000);
    rmSync(artifacts);
    renameSync(`${artifacts}.away`, artifacts);
  },
};

const diskFull = (what: string, names: ReadonlyArray<DiskName>, more: Partial<Fault> = {}): Fault => ({
  ...more,
  name: `disk full 5 s: ${what}`,
  lacks: ({ disks }) => (typeof disks === 'string' ? disks : undefined),
  apply: async ({ disks }) => {
    if (typeof disks === 'string') return;
    // What is removed meanwhile makes room: it is taken, too.
    for (const untilMs = Date.now() + 5000; Date.now() < untilMs; ) {
      for (const name of names) disks[name].fill();
      await sleep(20);
    }
    for (const name of names) disks[name].free();
  },
});

/**
 * What the API server still has room for is used up: it makes some ahead, and a page is larger than a record. etcd ends of
 * it, and is started again and again; who asks kube-apiserver meanwhile waits.
 */
const apiDiskFull: Fault = {
  ...diskFull('API server', ['store']),
  apply: async (plane) => {
    if (typeof plane.disks === 'string') return;
    const untilMs = Date.now() + 5000;
    const etcd = plane.cluster?.etcdPid();
    const made: string[] = [];
    const refused = async (bytes: number): Promise<boolean> => {
      const name = `room-${made.length}`;
      const object = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { namespace: 'default', name },
        data: { text: 'x'.repeat(bytes) },
      };
      const isMade = await firstValueFrom(
        plane.kube
          .create(configMaps, 'default', object)
          .pipe(map(E.isRight), timeout({ first: Math.max(untilMs - Date.now(), 0), with: () => of(false) })),
      );
      if (isMade) made.push(name);
      return !isMade;
    };
    let refusals = 0;
    while (Date.now() < untilMs) {
      plane.disks.store.fill();
      for (const bytes of [500_000, 1]) while (!(await refused(bytes))) plane.disks.store.fill();
      refusals += 1;
    }
    plane.disks.store.free();
    await answers(plane);
    if (refusals === 0 || (etcd !== undefined && etcd === plane.cluster?.etcdPid()))
      throw new Error('the disk of the API server was never full');
    for (const name of made)
      await firstValueFrom(plane.kube.delete(configMaps, { namespace: 'default', name }));
  },
};

/** Faults of what is written to. */
export const STORAGE_FAULTS: ReadonlyArray<Fault> = [
  storeReplaced,
  diskFull('artifact store', ['volumes'], { withArtifact: true }),
  apiDiskFull,
  diskFull('workspaces and the state of runtimed', ['pods']),
  diskFull('logs', ['logs']),
  diskFull('all of it', ['store', 'pods', 'logs', 'volumes'], { withArtifact: true }),
];

/** Faults of one of two operators. Only what is to be dispatched notices. */
export const STANDBY_FAULTS: ReadonlyArray<Fault> = [
  { name: 'leader killed', apply: async (plane) => signal(await plane.leader(), 'SIGKILL') },
  {
    name: 'standby killed',
    apply: async (plane) => {
      const leader = await plane.leader();
      const [standby] = plane.pidsOf('controller.js').filter((pid) => pid !== leader);
      if (standby === undefined) throw new Error('nobody stands by: the cell says nothing');
      signal(standby, 'SIGKILL');
    },
  },
  ...[1, 20].map(
    (seconds): Fault => ({
      name: `leader paused ${seconds} s`,
      apply: async (plane) => stopFor(await plane.leader(), seconds * 1000),
    }),
  ),
];

/** Those that are played on kube-apiserver, too, in npm run test:cluster. */
export const ON_CLUSTERS: ReadonlyArray<string> = [
  'runtimed killed',
  'API server killed',
  'pod deleted by force',
  'API: answers lost',
  'API: 409 for every write',
  'API: 410 for every watch',
];

/** The faults that take minutes. */
export const LONG_FAULTS: ReadonlyArray<Fault> = Object.entries(PARTS).flatMap(([part, program]) => [
  paused(part, program, 20),
  paused(part, program, 60),
]);
