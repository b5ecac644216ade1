/**
 * When is a probe due, and what do its answers add up to?
 *
 * Pure. As in Kubernetes: thresholds of consecutive answers, `periodSeconds` between tries, `initialDelaySeconds`
 * after the start. One thing is quicker: until its first success a startup or readiness probe is tried again within
 * fractions of a second, for about ten seconds, before it falls into its period, so a pod is Ready as soon as it is;
 * such early failures do not count against the failure threshold.
 */
import type { Container, Probe } from './pod.js';

export type ProbeKind = 'startup' | 'readiness' | 'liveness';

/** Instants are epoch milliseconds. */
export type ProbeState = Readonly<{
  verdict: 'unknown' | 'success' | 'failure';
  successes: number;
  failures: number;
  /** Tries since the start of the container. */
  tries: number;
  dueMs: number;
  /** Whether a try is under way. */
  asking: boolean;
  /** What the last failed try said. */
  message?: string;
}>;

/** Pause after the n-th failed try (from 0) of a probe that has not succeeded yet, milliseconds; none: its period. */
const earlyPauseMs = (tries: number): number | undefined => {
  if (tries < 2) return tries === 0 ? 20 : 50;
  if (tries < 30) return 100;
  return tries < 60 ? 250 : undefined;
};

const seconds = (value: number | undefined, otherwise: number): number =>
  Math.max(value ?? otherwise, 1) * 1000;

const periodMs = (probe: Probe): number => seconds(probe.periodSeconds, 10);
export const timeoutMs = (probe: Probe): number => seconds(probe.timeoutSeconds, 1);

/** The container's probe of a kind. */
export const probeOf = (container: Container, kind: ProbeKind): Probe | undefined =>
  kind === 'startup'
    ? container.startupProbe
    : kind === 'readiness'
      ? container.readinessProbe
      : container.livenessProbe;

/** The state of a probe whose container has just started. */
export const firstProbeState = (probe: Probe, nowMs: number): ProbeState => ({
  verdict: 'unknown',
  successes: 0,
  failures: 0,
  tries: 0,
  dueMs: nowMs + (probe.initialDelaySeconds ?? 0) * 1000,
  asking: false,
});

/** The state after an answer. */
export const afterAnswer = (
  probe: Probe,
  kind: ProbeKind,
  state: ProbeState,
  answer: Readonly<{ ok: boolean; message?: string }>,
  nowMs: number,
): ProbeState => {
  const tries = state.tries + 1;
  if (answer.ok) {
    const successes = state.successes + 1;
    const reached = successes >= (probe.successThreshold ?? 1);
    return {
      verdict: reached ? 'success' : state.verdict,
      successes,
      failures: 0,
      tries,
      dueMs: nowMs + periodMs(probe),
      asking: false,
    };
  }
  const early = kind !== 'liveness' && state.verdict === 'unknown' ? earlyPauseMs(state.tries) : undefined;
  const failures = early === undefined ? state.failures + 1 : state.failures;
  const reached = failures >= (probe.failureThreshold ?? 3);
  return {
    verdict: reached ? 'failure' : state.verdict,
    successes: 0,
    failures,
    tries,
    dueMs: nowMs + Math.min(early ?? periodMs(probe), periodMs(probe)),
    asking: false,
    ...(answer.message === undefined ? {} : { message: answer.message }),
  };
};
