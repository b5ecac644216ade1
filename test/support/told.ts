/** Commands and outcomes in few words, for tables of what was decided. */
import { storePlace } from '../../src/model/artifact-store.js';
import type { Command, RunStep } from '../../src/model/command.js';
import type { EffectError } from '../../src/model/effect-error.js';
import type { News } from '../../src/model/news.js';
import type { WorldChange } from '../../src/model/world.js';

const stepText = (step: RunStep): string => {
  switch (step.kind) {
    case 'Assigned':
      return `Assigned ${step.pod}`;
    case 'Waited':
    case 'Returned':
      return `${step.kind} ${step.reason}`;
    case 'AttemptEnded':
      return `AttemptEnded ${step.result.kind === 'Failed' ? step.result.reason : step.result.kind}`;
    case 'CancelledWaiting':
      return step.kind;
  }
};

/** `AdvanceRun a: Assigned p1`, `CordonPod p1: Outdated`, ... */
export const told = (command: Command): string => {
  switch (command.kind) {
    case 'AdvanceRun':
      return `AdvanceRun ${command.run.name}: ${stepText(command.step)}`;
    case 'SignalCancel':
      return `SignalCancel ${command.run.name}: ${command.reason} to ${command.podUid}`;
    case 'SignalAssign':
      return `SignalAssign ${command.run.name} to ${command.podUid}`;
    case 'RemoveArtifacts':
      return `RemoveArtifacts ${command.run.name} from ${command.store} by ${command.podUid}`;
    case 'SweepLogs':
      return `SweepLogs in ${command.namespace} of ${command.store} by ${command.podUid}`;
    case 'ForgetLogs':
      return `ForgetLogs ${command.runs.join(' ')} by ${command.podUid}`;
    case 'ReleaseRun':
    case 'ExplainCleanup':
      return `${command.kind} ${command.run.name}: ${command.reason}`;
    case 'CreateCleanupPod':
      return `CreateCleanupPod in ${command.namespace} for ${storePlace(command.store)}`;
    case 'MarkRun':
      return `MarkRun ${command.run.name}`;
    case 'DeleteRun':
      return `DeleteRun ${command.run.name}`;
    case 'CreatePod':
      return `CreatePod of ${command.runtime.name} ${command.revision}`;
    case 'DeletePod':
    case 'CordonPod':
      return `${command.kind} ${command.pod.name}: ${command.reason}`;
    case 'PatchPodReady':
      return `PatchPodReady ${command.pod.name}: ${command.status} ${command.reason}`;
    case 'PatchRuntimeStatus':
      return `PatchRuntimeStatus ${command.runtime.name}: ${command.status.readyReplicas ?? '?'} ready, ${command.status.busy ?? '?'}`;
    case 'EnsureGrant':
      return `EnsureGrant ${command.namespace}: ${command.accounts.join(', ') || 'none'}`;
    case 'RecordEvent':
      return `RecordEvent ${command.event.regarding.name}: ${command.event.type} ${command.event.reason}`;
  }
};

/** All of them. */
export const allTold = (commands: Iterable<Command>): ReadonlyArray<string> => [...commands].map(told);

/** A change as news. */
export const changed = (change: WorldChange): News => ({ kind: 'Change', change });

/** What a command led to as news. */
export const done = (command: Command, object?: unknown): News => ({
  kind: 'Outcome',
  outcome: { kind: 'Done', command, object },
});
export const dropped = (command: Command): News => ({
  kind: 'Outcome',
  outcome: { kind: 'Dropped', command, why: 'the object is gone' },
});
export const failed = (command: Command, kind: EffectError['kind'] = 'Conflict'): News => ({
  kind: 'Outcome',
  outcome: { kind: 'Failed', command, error: { kind, message: kind } },
});
/** A write's answer that carries this version. */
export const version = (resourceVersion: string): unknown => ({ metadata: { resourceVersion } });
