/**
 * What one change costs the operator does not grow with what else there is: not with finished Runs, with waiting ones,
 * with active ones, nor with pods. Counted in steps of the code, so it holds on any machine.
 *
 * Allowed is what a tree adds as it grows: a few steps per tenfold.
 */
import { expect } from 'chai';

import { cancellations } from '../../src/decide/cancellation.js';
import { cleanup } from '../../src/decide/cleanup/cleanup.js';
import { deliveries } from '../../src/decide/deliveries.js';
import { expiry } from '../../src/decide/expiry.js';
import { grants } from '../../src/decide/grants.js';
import { history } from '../../src/decide/history.js';
import { lostPods } from '../../src/decide/lost-pods.js';
import { marks } from '../../src/decide/marks.js';
import { notes } from '../../src/decide/notes.js';
import { podReadiness } from '../../src/decide/pod-readiness.js';
import { pods } from '../../src/decide/pods.js';
import { runtimeStatus } from '../../src/decide/runtime-status.js';
import { schedule } from '../../src/decide/schedule.js';
import { timeouts } from '../../src/decide/timeouts.js';
import type { Command } from '../../src/model/command.js';
import type { PodRecord } from '../../src/model/pod.js';
import type { RunRecord } from '../../src/model/run-record.js';
import type { WorldChange } from '../../src/model/world.js';
import { type AWorld, aWorld } from '../support/a-world.js';
import { aPod, aRun, aRuntime, at, runningOn, scheduledOn } from '../support/builders.js';
import { canCountWork, countWork } from '../support/work.js';

/** All of the operator's decisions over one world. */
const operator = () => {
  const w = aWorld();
  const onNews = [
    schedule(w.world),
    grants(w.world),
    pods(w.world, { revisionOf: () => 'r1', random: () => 0.5 }),
    podReadiness(w.world),
    runtimeStatus(w.world, () => 'r1'),
    deliveries(w.world),
    expiry(w.world),
    history(w.world, 1_000_000),
    cleanup(w.world, { random: () => 0.5 }),
  ];
  const onChanges = [lostPods(w.world), timeouts(w.world), notes()];
  const commands: Command[] = [];
  const take = (change: WorldChange, nowMs = 0): ReadonlyArray<Command> => {
    const made = [
      ...onNews.flatMap((machine) => [...machine.apply({ kind: 'Change', change }, nowMs)]),
      ...onChanges.flatMap((machine) => [...machine.apply(change, nowMs)]),
      ...cancellations(w.world, change),
      ...marks(change),
    ];
    commands.push(...made);
    return made;
  };
  const wake = (nowMs: number): ReadonlyArray<Command> =>
    [...onNews, ...onChanges].flatMap((machine) =>
      (machine.dueMs?.() ?? Infinity) <= nowMs ? [...(machine.wake?.(nowMs) ?? [])] : [],
    );
  return { w, take, wake };
};

type Operator = ReturnType<typeof operator>;

/** What there is besides: so many of something. */
const SURROUNDINGS: Readonly<Record<string, (o: Operator, n: number) => void>> = {
  'finished Runs': ({ w, take }, n) => {
    for (let i = 0; i < n; i += 1)
      take(
        w.run(
          aRun(`old-${i}`, {
            status: { phase: 'Succeeded', completionTime: at(i), attempt: 1 },
            ttlSeconds: 86_400 + i,
          }),
        ),
      );
  },
  'waiting Runs': ({ w, take, wake }, n) => {
    for (let i = 0; i < n; i += 1) take(w.run(aRun(`waiting-${i}`, { createdAt: at(i) })));
    wake(1_000);
  },
  'active Runs': ({ w, take, wake }, n) => {
    const pod = aPod('big', { capacity: { runs: n } });
    take(w.pod(pod));
    take(w.opened(pod));
    for (let i = 0; i < n; i += 1)
      take(w.run(aRun(`active-${i}`, { status: runningOn(pod), timeoutMs: 1_000_000 + i })));
    wake(3_000);
  },
  pods: ({ w, take, wake }, n) => {
    for (let i = 0; i < n / 10; i += 1) {
      const pod = aPod(`pod-${i}`, { capacity: { runs: 0 } });
      take(w.pod(pod));
      take(w.opened(pod));
    }
    wake(3_000);
  },
};

