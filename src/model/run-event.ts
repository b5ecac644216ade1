/** What may happen to a Run, as data: the inputs of the lifecycle (src/decide/lifecycle.ts). */
import type { RecordedStore } from './artifact-store.js';
import type { ArtifactRef, FailureReason, LogRef } from './run.js';
import type { Micros } from './time.js';

/** Why a Run waits. */
export type WaitReason = 'NoRuntime' | 'NoReadyPods' | 'AtCapacity' | 'RetryBackoff' | 'Unsatisfiable';

/** How one attempt ended. */
export type AttemptResult =
  | Readonly<{
      kind: 'Succeeded';
      exitCode: number;
      outputs: Readonly<Record<string, string>>;
      artifactRefs: ReadonlyArray<ArtifactRef>;
      /** Where they are. */
      artifactStore?: RecordedStore;
    }>
  | Readonly<{
      kind: 'Failed';
      reason: Exclude<FailureReason, 'Cancelled'>;
      message: string;
      /** Absent when no process ran or its end is unknown. */
      exitCode?: number;
      outputs?: Readonly<Record<string, string>>;
      artifactRefs?: ReadonlyArray<ArtifactRef>;
      /** Where they are, or where rests of them may be. */
      artifactStore?: RecordedStore;
    }>
  /** Its process tree was ended because cancellation was requested. */
  | Readonly<{ kind: 'Cancelled'; message: string; exitCode?: number }>;

/** What may happen to a Run. */
export type RunEvent =
  /** The queue could not place it, and why. */
  | Readonly<{ kind: 'Waited'; reason: WaitReason; message: string; at: Micros }>
  | Readonly<{ kind: 'Assigned'; pod: string; podUid: string; at: Micros }>
  /** The pod did not take it, or is gone before it started: the attempt is not used up. */
  | Readonly<{ kind: 'Returned'; reason: string; message: string; at: Micros }>
  | Readonly<{ kind: 'Started'; at: Micros; commitSHA?: string }>
  | Readonly<{
      kind: 'AttemptEnded';
      result: AttemptResult;
      /** Start of the attempt, where Started was never recorded. */
      startedAt?: Micros;
      /** Where its log will be, where the pod has a store. */
      log?: LogRef;
      /** Of a Git source, as soon as it is known. */
      commitSHA?: string;
      at: Micros;
      /** Uniform in [0, 1), for the jitter of a retry. */
      chance: number;
    }>
  /** Cancellation reached a Run that is assigned to no pod. */
  | Readonly<{ kind: 'CancelledWaiting'; at: Micros }>
  /** Its spec cannot be used at all. */
  | Readonly<{ kind: 'Rejected'; message: string; at: Micros }>;
