/** What may go wrong on the whole control plane: a part and what befalls it, for how long. */
import { firstValueFrom } from 'rxjs';

import { pods } from '../../src/model/resources.js';
import type { Mishap, Rule } from './api-proxy.js';
import type { FaultyPlane } from './plane.js';

/** A fault. Resolves when it is over, as far as it has an end of its own. */
export type Fault = Readonly<{ name: string; apply: (plane: FaultyPlane) => Promise<void> }>;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const signal = (pid: number | undefined, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void => {
  try {
    if (pid !== undefined) process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
};

const PARTS: Readonly<Record<string, string>> = {
  operator: 'controller.js',
  runtimed: 'runtimed.js',
  'Runtime Server': 'bash-runtime.js',
  'API server': 'apiserver.js',
  kubelet: 'kubelet.js',
};

const killed = (part: string, program: string): Fault => ({
  name: `${part} killed`,
  apply: async (plane) => signal(plane.pidsOf(program)[0], 'SIGKILL'),
});

const paused = (part: string, program: string, seconds: number): Fault => ({
  name: `${part} paused ${seconds} s`,
  apply: async (plane) => {
    const [pid] = plane.pidsOf(program);
    signal(pid, 'SIGSTOP');
    await sleep(seconds * 1000);
    signal(pid, 'SIGCONT');
  },
});

/** Runs for a tenth of the time: stopped and continued in turn. */
const slowed = (part: string, program: string): Fault => ({
  name: `${part} slowed`,
  apply: async (plane) => {
    const [pid] = plane.pidsOf(program);
    for (let i = 0; i < 30; i += 1) {
      signal(pid, 'SIGSTOP');
      await sleep(90);
      signal(pid, 'SIGCONT');
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
  (how: Extract<Mishap, { kind: 'watch' }>['how']): Rule =>
  ({ isWatch }) =>
    isWatch ? { kind: 'watch', how } : undefined;

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
  boundary('400 ms late', always({ kind: 'delay', ms: 400 })),
  boundary('half-open', always({ kind: 'silence' }), 5),
  boundary('watch events repeated', watches('repeat')),
  boundary('watch events late', watches('late'), 4),
  boundary('watches cut in the middle of an event', watches('cut'), 4),
  boundary('410 for every watch', watches('gone')),
];

/** The faults that take minutes. */
export const LONG_FAULTS: ReadonlyArray<Fault> = Object.entries(PARTS).flatMap(([part, program]) => [
  paused(part, program, 20),
  paused(part, program, 60),
]);
