/**
 * The steps of one attempt: (attempt, input) → (attempt, commands). Pure and total: an input that does not fit its
 * stage changes nothing, so that late, repeated and reordered answers are harmless.
 *
 * Guarantees (test/runtimed/advance.test.ts):
 * - Execute is sent once, and again only while the Runtime Server that got it is known to be the same one;
 * - at most one status write is under way, and the end is written at most once;
 * - the end is written only when no process of the attempt is left, or none can be known of;
 * - a fenced attempt writes nothing any more and is cleaned once its processes have ended.
 */

import { formatDuration, plusMillis } from '../../model/time.js';
import { type AttemptResult, boundedMessage } from '../lifecycle.js';
import type {
  Advance,
  Assignment,
  Attempt,
  AttemptCommand,
  AttemptInput,
  EndEvent,
  Execution,
  Exit,
  Moment,
  Stage,
  StopCause,
  Work,
} from './attempt.js';
import { idOf } from './attempt.js';
import { resultOf, wantsArtifacts } from './result.js';

/** A Run that ends within this many ms of its start is never written as Running (design decision 5). */
export const RUNNING_AFTER_MS = 50;
/**
 * In a pod where others wait to begin, or for their end to be written, one that ends within this many ms is not, either:
 * those go first, and a pod that is behind would write Running of Runs whose own end is only not known yet. Nobody
 * waits longer to see that a Run runs.
 */
export const RUNNING_AT_LATEST_MS = 1_000;
/** A stop that is not followed by an end is repeated after this; the server's own grace is 2 s by default. */
export const STOP_REPEAT_MS = 5_000;
/** Pause before Execute is sent again to a server that did not answer but is still there. */
export const EXECUTE_REPEAT_MS = 200;
/** How long Execute is tried, at a server that is there, before the attempt counts as lost: a busy node is slow. */
export const EXECUTE_LIMIT_MS = 60_000;
/** A start that lies so far ahead was told by a clock that has been set back since, milliseconds. */
const SET_BACK_MS = 1_000;
/** Pause before a Started write is tried again after the API was away. */
export const RUNNING_REPEAT_MS = 1_000;

/** A fresh attempt. `waiting`: an earlier attempt of the Run still has the workspace. */
export const admitted = (assignment: Assignment, work: Work, waiting: boolean, moment: Moment): Advance => ({
  attempt: {
    ...assignment,
    stage: { name: waiting ? 'Waiting' : 'Preparing', work },
    prepared: !waiting,
    executed: false,
    confirmed: false,
  },
  commands: waiting ? [] : prepare(assignment, work, moment),
});

const isFetched = ({ source }: Work): boolean => source?.repoURL !== undefined;

/** A fetch has the attempt's time, as the process has it after that. */
const prepare = (assignment: Assignment, work: Work, { at }: Moment): ReadonlyArray<AttemptCommand> => [
  { kind: 'Prepare', assignment, work },
  ...(isFetched(work) && assignment.timeoutMs !== undefined
    ? [
        {
          kind: 'SetAlarm' as const,
          id: idOf(assignment.ref),
          alarm: 'Timeout' as const,
          at: plusMillis(at, assignment.timeoutMs),
        },
      ]
    : []),
];

/** An attempt that a runtimed before this one had sent to the Runtime Server. */
export const resumed = (assignment: Assignment, at: Moment['at']): Attempt => ({
  ...assignment,
  stage: { name: 'Executing', acknowledged: true, broken: false, since: at },
  prepared: true,
  executed: true,
  confirmed: false,
});

/** An attempt whose end is known and has yet to be written. */
export const resumedEnd = (assignment: Assignment, event: EndEvent): Advance => {
  const attempt = ending(assignment, event);
  const isStored = event.result.kind !== 'Cancelled' && event.result.artifactStore !== undefined;
  return writeEnd(isStored ? { ...attempt, stored: true } : attempt, event);
};

