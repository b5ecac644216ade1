/** What the operator reports, as log records: one per outcome, constant messages. */
import type { OperatorReport } from '../../streams/operator.js';
import type { Log } from '../io/log.js';
import { storeName } from '../model/artifact-store.js';
import type { Command } from '../model/command.js';
import type { Outcome } from '../model/outcome.js';

const subjectOf = (command: Command): Record<string, unknown> => {
  switch (command.kind) {
    case 'AdvanceRun':
      return { run: command.run, uid: command.run.uid, step: command.step.kind, reason: reasonOf(command) };
    case 'SignalCancel':
      return { run: command.run, uid: command.run.uid, reason: command.reason };
    case 'SignalAssign':
    case 'DeleteRun':
    case 'MarkRun':
      return { run: command.run, uid: command.run.uid };
    case 'RemoveArtifacts':
      return { run: command.run, uid: command.run.uid, store: command.store };
    case 'SweepLogs':
      return { namespace: command.namespace, uid: command.podUid, store: command.store };
    case 'ForgetLogs':
      return { uid: command.podUid, runs: command.runs.length };
    case 'ReleaseRun':
    case 'ExplainCleanup':
      return { run: command.run, uid: command.run.uid, reason: command.reason };
    case 'CreateCleanupPod':
      return { pod: command.key, store: storeName(command.store) };
    case 'CreatePod':
      return { runtime: command.runtime, pod: `${command.runtime.namespace}/${command.name}` };
    case 'PatchRuntimeStatus':
      return { runtime: command.runtime };
    case 'DeletePod':
    case 'CordonPod':
    case 'PatchPodReady':
      return { pod: command.pod, uid: command.pod.uid, reason: command.reason };
    case 'EnsureGrant':
      return { namespace: command.namespace, accounts: command.accounts };
    case 'RecordEvent':
      return {
        regarding: `${command.event.regarding.namespace}/${command.event.regarding.name}`,
        reason: command.event.reason,
      };
    default:
      return command satisfies never;
  }
};

const reasonOf = ({ step }: Extract<Command, { kind: 'AdvanceRun' }>): string | undefined => {
  if (step.kind === 'Waited' || step.kind === 'Returned') return step.reason;
  return step.kind === 'AttemptEnded' && step.result.kind === 'Failed' ? step.result.reason : undefined;
};

/** Commands whose success is no change of state worth a line. */
const isQuiet = ({ kind }: Command): boolean =>
  kind === 'RecordEvent' || kind === 'PatchRuntimeStatus' || kind === 'SignalAssign';

const logOutcome = (log: Log, outcome: Outcome): void => {
  const { command } = outcome;
  const fields = { command: command.kind, ...subjectOf(command) };
  switch (outcome.kind) {
    case 'Done':
      return isQuiet(command) ? log.debug(fields, 'command done') : log.info(fields, 'command done');
    case 'Dropped':
      return log.debug({ ...fields, why: outcome.why }, 'command dropped');
    case 'Failed': {
      const { error } = outcome;
      const record = { ...fields, err: error, errKind: error.kind };
      // A conflict is how optimistic locking works: the newer version decides anew.
      if (error.kind === 'Conflict') log.debug(record, 'command met a newer version');
      else if (error.message.startsWith('defect')) log.error(record, 'command has a defect');
      else log.warn(record, 'command failed');
      return;
    }
    default:
      return outcome satisfies never;
  }
};

/** Writes one report to the log. */
export const logReport = (log: Log, report: OperatorReport): void => {
  switch (report.kind) {
    case 'Outcome':
      return logOutcome(log, report.outcome);
    case 'Deciding':
      return log.info(
        { isDeciding: report.isDeciding },
        report.isDeciding ? 'taking decisions' : 'not taking decisions',
      );
    case 'ClockSetBack':
      return log.warn(
        { byMs: Math.round(report.byMs) },
        'the clock was set back, everything is decided anew',
      );
    case 'Stopped':
      return log.info('no effect is in flight any more');
    case 'Watch': {
      const component = `watch.${report.resource}`;
      const { news } = report;
      if (news.kind === 'Rejected')
        return log.warn(
          { component, object: news.key, resourceVersion: news.resourceVersion, paths: news.paths },
          'object does not decode and is left alone',
        );
      if (news.kind === 'Disconnected')
        return log.warn(
          { component, err: news.error, errKind: news.error.kind, retryInMs: news.retryInMs },
          'watch lost',
        );
      if (news.kind === 'Rewound')
        return log.warn(
          { component, from: news.from, to: news.to },
          'the API server went back to an earlier version',
        );
      return log.info({ component }, 'watch open');
    }
    default:
      return report satisfies never;
  }
};
