/** What runtimed counts, in Prometheus' words. Fed with each input after its step; asked by a scrape. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Stage } from '../decide/sidecar/attempt.js';
import type { Holdings, Input } from '../decide/sidecar/holdings.js';
import type { Amounts } from '../model/run.js';
import type { Micros } from '../model/time.js';

const STAGES: ReadonlyArray<Stage['name']> = [
  'Waiting',
  'Preparing',
  'Ready',
  'Executing',
  'Running',
  'Collecting',
  'Ending',
  'Cleaning',
];
/** Seconds: most stages take below a millisecond to some ms, a Run up to hours. */
const BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600, 3600];

export type Metrics = Readonly<{
  registry: Registry;
  /** After each step. */
  observe: (input: Input) => void;
  sessionOpen: (isOpen: boolean) => void;
}>;

export const runtimedMetrics = (
  holdings: Holdings,
  capacity: Amounts,
  logsStored: () => number,
  now: () => Micros,
): Metrics => {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: 'kruntimes_runtimed_attempts',
    help: 'Attempts held, by stage',
    labelNames: ['stage'],
    registers,
    collect() {
      const counts = new Map<Stage['name'], number>();
      for (const id of holdings.ids()) {
        const name = holdings.get(id)?.stage.name;
        if (name) counts.set(name, (counts.get(name) ?? 0) + 1);
      }
      for (const stage of STAGES) this.set({ stage }, counts.get(stage) ?? 0);
    },
  });
  new Gauge({
    name: 'kruntimes_runtimed_ends_pending',
    help: 'Ends that the API has not taken yet',
    registers,
    collect() {
      this.set([...holdings.ids()].filter((id) => holdings.get(id)?.stage.name === 'Ending').length);
    },
  });
  new Gauge({
    name: 'kruntimes_runtimed_used',
    help: 'Amounts of logical resources taken',
    labelNames: ['resource'],
    registers,
    collect() {
      for (const resource of Object.keys(capacity)) this.set({ resource }, holdings.used[resource] ?? 0);
    },
  });
  const limits = new Gauge({
    name: 'kruntimes_runtimed_capacity',
    help: 'Amounts of logical resources there are',
    labelNames: ['resource'],
    registers,
  });
  for (const [resource, amount] of Object.entries(capacity)) limits.set({ resource }, amount);
  new Gauge({
    name: 'kruntimes_runtimed_log_bytes',
    help: 'Bytes of Run logs on disk',
    registers,
    collect() {
      this.set(logsStored());
    },
  });
  const session = new Gauge({
    name: 'kruntimes_runtimed_session_open',
    help: '1 while there is a session with the operator',
    registers,
  });
  const seconds = new Histogram({
    name: 'kruntimes_runtimed_stage_seconds',
    help: 'How long attempts were in each stage',
    labelNames: ['stage'],
    buckets: BUCKETS,
    registers,
  });
  const ended = new Counter({
    name: 'kruntimes_runtimed_runs_total',
    help: 'Statuses written at the end of attempts, by phase',
    labelNames: ['phase'],
    registers,
  });

  /** By stage: to find it by its label costs more than to observe. */
  const stages = new Map<Stage['name'], Histogram.Internal<'stage'>>();
  const secondsOf = (stage: Stage['name']): Histogram.Internal<'stage'> => {
    const known = stages.get(stage) ?? seconds.labels({ stage });
    stages.set(stage, known);
    return known;
  };
  const entered = new Map<string, Readonly<{ stage: Stage['name']; at: Micros }>>();
  const look = (id: string): void => {
    const stage = holdings.get(id)?.stage.name;
    const before = entered.get(id);
    if (before?.stage === stage) return;
    const at = now();
    if (before) secondsOf(before.stage).observe(Math.max(0, at - before.at) / 1e6);
    if (stage === undefined) entered.delete(id);
    else entered.set(id, { stage, at });
  };
  return {
    registry,
    observe: (input) => {
      if (input.kind !== 'Attempt' && input.kind !== 'Cleaned') return;
      look(input.id);
      if (
        input.kind === 'Attempt' &&
        input.input.kind === 'StatusWritten' &&
        holdings.get(input.id)?.stage.name === 'Cleaning'
      )
        ended.inc({ phase: input.input.status.phase ?? 'Pending' });
    },
    sessionOpen: (isOpen) => session.set(isOpen ? 1 : 0),
  };
};
