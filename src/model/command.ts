/**
 * What the operator decides to do, as data. Decisions return commands; `streams/effects` alone enacts them.
 */
import type { RecordedStore } from './artifact-store.js';
import type { ObjectKey, PodUid, RunUid } from './ids.js';
import type { Condition } from './metadata.js';
import type { PodRecord } from './pod.js';
import type { AttemptResult, WaitReason } from './run-event.js';
import type { RunRecord } from './run-record.js';
import type { RuntimeStatus } from './runtime.js';
import type { RuntimeRecord } from './runtime-record.js';
import type { Micros } from './time.js';

/** A step of a Run's life that the operator wants; the effect adds the time of writing. */
export type RunStep =
  /** `at` is the time of the decision: writes of one moment may overtake each other, decisions do not. */
  | Readonly<{ kind: 'Assigned'; pod: string; podUid: PodUid; at: Micros }>
  | Readonly<{ kind: 'Waited'; reason: WaitReason; message: string }>
  | Readonly<{ kind: 'Returned'; reason: string; message: string }>
  | Readonly<{ kind: 'AttemptEnded'; result: AttemptResult }>
  | Readonly<{ kind: 'CancelledWaiting' }>;

/** One thing to do. */
export type Command =
  /** Write one step of a Run's life, provided the Run is still as the decision saw it. */
  | Readonly<{ kind: 'AdvanceRun'; run: RunRecord; step: RunStep }>
  /** Ask the pod's runtimed, over its session, to end an attempt. */
  | Readonly<{ kind: 'SignalCancel'; run: RunRecord; podUid: PodUid; reason: 'Cancelled' | 'Timeout' }>
  /** Push an assignment that is already durable down the pod's session again. */
  | Readonly<{ kind: 'SignalAssign'; run: RunRecord; podUid: PodUid }>
  | Readonly<{ kind: 'DeleteRun'; run: RunRecord }>
  /** Ask a pod, over its session, to remove what the Run has in that store. */
  | Readonly<{ kind: 'RemoveArtifacts'; run: RunRecord; podUid: PodUid; store: string }>
  /** Ask a pod, over its session, to remove logs in its store that Runs which are gone have left. */
  | Readonly<{ kind: 'SweepLogs'; namespace: string; podUid: PodUid; store: string }>
  /** Tell the pod that these Runs, whose logs it keeps, are gone. */
  | Readonly<{ kind: 'ForgetLogs'; podUid: PodUid; runs: ReadonlyArray<RunUid> }>
  /** Put our finalizer on: something of the Run is about to be stored. */
  | Readonly<{ kind: 'MarkRun'; run: RunRecord }>
  /** Take our finalizer off: nothing of the Run is stored any more, or what is stays. */
  | Readonly<{ kind: 'ReleaseRun'; run: RunRecord; reason: 'Removed' | 'Abandoned' | 'NamespaceGone' }>
  /** Say on the Run why its deletion waits. */
  | Readonly<{ kind: 'ExplainCleanup'; run: RunRecord; reason: string; message: string }>
  | Readonly<{
      kind: 'CreateCleanupPod';
      key: ObjectKey;
      namespace: string;
      name: string;
      store: RecordedStore;
    }>
  | Readonly<{ kind: 'CreatePod'; runtime: RuntimeRecord; name: string; revision: string }>
  | Readonly<{ kind: 'DeletePod'; pod: PodRecord; reason: string }>
  | Readonly<{ kind: 'CordonPod'; pod: PodRecord; reason: string }>
  | Readonly<{
      kind: 'PatchPodReady';
      pod: PodRecord;
      status: Condition['status'];
      reason: string;
      message: string;
    }>
  | Readonly<{ kind: 'PatchRuntimeStatus'; runtime: RuntimeRecord; status: RuntimeStatus }>
  /** Let exactly these ServiceAccounts of the namespace do what runtimed needs; none: take the grant away. */
  | Readonly<{ kind: 'EnsureGrant'; namespace: string; accounts: ReadonlyArray<string>; ownAccount: boolean }>
  | Readonly<{ kind: 'RecordEvent'; event: EventNote }>;

/** What a Kubernetes Event is to say. */
export type EventNote = Readonly<{
  regarding: Readonly<{
    kind: 'Run' | 'Runtime';
    namespace: string;
    name: string;
    uid: string;
    resourceVersion: string;
  }>;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  at: Micros;
}>;

/** Commands of one key are run one after another. */
export const commandKey = (command: Command): string => {
  switch (command.kind) {
    case 'AdvanceRun':
    case 'DeleteRun':
    case 'MarkRun':
    case 'ReleaseRun':
    case 'ExplainCleanup':
      return `run ${command.run.key}`;
    case 'SignalCancel':
    case 'SignalAssign':
      return `signal ${command.run.key}`;
    case 'RemoveArtifacts':
      return `remove ${command.run.uid} ${command.store}`;
    case 'SweepLogs':
      return `sweep ${command.namespace} ${command.store}`;
    case 'ForgetLogs':
      return `forget ${command.podUid}`;
    case 'CreateCleanupPod':
      return `pod ${command.key}`;
    case 'DeletePod':
    case 'CordonPod':
    case 'PatchPodReady':
      return `pod ${command.pod.key}`;
    case 'CreatePod':
      return `pod ${command.runtime.namespace}/${command.name}`;
    case 'PatchRuntimeStatus':
      return `runtime ${command.runtime.key}`;
    case 'EnsureGrant':
      return `grant ${command.namespace}`;
    case 'RecordEvent':
      return `event ${command.event.regarding.uid} ${command.event.reason}`;
    default:
      return command satisfies never;
  }
};

/** Background commands run only while no urgent one waits: nothing of a Run's life depends on them. */
export const isBackground = (command: Command): boolean =>
  command.kind === 'RecordEvent' ||
  command.kind === 'DeleteRun' ||
  command.kind === 'ReleaseRun' ||
  command.kind === 'ExplainCleanup' ||
  command.kind === 'SweepLogs' ||
  command.kind === 'ForgetLogs' ||
  command.kind === 'PatchRuntimeStatus' ||
  (command.kind === 'AdvanceRun' && command.step.kind === 'Waited');
