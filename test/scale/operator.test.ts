/**
 * The whole operator in virtual time, counted: how many timers it has and how often it wakes, and what it writes.
 *
 * - With a thousand Runs that only run, it wakes no more often than with none.
 * - However many deadlines there are, each pipeline has one timer at most.
 * - A short Run costs it one write to the Run; its end costs none.
 */
import { expect } from 'chai';
import {
  concat,
  NEVER,
  of,
  type SchedulerAction,
  type SchedulerLike,
  Subject,
  VirtualTimeScheduler,
} from 'rxjs';

import { pods, runs, runtimes } from '../../src/model/resources.js';
import type { SessionEvent } from '../../src/model/session.js';
import { formatMicros } from '../../src/model/time.js';
import { type OperatorReport, operator } from '../../streams/operator.js';
import { seeded } from '../bench/load.js';
import { aPod, aSession, at } from '../support/builders.js';
import { type ApiObject, tinyApi } from '../support/tiny-api.js';

/** Pipelines with a sense of time, and informers: timers there may be at once. */
const MOST_TIMERS = 16;

/** Counts the timers that are set, that ring, and that wait. */
const counted = (clock: SchedulerLike) => {
  const count = { set: 0, rung: 0, waiting: 0 };
  const scheduler: SchedulerLike = {
    now: () => clock.now(),
    schedule: <T>(work: (this: SchedulerAction<T>, state?: T) => void, delay?: number, state?: T) => {
      count.set += 1;
      count.waiting += 1;
      let isOver = false;
      const over = (): void => {
        if (!isOver) count.waiting -= 1;
        isOver = true;
      };
      const timer = clock.schedule<T>(
        function (this: SchedulerAction<T>, inner?: T) {
          over();
          count.rung += 1;
          work.call(this, inner);
        },
        delay,
        state,
      );
      timer.add(over);
      return timer;
    },
  };
  return { count, scheduler };
};

const metadata = (name: string, rest: object = {}): ApiObject['metadata'] => ({
  name,
  namespace: 'default',
  uid: `uid-${name}`,
  resourceVersion: '1',
  creationTimestamp: '1970-01-01T00:00:00Z',
  ...rest,
});

const setUp = (podCount: number, slots: number) => {
  const clock = new VirtualTimeScheduler();
  clock.maxFrames = 0;
  const api = tinyApi(clock);
  const { count, scheduler } = counted(clock);
  const events = new Subject<SessionEvent>();
  const assigned: string[] = [];
  const reports: OperatorReport[] = [];
  api.put(runtimes, {
    metadata: metadata('bash', { generation: 1 }),
    spec: {
      replicas: podCount,
      capacity: { resources: { runs: slots } },
      template: { spec: { containers: [{ name: 'runtime', image: 'i' }] } },
    },
  });
  const open = (name: string): void => {
    const pod = aPod(name);
    events.next({ kind: 'Opened', session: aSession({ ...pod, uid: `uid-${name}` as typeof pod.uid }) });
  };
  const subscription = operator({
    kube: api.kube,
    sessions: {
      events$: events,
      assign: (_pod, { runName }) => assigned.push(runName) > 0,
      cancel: () => true,
      drain: () => true,
      removeArtifacts: () => true,
      sweepLogs: () => true,
      forgetLogs: () => true,
    },
    settings: () => ({ daemonImage: 'd', operatorUrl: 'https://operator:9443', operatorCa: 'CA' }),
    now: () => at(clock.now()),
    random: seeded(1),
    identity: 'test',
    namespaces: [],
    leads$: concat(of({ isStillLeading: () => true }), NEVER),
    clock: scheduler,
  }).subscribe((report) => reports.push(report));
  const until = (ms: number): void => {
    // Time goes on though nothing happens.
    clock.schedule(() => undefined, ms - clock.frame);
    clock.maxFrames = ms;
    clock.flush();
  };
  /** Pods become ready as they are created. */
  const bringUp = (): void => {
    until(100);
    for (const name of podNames()) {
      const pod = api.get(pods, name);
      if (pod === undefined) continue;
      const conditions = ['Ready', 'ContainersReady'].map((type) => ({ type, status: 'True' }));
      api.put(pods, { ...pod, status: { phase: 'Running', conditions } });
      open(name);
    }
    until(10_000);
  };
  const podNames = (): ReadonlyArray<string> =>
    reports.flatMap((report) =>
      report.kind === 'Outcome' && report.outcome.command.kind === 'CreatePod'
        ? [report.outcome.command.name]
        : [],
    );
  const create = (name: string, spec: object = {}): void =>
    api.put(runs, { metadata: metadata(name), spec: { runtime: 'bash', ...spec } });
  const statusOf = (name: string): Readonly<Record<string, unknown>> =>
    (api.get(runs, name)?.status ?? {}) as Readonly<Record<string, unknown>>;
  /** What runtimed writes. */
  const advance = (name: string, status: object): void => {
    const run = api.get(runs, name);
    if (run !== undefined) api.put(runs, { ...run, status: { ...statusOf(name), ...status } });
  };
  return { api, assigned, reports, count, until, bringUp, create, statusOf, advance, subscription };
};

