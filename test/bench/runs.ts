/** Creates Runs and sees their ends, as any client would: one watch, one kept connection, a clock of its own. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import type { Subscription } from 'rxjs';

import { nowMicros } from '../../src/io/wall-clock.js';
import { runs } from '../../src/model/resources.js';
import { isTerminal, Phase } from '../../src/model/run.js';
import { Instant } from '../../src/model/time.js';
import type { KubePort } from '../../src/ports.js';
import { answer } from '../e2e/attach.js';

/** Of a Run as it is watched, what figures need. */
const Watched = t.type({
  metadata: t.type({ name: t.string, resourceVersion: t.string }),
  status: t.union([
    t.undefined,
    t.partial({
      phase: Phase,
      attempt: t.number,
      message: t.string,
      scheduledTime: Instant,
      startTime: Instant,
      completionTime: Instant,
    }),
  ]),
});
type Watched = t.TypeOf<typeof Watched>;

/** One Run, from its creation to its end. Instants are this process's steady clock, milliseconds. */
export type Sample = Readonly<{
  name: string;
  phase: string;
  message: string;
  /** Just before the request was sent; when its answer was there; when the watch brought the end. */
  began: number;
  created: number;
  seen: number;
  /** The same two ends by the wall clock, and what the status says, microseconds. */
  beganMicros: number;
  seenMicros: number;
  scheduledMicros: number;
  startMicros: number;
  completionMicros: number;
  /** Versions of the Run that the watch brought after the first: writes to it after its creation. */
  writes: number;
}>;

/** What a Run is made of. */
export type RunSpec = Readonly<Record<string, unknown>>;

/** An end as the watch brought it. */
export type Ended = Readonly<{ run: Watched; seen: number; seenMicros: number; writes: number }>;

/** The bench's client of Runs. */
export type Runs = Readonly<{
  /** Creates one; resolves when it is answered. */
  create: (name: string, spec: RunSpec) => Promise<void>;
  /** Resolves when the watch brings its end; may be asked before it is created. */
  end: (name: string) => Promise<Ended>;
  /** Resolves when the watch brings this phase, or the end. */
  phase: (name: string, phase: Phase) => Promise<void>;
  /** Creates one; when its creation was answered, and its whole life. */
  start: (name: string, spec: RunSpec) => Readonly<{ answered: Promise<void>; ended: Promise<Sample> }>;
  /** Creates one and waits for its end. */
  run: (name: string, spec: RunSpec) => Promise<Sample>;
  cancel: (name: string) => Promise<void>;
  /** Names that no other bench has used. */
  name: () => string;
  close: () => void;
}>;

/** Both clocks were read at one instant if the steady one moved by less than this meanwhile, milliseconds. */
const AT_ONCE_MS = 0.05;

/** Now by both clocks. A process that is put aside between the two readings reads again. */
const now = (): Readonly<{ steady: number; micros: number }> => {
  for (;;) {
    const before = performance.now();
    const micros = nowMicros();
    const steady = performance.now();
    if (steady - before < AT_ONCE_MS) return { steady, micros };
  }
};

/** Watches from now on. Rejects all waits when the watch ends. */
export const openRuns = async ({
  kube,
  namespace,
}: Readonly<{ kube: KubePort; namespace: string }>): Promise<Runs> => {
  const page = await answer(kube.list(runs, { namespace }, { limit: 1 }));
  const ends = new Map<string, (ended: Ended) => void>();
  const phases = new Map<string, () => void>();
  const versions = new Map<string, number>();
  const known = new Map<string, Ended>();
  const failures: Array<(error: Error) => void> = [];
  const fail = (message: string): void => {
    for (const reject of failures) reject(new Error(message));
  };
  const take = (run: Watched): void => {
    const { name } = run.metadata;
    const count = versions.get(name) ?? 0;
    versions.set(name, count + 1);
    const phase = run.status?.phase ?? 'Pending';
    phases.get(`${name}/${phase}`)?.();
    if (!isTerminal(phase) || known.has(name)) return;
    const { steady: seen, micros: seenMicros } = now();
    const ended: Ended = { run, seen, seenMicros, writes: count };
    known.set(name, ended);
    ends.get(name)?.(ended);
  };
  const watching: Subscription = kube
    .watch(
      runs,
      { namespace },
      { resourceVersion: page.resourceVersion, timeoutSeconds: 7_200, idleMs: 7_200_000 },
    )
    .subscribe({
      next: (frame) => {
        if (E.isLeft(frame)) fail(frame.left.message);
        else if (frame.right.type === 'ADDED' || frame.right.type === 'MODIFIED') {
          const run = Watched.decode(frame.right.object);
          if (E.isRight(run)) take(run.right);
          else fail('the watch brought something that is no Run');
        }
      },
      complete: () => fail('the watch of Runs has ended'),
    });
  const tag = Date.now().toString(36);
  let serial = 0;

  const end: Runs['end'] = (name) =>
    new Promise((resolve, reject) => {
      const ended = known.get(name);
      if (ended !== undefined) resolve(ended);
      else {
        ends.set(name, resolve);
        failures.push(reject);
      }
    });
  const create: Runs['create'] = async (name, spec) => {
    await answer(
      kube.create(runs, namespace, {
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Run',
        metadata: { name, labels: { 'kruntimes.io/bench': tag } },
        spec,
      }),
    );
  };
  const start: Runs['start'] = (name, spec) => {
    const ending = end(name);
    const { steady: began, micros: beganMicros } = now();
    let created = Number.NaN;
    const answered = create(name, spec).then(() => {
      created = performance.now();
    });
    const ended = async (): Promise<Sample> => {
      await answered;
      const { run, seen, seenMicros, writes } = await ending;
      const { phase = 'Pending', message = '', scheduledTime, startTime, completionTime } = run.status ?? {};
      ends.delete(name);
      return {
        name,
        phase,
        message,
        began,
        created,
        seen,
        beganMicros,
        seenMicros,
        scheduledMicros: scheduledTime ?? Number.NaN,
        startMicros: startTime ?? Number.NaN,
        completionMicros: completionTime ?? Number.NaN,
        writes,
      };
    };
    return { answered, ended: ended() };
  };
  return {
    create,
    end,
    phase: (name, phase) =>
      new Promise((resolve, reject) => {
        phases.set(`${name}/${phase}`, resolve);
        failures.push(reject);
      }),
    start,
    run: (name, spec) => start(name, spec).ended,
    cancel: async (name) => {
      await answer(
        kube.patch(runs, { namespace, name }, { type: 'merge', body: { spec: { cancelRequested: true } } }),
      );
    },
    name: () => {
      serial += 1;
      return `bench-${tag}-${serial}`;
    },
    close: () => watching.unsubscribe(),
  };
};