const ending = (assignment: Assignment, event: EndEvent): Attempt => ({
  ...assignment,
  stage: { name: 'Ending', event },
  prepared: true,
  executed: true,
  confirmed: false,
});

/** A Run that the API has as Running here and of which nothing is left. */
export const lost = (assignment: Assignment, moment: Moment): Advance => {
  const event = endEvent({}, LOST_AT_RESTART, moment);
  return writeEnd(ending(assignment, event), event);
};

const failed = (
  reason: Extract<AttemptResult, { kind: 'Failed' }>['reason'],
  message: string,
): AttemptResult => ({ kind: 'Failed', reason, message: boundedMessage(message) });

const LOST_AT_RESTART = failed(
  'ExecutionLost',
  'the pod holds nothing of this execution any more; its result is unknown',
);
const LOST = failed(
  'ExecutionLost',
  'the Runtime Server was restarted or lost the execution; its result is unknown',
);
const GONE = failed(
  'ExecutionLost',
  'the Runtime Server is gone and the execution with it; its result is unknown',
);
const SILENT = failed(
  'ExecutionLost',
  'the Runtime Server is there and has not answered for too long; the result of the execution is unknown',
);
const UNANSWERED = (message: string): AttemptResult =>
  failed('ExecutionLost', `the Runtime Server did not say whether it started the execution: ${message}`);

/** Of an attempt that was stopped before its process was started. */
const stoppedBeforeStart = ({ stop, timeoutMs }: Attempt): AttemptResult =>
  stop === 'Timeout'
    ? failed(
        'Timeout',
        timeoutMs === undefined
          ? 'timed out before it started'
          : `timed out after ${formatDuration(timeoutMs)}, before it started`,
      )
    : { kind: 'Cancelled', message: 'cancelled before it started' };

const endEvent = (
  { startedAt, commitSHA }: Readonly<{ startedAt?: Moment['at']; commitSHA?: string }>,
  result: AttemptResult,
  { at, chance }: Moment,
): EndEvent => ({
  kind: 'AttemptEnded',
  result,
  ...(startedAt === undefined ? {} : { startedAt }),
  ...(commitSHA === undefined ? {} : { commitSHA }),
  at,
  chance,
});

const only = (attempt: Attempt, ...commands: ReadonlyArray<AttemptCommand>): Advance => ({
  attempt,
  commands,
});
const to = (attempt: Attempt, stage: Stage, ...commands: ReadonlyArray<AttemptCommand>): Advance => ({
  attempt: { ...attempt, stage },
  commands,
});

/** The assignment part, without the stage: what a command carries. */
const assignmentPart = ({
  ref,
  runtime,
  requests,
  timeoutMs,
  policy,
  status,
  commitSHA,
}: Attempt): Assignment => ({
  ref,
  runtime,
  requests,
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
  policy,
  status,
  ...(commitSHA === undefined ? {} : { commitSHA }),
});

const writeEnd = (attempt: Attempt, event: EndEvent): Advance => ({
  attempt: { ...attempt, writing: 'End' },
  commands: [{ kind: 'WriteStatus', assignment: assignmentPart(attempt), event }],
});

const clearAlarms = ({ ref }: Attempt): AttemptCommand => ({ kind: 'ClearAlarms', id: idOf(ref) });

const clean = (attempt: Attempt, isWritten = false): Advance =>
  to(attempt, { name: 'Cleaning', isWritten }, clearAlarms(attempt), {
    kind: 'Clean',
    ref: attempt.ref,
    prepared: attempt.prepared,
    executed: attempt.executed,
    written: isWritten,
    stored: attempt.stored === true && !isWritten,
  });

/** No process is left: write the end, after a Started write that may be under way. Of a fenced one nothing is written. */
const end = (attempt: Attempt, result: AttemptResult, moment: Moment): Advance => {
  if (attempt.stop === 'Fenced') return clean(attempt);
  const event = endEvent(attempt, result, moment);
  const ended: Attempt = { ...attempt, stage: { name: 'Ending', event } };
  const next = attempt.writing === undefined ? writeEnd(ended, event) : only(ended);
  return { attempt: next.attempt, commands: [clearAlarms(attempt), ...next.commands] };
};

