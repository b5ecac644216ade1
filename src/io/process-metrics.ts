/** What a program's metrics say of its process: prom-client's defaults, without those that need a timer. */
import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Distribution of the event loop's delay: sampled every few milliseconds, for ever, also while nothing happens. */
const SAMPLED = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'].map(
  (statistic) => `nodejs_eventloop_lag_${statistic}_seconds`,
);
/** prom-client cannot leave the sampling out; once in ten minutes wakes nobody. */
const RARELY_MS = 600_000;

/** Puts them into the registry. `nodejs_eventloop_lag_seconds`, measured when it is asked for, is among them. */
export const collectProcessMetrics = (registry: Registry): void => {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: RARELY_MS });
  for (const name of SAMPLED) registry.removeSingleMetric(name);
};
