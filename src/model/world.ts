/**
 * All the operator knows: the cached objects with the indexes that decisions read, and one change of it.
 * Written by `streams/cache/world.ts` alone.
 */
import type { ObjectKey, PodUid, RunUid } from './ids.js';
import type { PodRecord } from './pod.js';
import type { Amounts, Phase } from './run.js';
import type { RunRecord } from './run-record.js';
import type { RuntimeRecord } from './runtime-record.js';
import type { Session } from './session.js';

/** A view of the cache; it changes under the reader's hands, between two inputs. */
export type World = Readonly<{
  runs: ReadonlyMap<ObjectKey, RunRecord>;
  runtimes: ReadonlyMap<ObjectKey, RuntimeRecord>;
  pods: ReadonlyMap<ObjectKey, PodRecord>;
  sessions: ReadonlyMap<PodUid, Session>;
  podByUid: (uid: PodUid) => PodRecord | undefined;
  podsOf: (runtime: ObjectKey) => ReadonlyArray<PodRecord>;
  /** Scheduled and Running Runs assigned to the pod. */
  runsOn: (uid: PodUid) => ReadonlyArray<RunRecord>;
  /** What these ask for in all, and how many they are; kept up to date, so that nobody adds them up. */
  loadOf: (uid: PodUid) => PodLoad;
  /** How many Runs there are in each phase that any is in. */
  phases: ReadonlyMap<Phase, number>;
}>;

/** What is assigned to a pod. */
export type PodLoad = Readonly<{ runs: number; amounts: Amounts }>;

/** One object, or one session, as it was and as it is. */
export type WorldChange =
  | Readonly<{ kind: 'Run'; key: ObjectKey; before: RunRecord | undefined; after: RunRecord | undefined }>
  | Readonly<{
      kind: 'Runtime';
      key: ObjectKey;
      before: RuntimeRecord | undefined;
      after: RuntimeRecord | undefined;
    }>
  | Readonly<{ kind: 'Pod'; key: ObjectKey; before: PodRecord | undefined; after: PodRecord | undefined }>
  | Readonly<{ kind: 'Session'; key: PodUid; before: Session | undefined; after: Session | undefined }>
  /** The pod has removed what a Run of its namespace had in its store, or could not. */
  | Readonly<{
      kind: 'ArtifactsRemoved';
      namespace: string;
      podUid: PodUid;
      runUid: RunUid;
      store: string;
      error: string;
    }>
  /** The pod did not take an assignment. */
  | Readonly<{
      kind: 'Refused';
      key: ObjectKey;
      runUid: RunUid;
      podUid: PodUid;
      attempt: number;
      reason: string;
      message: string;
    }>;