const execute = (attempt: Attempt, execution: Execution, { at }: Moment): Advance => ({
  attempt: {
    ...attempt,
    stage: { name: 'Executing', acknowledged: false, broken: false, since: at, execution },
    executed: true,
    confirmed: true,
  },
  commands: [{ kind: 'Execute', ref: attempt.ref, execution }],
});

const cancelExecution = (attempt: Attempt, { at }: Moment): ReadonlyArray<AttemptCommand> => [
  { kind: 'CancelExecution', ref: attempt.ref },
  { kind: 'SetAlarm', id: idOf(attempt.ref), alarm: 'Stop', at: plusMillis(at, STOP_REPEAT_MS) },
];

/** Whether the process may run at the server, so that a stop has to go there. */
const mayRun = ({ stage }: Attempt): boolean =>
  stage.name === 'Running' || (stage.name === 'Executing' && stage.acknowledged);

/** Alarms are counted from its start, or from now where the clock has been set back since. */
const started = (attempt: Attempt, at: Moment['at'], moment: Moment): Advance => {
  const id = idOf(attempt.ref);
  const startedAt = attempt.startedAt ?? attempt.status.startTime ?? at;
  const from = startedAt > plusMillis(moment.at, SET_BACK_MS) ? moment.at : startedAt;
  const running: Attempt = { ...attempt, stage: { name: 'Running' }, startedAt, confirmed: true };
  const commands: AttemptCommand[] = [];
  if (attempt.status.phase === 'Scheduled')
    commands.push({ kind: 'SetAlarm', id, alarm: 'Running', at: plusMillis(from, RUNNING_AFTER_MS) });
  if (attempt.timeoutMs !== undefined)
    commands.push({ kind: 'SetAlarm', id, alarm: 'Timeout', at: plusMillis(from, attempt.timeoutMs) });
  return only(running, ...commands);
};

const exited = (attempt: Attempt, exit: Exit): Advance =>
  attempt.stop === 'Fenced'
    ? clean({ ...attempt, confirmed: true })
    : to({ ...attempt, confirmed: true }, { name: 'Collecting', exit }, clearAlarms(attempt), {
        kind: 'Collect',
        ref: attempt.ref,
        artifacts: wantsArtifacts(
          exit,
          { stop: attempt.stop, timeoutMs: attempt.timeoutMs },
          attempt.policy.cancelRequested,
        )
          ? 'Store'
          : 'Leave',
      });

const stopAsked = (attempt: Attempt, cause: StopCause, moment: Moment): Advance => {
  const { stage } = attempt;
  // The end is decided already, or its own write is what moved the fence.
  if (stage.name === 'Ending' || stage.name === 'Cleaning') return only(attempt);
  const before = attempt.stop;
  const stop: StopCause = cause === 'Fenced' ? 'Fenced' : (before ?? cause);
  const policy = cause === 'Cancelled' ? { ...attempt.policy, cancelRequested: true } : attempt.policy;
  const stopped: Attempt = { ...attempt, stop, policy };
  switch (stage.name) {
    case 'Waiting':
    case 'Ready':
      return end(stopped, stoppedBeforeStart(stopped), moment);
    case 'Running':
    case 'Executing':
      return before === undefined && mayRun(attempt)
        ? only(stopped, ...cancelExecution(attempt, moment))
        : only(stopped);
    case 'Preparing':
      return before === undefined && isFetched(stage.work)
        ? only(stopped, { kind: 'AbortPrepare', ref: attempt.ref })
        : only(stopped);
    case 'Collecting':
      return only(stopped);
    default:
      return stage satisfies never;
  }
};