/** So many Runs on the pods, all running, each with a deadline of its own beyond the test. */
const setUpRunning = (count: number) => {
  const test = setUp(10, 1_000);
  test.bringUp();
  for (let index = 0; index < count; index += 1)
    test.create(`run-${index}`, { timeout: `${10 + (index % 50)}h` });
  test.until(20_000);
  expect(test.assigned.length).to.equal(count);
  for (let index = 0; index < count; index += 1)
    test.advance(`run-${index}`, { phase: 'Running', startTime: formatMicros(at(20_000)) });
  // What is gathered, such as the Runtime's status, is written within seconds.
  test.until(60_000);
  return test;
};

describe('the operator, counted', () => {
  it('does not wake up for Runs that only run', () => {
    const wakes = (count: number): number => {
      const { count: timers, until, statusOf, subscription } = setUpRunning(count);
      if (count > 0) expect(statusOf('run-7').phase).to.equal('Running');
      const before = timers.rung;
      until(60_000 + 3_600_000);
      subscription.unsubscribe();
      return timers.rung - before;
    };
    expect(wakes(1_000)).to.equal(wakes(0));
  });

  it('has a timer for each pipeline at most, however many deadlines there are', () => {
    const waiting = (count: number): number => {
      const { count: timers, subscription } = setUpRunning(count);
      const { waiting: now } = timers;
      subscription.unsubscribe();
      expect(timers.waiting, 'left behind').to.equal(0);
      return now;
    };
    const few = waiting(1);
    expect(few).to.be.within(1, MOST_TIMERS);
    expect(waiting(1_000)).to.equal(few);
  });

  it('sets few timers for a change: one that is due later than another needs none', () => {
    const { count: timers, create, advance, until, subscription } = setUpRunning(100);
    const before = timers.set;
    for (let index = 0; index < 1_000; index += 1) {
      create(`later-${index}`, { timeout: '90h' });
      until(70_000 + index * 10);
      advance(`later-${index}`, { phase: 'Running', startTime: formatMicros(at(70_000)) });
      advance(`later-${index}`, { phase: 'Succeeded', completionTime: formatMicros(at(70_001)) });
    }
    subscription.unsubscribe();
    expect((timers.set - before) / 1_000).to.be.below(3);
  });

  it('writes once to a short Run, and not to what it did before', () => {
    const test = setUp(2, 64);
    test.bringUp();
    const before = test.api.writes.get('runs') ?? 0;
    const count = 500;
    for (let index = 0; index < count; index += 1) {
      test.create(`short-${index}`);
      test.until(20_000 + index * 10);
      expect(test.statusOf(`short-${index}`).phase).to.equal('Scheduled');
      test.advance(`short-${index}`, {
        phase: 'Succeeded',
        startTime: formatMicros(at(20_000)),
        completionTime: formatMicros(at(20_001)),
        exitCode: 0,
      });
    }
    test.until(60_000);
    test.subscription.unsubscribe();
    expect(test.assigned.length).to.equal(count);
    expect((test.api.writes.get('runs') ?? 0) - before, 'writes to Runs').to.equal(count);
    // What is said of them elsewhere comes from budgets of so much per second, not per Run.
    expect(test.api.writes.get('runtimes') ?? 0).to.be.below(60);
    expect(test.api.writes.get('events') ?? 0).to.be.below(50 + 5 * 60);
  });
});
