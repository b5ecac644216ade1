/** What the operator knows of a session with one pod's runtimed. */
import type { ObjectKey, PodUid, RunUid } from './ids.js';

/** One attempt of one Run. */
export type AttemptRef = Readonly<{ runName: string; runUid: RunUid; attempt: number }>;

/** An open session. */
export type Session = Readonly<{
  podUid: PodUid;
  podKey: ObjectKey;
  /** Attempts the pod held when the session opened. */
  held: ReadonlyArray<AttemptRef>;
  /** The Runtime Server answers. */
  healthy: boolean;
  /** Why not, if it does not. */
  healthMessage: string;
  draining: boolean;
  /** Its artifact store, '' for none. */
  artifactStore: string;
}>;

/** What happens on sessions. */
export type SessionEvent =
  | Readonly<{ kind: 'Opened'; session: Session }>
  | Readonly<{ kind: 'Changed'; podUid: PodUid; healthy: boolean; healthMessage: string; draining: boolean }>
  | Readonly<{ kind: 'Refused'; podUid: PodUid; attempt: AttemptRef; reason: string; message: string }>
  /** Whether nothing of the Run is left in the pod's store; `error` says why not, '' that nothing is. */
  | Readonly<{ kind: 'ArtifactsRemoved'; podUid: PodUid; runUid: RunUid; store: string; error: string }>
  /** Runs that have ended in the pod, and whose logs it keeps. */
  | Readonly<{ kind: 'KeptLogs'; podUid: PodUid; runs: ReadonlyArray<RunUid> }>
  | Readonly<{ kind: 'Closed'; podUid: PodUid; why: string }>;