/** It still runs: that is written now, or, when others wait, at the latest moment for it. */
const stillRuns = (attempt: Attempt, moment: Moment, { isWaitedFor = false }: PodFacts): Advance => {
  const { stage, startedAt = moment.at, commitSHA } = attempt;
  if (stage.name !== 'Running' || attempt.writing !== undefined || attempt.status.phase !== 'Scheduled')
    return only(attempt);
  const latest = plusMillis(startedAt, RUNNING_AT_LATEST_MS);
  if (isWaitedFor && moment.at < latest)
    return only(attempt, { kind: 'SetAlarm', id: idOf(attempt.ref), alarm: 'Running', at: latest });
  const event = {
    kind: 'Started' as const,
    at: startedAt,
    ...(commitSHA === undefined ? {} : { commitSHA }),
  };
  return only(
    { ...attempt, writing: 'Started' },
    { kind: 'WriteStatus', assignment: assignmentPart(attempt), event },
  );
};

const rang = (
  attempt: Attempt,
  alarm: Extract<AttemptInput, { kind: 'Rang' }>['alarm'],
  moment: Moment,
  pod: PodFacts,
): Advance => {
  const { stage } = attempt;
  switch (alarm) {
    case 'Running':
      return stillRuns(attempt, moment, pod);
    case 'Timeout':
      return stage.name === 'Running' || stage.name === 'Preparing'
        ? stopAsked(attempt, 'Timeout', moment)
        : only(attempt);
    case 'Stop':
      return mayRun(attempt)
        ? only(
            attempt,
            {
              kind: 'Note',
              level: 'warn',
              message: 'execution does not end, stopping it again',
              ref: attempt.ref,
            },
            ...cancelExecution(attempt, moment),
          )
        : only(attempt);
    case 'Execute':
      return stage.name === 'Executing' && stage.execution && stage.isPausing
        ? to(attempt, asking(stage), { kind: 'Execute', ref: attempt.ref, execution: stage.execution })
        : only(attempt);
    default:
      return alarm satisfies never;
  }
};

/**
 * How it is with the Runtime Server: connected, and then in step once it has said all that it runs; or away, which is Silent
 * until somebody knows that no process listens in its place.
 */
export type ServerState = 'Opened' | 'Synced' | 'Silent' | 'Gone';

/** Whether there is one that can be asked. */
export const isUp = (server: ServerState): boolean => server === 'Opened' || server === 'Synced';

/** The stage while an answer to Execute is under way. */
const asking = ({ isPausing: _pausing, ...stage }: Extract<Stage, { name: 'Executing' }>) => stage;

const executing = (
  attempt: Attempt,
  stage: Extract<Stage, { name: 'Executing' }>,
  input: Extract<AttemptInput, { kind: 'Executed' | 'ExecuteRefused' | 'ExecuteUnanswered' }>,
  moment: Moment,
  server: ServerState,
): Advance => {
  switch (input.kind) {
    case 'Executed': {
      if (stage.acknowledged) return only(attempt);
      const { execution: _sent, ...known } = stage;
      const acknowledged: Attempt = { ...attempt, stage: { ...known, acknowledged: true }, confirmed: true };
      return attempt.stop === undefined
        ? only(acknowledged)
        : only(acknowledged, ...cancelExecution(attempt, moment));
    }
    case 'ExecuteRefused':
      return end(
        attempt,
        failed('RuntimeExecute', `the Runtime Server refused it: ${input.message}`),
        moment,
      );
    case 'ExecuteUnanswered':
      if (stage.acknowledged) return only(attempt);
      if (stage.broken)
        return server === 'Synced' && !attempt.confirmed
          ? end(attempt, LOST, moment)
          : to(attempt, { ...stage, acknowledged: true });
      if (moment.at - stage.since > EXECUTE_LIMIT_MS * 1000)
        return end(attempt, UNANSWERED(input.message), moment);
      return to(
        attempt,
        { ...stage, isPausing: true },
        {
          kind: 'SetAlarm',
          id: idOf(attempt.ref),
          alarm: 'Execute',
          at: plusMillis(moment.at, EXECUTE_REPEAT_MS),
        },
      );
    default:
      return input satisfies never;
  }
};

