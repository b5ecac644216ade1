/**
 * A Run as the API holds it: the codec of what we read, and the types of what we write.
 *
 * Limits are the CRD's duty (crds/kruntimes.io_runs.yaml); the codec checks form, so that a decision never meets a
 * wrong type. Defaults that the CRD leaves to us are filled in by the functions at the end.
 */
import * as t from 'io-ts';

import { RecordedStore } from './artifact-store.js';
import { Condition, Metadata } from './metadata.js';
import { Duration, Instant } from './time.js';

/** The phases of a Run, in the order it may pass them. */
export const PHASES = [
  'Pending',
  'Scheduled',
  'Running',
  'Succeeded',
  'Failed',
  'Timeout',
  'Cancelled',
] as const;
export const Phase = t.keyof({
  Pending: null,
  Scheduled: null,
  Running: null,
  Succeeded: null,
  Failed: null,
  Timeout: null,
  Cancelled: null,
});
export type Phase = t.TypeOf<typeof Phase>;
/** The phases that end a Run, for ever. */
export type TerminalPhase = Extract<Phase, 'Succeeded' | 'Failed' | 'Timeout' | 'Cancelled'>;

/** Whether the phase ends a Run. */
export const isTerminal = (phase: Phase | undefined): phase is TerminalPhase =>
  phase === 'Succeeded' || phase === 'Failed' || phase === 'Timeout' || phase === 'Cancelled';

/** Logical resource → whole number, written as a number or a string of digits. */
const Count = new t.Type<number, number, unknown>(
  'Count',
  t.number.is,
  (u, context) => {
    const value = typeof u === 'string' && /^\d+$/.test(u) ? Number(u) : u;
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
      ? t.success(value)
      : t.failure(u, context, 'is not a whole number >= 0');
  },
  t.identity,
);
/** Amounts of logical resources, e.g. `{runs: 1, gpu: 2}`. */
export const Amounts = t.record(t.string, Count);
export type Amounts = t.TypeOf<typeof Amounts>;

/** Why an attempt did not succeed. The first eight may be retried. */
export const FailureReason = t.keyof({
  Timeout: null,
  PrepareSource: null,
  RuntimeExecute: null,
  RuntimeError: null,
  ExecutionLost: null,
  PodGone: null,
  PodTerminating: null,
  PodUnhealthy: null,
  Cancelled: null,
  OutputsInvalid: null,
  OutputsTooLarge: null,
  ArtifactInvalid: null,
  ArtifactStoreFailed: null,
  InvalidSpec: null,
});
export type FailureReason = t.TypeOf<typeof FailureReason>;

/** What a Run executes: inline text, or a Git commit, by its hash or by a branch or tag. */
export const Source = t.partial({
  inline: t.string,
  repoURL: t.string,
  commitSHA: t.string,
  ref: t.string,
  submodules: t.boolean,
});

/** spec of a Run. */
export const RunSpec = t.intersection([
  t.type({ runtime: t.string }),
  t.partial({
    source: Source,
    entrypoint: t.string,
    args: t.array(t.string),
    env: t.record(t.string, t.string),
    timeout: Duration,
    retryPolicy: t.partial({
      maxAttempts: t.number,
      backoff: Duration,
      retryableReasons: t.array(t.string),
    }),
    cancelRequested: t.boolean,
    resources: t.partial({ requests: Amounts }),
    ttlSecondsAfterFinished: t.number,
  }),
]);
export type RunSpec = t.TypeOf<typeof RunSpec>;

/** One stored artifact. */
export const ArtifactRef = t.intersection([
  t.type({
    name: t.string,
    type: t.union([t.literal('file'), t.literal('directory')]),
    driver: t.string,
    location: t.string,
  }),
  t.partial({ sizeBytes: t.number, digest: t.string, contentType: t.string, createdAt: t.string }),
]);
export type ArtifactRef = t.TypeOf<typeof ArtifactRef>;

/** The log of an ended attempt, in the artifact store; it may arrive there a moment after the end. */
export const LogRef = t.intersection([
  t.type({ records: t.number, sizeBytes: t.number }),
  // Absent: nothing was written, so there is nothing in the store.
  t.partial({ location: t.string }),
]);
export type LogRef = t.TypeOf<typeof LogRef>;

/** One ended attempt that was followed by another. */
export const PastAttempt = t.intersection([
  t.type({ attempt: t.number, reason: t.string }),
  t.partial({
    pod: t.string,
    podUID: t.string,
    startTime: Instant,
    completionTime: Instant,
    exitCode: t.number,
    message: t.string,
    logRef: LogRef,
  }),
]);
export type PastAttempt = t.TypeOf<typeof PastAttempt>;

/** status of a Run. An absent phase means Pending. */
export const RunStatus = t.partial({
  phase: Phase,
  assignedPod: t.string,
  assignedPodUID: t.string,
  attempt: t.number,
  scheduledTime: Instant,
  startTime: Instant,
  completionTime: Instant,
  nextAttemptTime: Instant,
  /** How long the last ended attempt took, for the Duration column. */
  duration: t.string,
  exitCode: t.number,
  outputs: t.record(t.string, t.string),
  artifactRefs: t.array(ArtifactRef),
  /** Stores that may hold something of an attempt; what the Run's deletion has to empty. */
  artifactStores: t.array(RecordedStore),
  /** Of the last attempt. */
  logRef: LogRef,
  message: t.string,
  /** What a Git source came to. */
  source: t.partial({ commitSHA: t.string }),
  conditions: t.array(Condition),
  attemptHistory: t.array(PastAttempt),
});
export type RunStatus = t.TypeOf<typeof RunStatus>;

/** A whole Run. */
export const Run = t.intersection([
  t.type({ metadata: Metadata, spec: RunSpec }),
  t.partial({ status: RunStatus }),
]);
export type Run = t.TypeOf<typeof Run>;

/** What retries are decided by, with the contract's defaults filled in. */
export type RetryPolicy = Readonly<{
  /** 1..100, 1 means no retry. */
  maxAttempts: number;
  /** Delay before the second attempt. */
  backoffMs: number;
  /** Empty: every retryable reason. */
  reasons: ReadonlyArray<string>;
}>;

/** spec.retryPolicy with defaults: one attempt, 1 s. */
export const retryPolicy = (spec: RunSpec): RetryPolicy => ({
  maxAttempts: spec.retryPolicy?.maxAttempts ?? 1,
  backoffMs: spec.retryPolicy?.backoff ?? 1000,
  reasons: spec.retryPolicy?.retryableReasons ?? [],
});

/** spec.resources.requests with `runs` defaulted to 1. */
export const requests = (spec: RunSpec): Amounts => ({ runs: 1, ...spec.resources?.requests });