const firstPod = (w: AWorld): PodRecord => {
  const pod = [...w.world.pods.values()][0];
  if (pod === undefined) throw new Error('no pod');
  return pod;
};

/** The changes of a Run's life, and of a pod's. Each prepares, and returns what is to be counted. */
const CHANGES: Readonly<Record<string, (o: Operator) => () => void>> = {
  'a Run that is created': ({ w, take }) => {
    const run = aRun('new', { createdAt: at(10_000_000) });
    return () => take(w.run(run));
  },
  'the explanation of a Run that has to wait': ({ w, take, wake }) => {
    wake(10_000);
    take(w.run(aRun('newest', { createdAt: at(10_000_001) })), 10_001);
    return () => wake(11_000);
  },
  'a Run that is assigned': ({ w, take }) => {
    const pod = firstPod(w);
    take(w.run(aRun('one')));
    const run = aRun('one', { status: scheduledOn(pod) });
    return () => take(w.run(run));
  },
  'a Run that ends and leaves its slot to the next': ({ w, take }) => {
    const run: RunRecord = aRun('two', { status: runningOn(firstPod(w)) });
    take(w.run(run));
    const ended = { ...run, status: { ...run.status, phase: 'Succeeded', completionTime: at(5) } as const };
    return () => take(w.run(ended));
  },
  'a Run that is deleted': ({ w, take }) => {
    const run = aRun('three', { status: { phase: 'Failed' } });
    take(w.run(run));
    return () => take(w.runGone(run));
  },
  'a pod that falls ill': ({ w, take }) => {
    const pod = firstPod(w);
    return () => take(w.changed(pod, { healthy: false, healthMessage: 'no answer' }));
  },
  'a pod whose status changes': ({ w, take }) => {
    const pod = firstPod(w);
    return () => take(w.pod({ ...pod, containersReady: false, ready: false }));
  },
};

const SMALL = 1_000;
const LARGE = 16_000;

/** Steps of each change, among so many of something. */
const costs = (surround: (o: Operator, n: number) => void, n: number): ReadonlyMap<string, number> => {
  const o = operator();
  o.take(o.w.runtime(aRuntime({ replicas: 1 + n / 10 })));
  const pod = aPod('first', { capacity: { runs: 4 } });
  o.take(o.w.pod(pod));
  o.take(o.w.opened(pod));
  surround(o, n);
  return new Map(
    Object.entries(CHANGES).map(([name, prepare]) => {
      const change = prepare(o);
      return [name, countWork(change)];
    }),
  );
};

describe('work per change', () => {
  before(function () {
    if (!canCountWork) this.skip();
  });

  for (const [what, surround] of Object.entries(SURROUNDINGS))
    it(`is the same with ${LARGE} as with ${SMALL} ${what}`, () => {
      const [small, large] = [costs(surround, SMALL), costs(surround, LARGE)];
      for (const [change, steps] of large) {
        const before = small.get(change) ?? 0;
        expect(before, `${change}: counted nothing`).to.be.above(10);
        expect(steps, `${change}: ${before} steps among ${SMALL}`).to.be.below(before * 1.5 + 50);
      }
    });

  it('is the same for each of many pods that come, open their sessions and become ready together', () => {
    const perPod = (n: number): number => {
      const { w, take, wake } = operator();
      take(w.runtime(aRuntime({ replicas: n })));
      const many = Array.from({ length: n }, (_, i) => aPod(`pod-${i}`, { ready: false }));
      const steps = countWork(() => {
        for (const pod of many) take(w.pod(pod));
        wake(1);
        for (const pod of many) take(w.opened(pod));
        wake(2);
        for (const pod of many) take(w.pod({ ...pod, ready: true }));
        wake(10_000);
      });
      return steps / n;
    };
    const [few, many] = [perPod(200), perPod(3_200)];
    expect(many, `${few} steps each of 200`).to.be.below(few * 1.5);
  });
});