const withCommit = (attempt: Attempt, { commitSHA }: Readonly<{ commitSHA?: string }>): Attempt =>
  commitSHA === undefined ? attempt : { ...attempt, commitSHA };

const prepared = (attempt: Attempt, execution: Execution, moment: Moment, server: ServerState): Advance => {
  if (attempt.stop !== undefined) return end(attempt, stoppedBeforeStart(attempt), moment);
  return isUp(server) ? execute(attempt, execution, moment) : to(attempt, { name: 'Ready', execution });
};

/** What it was asked to end as comes first. */
const unprepared = (attempt: Attempt, message: string, moment: Moment): Advance => {
  return attempt.stop === undefined
    ? giveBack(attempt, 'Unfit', message)
    : end(attempt, stoppedBeforeStart(attempt), moment);
};

const giveBack = (
  attempt: Attempt,
  reason: Extract<AttemptCommand, { kind: 'GiveBack' }>['reason'],
  message: string,
): Advance => {
  const next = clean({ ...attempt, givenBack: true });
  const assignment = assignmentPart(attempt);
  return { ...next, commands: [{ kind: 'GiveBack', assignment, reason, message }, ...next.commands] };
};

/**
 * The Runtime Server is gone, or silent for too long. In a pod that ends it does not come back; what was never written as
 * Running is then treated as the operator treats what is Scheduled on a pod that is gone: it takes no attempt.
 */
const serverLost = (attempt: Attempt, moment: Moment, { server, isEnding = false }: PodFacts): Advance => {
  const { stage, stop, status, writing } = attempt;
  const isExecuted = stage.name === 'Executing' || stage.name === 'Running';
  if (!isExecuted && !(isEnding && stage.name === 'Ready')) return only(attempt);
  return isEnding && stop === undefined && writing === undefined && status.phase === 'Scheduled'
    ? giveBack(attempt, 'PodTerminating', 'the pod ends, and its Runtime Server is gone')
    : end(attempt, isExecuted ? (server === 'Gone' ? GONE : SILENT) : stoppedBeforeStart(attempt), moment);
};

/** Facts about the pod that a step depends on. */
export type PodFacts = Readonly<{
  server: ServerState;
  /** Its containers were told to end and are not started again. */
  isEnding?: boolean;
  /** Whether attempts of the pod wait to begin, or for their end to be written. */
  isWaitedFor?: boolean;
}>;

