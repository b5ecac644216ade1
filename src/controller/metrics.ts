/** Prometheus metrics of the operator. Names and meanings are documented in docs/metrics.md. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { OperatorReport } from '../../streams/operator.js';
import { collectProcessMetrics } from '../io/process-metrics.js';
import type { World } from '../model/world.js';

/** The registry, and what keeps it. */
export type ControllerMetrics = Readonly<{ registry: Registry; count: (report: OperatorReport) => void }>;

/** Seconds from creation to assignment: from a millisecond to minutes of queueing. */
const WAIT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300];

/** A new registry with all of the operator's metrics. */
export const controllerMetrics = (): ControllerMetrics => {
  const registry = new Registry();
  collectProcessMetrics(registry);
  let world: World | undefined;
  let isDeciding = false;
  const registers = [registry];
  const commands = new Counter({
    name: 'kruntimes_commands_total',
    help: 'Commands enacted, by kind and outcome.',
    labelNames: ['command', 'outcome'],
    registers,
  });
  const steps = new Counter({
    name: 'kruntimes_run_steps_total',
    help: 'Steps of Runs written by the operator.',
    labelNames: ['step'],
    registers,
  });
  const waits = new Histogram({
    name: 'kruntimes_run_queue_seconds',
    help: 'Time from the end of the previous attempt or the creation (whole seconds) to the assignment.',
    buckets: WAIT_BUCKETS,
    registers,
  });
  const lost = new Counter({
    name: 'kruntimes_watch_disconnects_total',
    help: 'Watches and lists that failed.',
    labelNames: ['resource'],
    registers,
  });
  new Gauge({
    name: 'kruntimes_leading',
    help: '1 while this operator takes decisions.',
    registers,
    collect() {
      this.set(isDeciding ? 1 : 0);
    },
  });
  new Gauge({
    name: 'kruntimes_sessions',
    help: 'Open sessions with Runtime Pods.',
    registers,
    collect() {
      this.set(world?.sessions.size ?? 0);
    },
  });
  new Gauge({
    name: 'kruntimes_runs',
    help: 'Runs that exist, by phase.',
    labelNames: ['phase'],
    registers,
    collect() {
      this.reset();
      for (const [phase, count] of world?.phases ?? []) this.set({ phase }, count);
    },
  });
  return {
    registry,
    count: (report) => {
      switch (report.kind) {
        case 'Deciding':
          isDeciding = report.isDeciding;
          world = report.world;
          return;
        case 'Watch':
          if (report.news.kind === 'Disconnected') lost.inc({ resource: report.resource });
          return;
        case 'ClockSetBack':
        case 'Stopped':
          return;
        case 'Outcome': {
          const { command, kind } = report.outcome;
          commands.inc({ command: command.kind, outcome: kind });
          if (kind !== 'Done' || command.kind !== 'AdvanceRun') return;
          steps.inc({ step: command.step.kind });
          if (command.step.kind === 'Assigned')
            waits.observe(
              Math.max(0, Date.now() - (command.run.status.nextAttemptTime ?? command.run.createdAt) / 1000) /
                1000,
            );
          return;
        }
        default:
          return report satisfies never;
      }
    },
  };
};