/** One step. */
export const advance = (attempt: Attempt, input: AttemptInput, moment: Moment, pod: PodFacts): Advance => {
  const { stage } = attempt;
  const isExecuted = stage.name === 'Executing' || stage.name === 'Running';
  switch (input.kind) {
    case 'WorkspaceFree':
      return stage.name === 'Waiting'
        ? to(
            { ...attempt, prepared: true },
            { name: 'Preparing', work: stage.work },
            ...prepare(assignmentPart(attempt), stage.work, moment),
          )
        : only(attempt);
    case 'Prepared':
      if (stage.name !== 'Preparing') return only(attempt);
      return prepared(withCommit(attempt, input), input.execution, moment, pod.server);
    case 'PrepareFailed':
      if (stage.name !== 'Preparing') return only(attempt);
      return end(
        withCommit(attempt, input),
        attempt.stop === undefined ? failed(input.reason, input.message) : stoppedBeforeStart(attempt),
        moment,
      );
    case 'Unprepared':
      return stage.name === 'Preparing' ? unprepared(attempt, input.message, moment) : only(attempt);
    case 'Executed':
    case 'ExecuteRefused':
    case 'ExecuteUnanswered':
      return stage.name === 'Executing'
        ? executing(attempt, stage, input, moment, pod.server)
        : only(attempt);
    case 'Started':
      if (stage.name === 'Executing') {
        const next = started(attempt, input.at, moment);
        // A stop that came before the answer to Execute; once acknowledged it has been sent already.
        return attempt.stop !== undefined && !stage.acknowledged
          ? only(next.attempt, ...next.commands, ...cancelExecution(attempt, moment))
          : next;
      }
      // Given up for lost, and back: what it does now is nobody's any more.
      if (stage.name === 'Ending' || stage.name === 'Cleaning')
        return only(attempt, { kind: 'CancelExecution', ref: attempt.ref });
      return only({ ...attempt, confirmed: true });
    case 'Exited':
      if (isExecuted) return exited(attempt, input.exit);
      // Where it has come back while it was cleaned away, the server may have refused to forget what ran still.
      return stage.name === 'Cleaning'
        ? only(attempt, { kind: 'EndUnknown', id: idOf(attempt.ref), running: false })
        : only(attempt);
    case 'Collected': {
      if (stage.name !== 'Collecting') return only(attempt);
      const { exit } = stage;
      const result = resultOf(exit, {
        stop: attempt.stop,
        timeoutMs: attempt.timeoutMs,
        collected: input.collected,
      });
      const { artifacts } = input.collected;
      const kept: Attempt = artifacts?.store === undefined ? attempt : { ...attempt, stored: true };
      return end(kept, result, { ...moment, at: exit.at });
    }
    case 'StopAsked':
      return stopAsked(attempt, input.cause, moment);
    case 'Rang':
      return rang(attempt, input.alarm, moment, pod);
    case 'StatusWritten':
    case 'StatusUnwritten':
    case 'StatusFenced':
      return written(attempt, input, moment);
    case 'ServerOpened':
      if (stage.name === 'Ready') return execute(attempt, stage.execution, moment);
      return isExecuted ? only({ ...attempt, confirmed: false }) : only(attempt);
    case 'ServerDown':
      if (stage.name !== 'Executing' || stage.acknowledged) return only(attempt);
      // Where no answer is under way, what the server reports when it is back says what became of it.
      return to(
        attempt,
        stage.isPausing ? { ...asking(stage), acknowledged: true } : { ...stage, broken: true },
      );
    case 'ServerSynced':
      return mayRun(attempt) && !attempt.confirmed ? end(attempt, LOST, moment) : only(attempt);
    case 'ServerLost':
      return serverLost(attempt, moment, pod);
    default:
      return input satisfies never;
  }
};

const written = (
  before: Attempt,
  input: Extract<AttemptInput, { kind: 'StatusWritten' | 'StatusUnwritten' | 'StatusFenced' }>,
  moment: Moment,
): Advance => {
  const { writing, ...rest } = before;
  if (writing === undefined) return only(before);
  const attempt: Attempt = input.kind === 'StatusWritten' ? { ...rest, status: input.status } : rest;
  const { stage } = attempt;
  if (input.kind === 'StatusFenced') {
    const note: AttemptCommand = {
      kind: 'Note',
      level: 'warn',
      message: 'status write refused by its fence, result discarded',
      ref: attempt.ref,
      fields: { reason: input.message },
    };
    const next = stage.name === 'Ending' ? clean(attempt) : stopAsked(attempt, 'Fenced', moment);
    return { attempt: next.attempt, commands: [note, ...next.commands] };
  }
  if (stage.name === 'Ending')
    return writing === 'End' ? clean(attempt, true) : writeEnd(attempt, stage.event);
  // The API was away: ask again while it runs, so that it is seen as Running as soon as it can be.
  return input.kind === 'StatusUnwritten' && stage.name === 'Running'
    ? only(attempt, {
        kind: 'SetAlarm',
        id: idOf(attempt.ref),
        alarm: 'Running',
        at: plusMillis(moment.at, RUNNING_REPEAT_MS),
      })
    : only(attempt);
};
