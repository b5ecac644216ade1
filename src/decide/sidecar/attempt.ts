/**
 * One attempt of one Run in this pod: what is known of it, what may happen to it, what may be asked for it.
 *
 *     Waiting ─▶ Preparing ─▶ Ready ─▶ Executing ─▶ Running ─▶ Collecting ─▶ Ending ─▶ Cleaning
 *
 * Types alone; `advance.ts` has the steps. Waiting: an earlier attempt of the same Run still occupies the workspace.
 * Ready: the Runtime Server is not there at the moment. Ending: its processes are gone and its end is being written.
 */

import type { ArtifactStoreSettings } from '../../model/artifact-store.js';
import { executionId, type RunUid } from '../../model/ids.js';
import type { Amounts, ArtifactRef, RunStatus } from '../../model/run.js';
import type { Micros } from '../../model/time.js';
import type { LifecyclePolicy, RunEvent } from '../lifecycle.js';

/** Which attempt. */
export type AttemptRef = Readonly<{
  namespace: string;
  name: string;
  uid: RunUid;
  /** From 1. */
  attempt: number;
}>;

/** What the attempt is called at the Runtime Server, on disk and in every table here. */
export const idOf = (ref: AttemptRef): string => executionId(ref.uid, ref.attempt);

/** What is to be executed; kept only until it is in the workspace. */
export type Work = Readonly<{
  source:
    | Readonly<{ inline?: string; repoURL?: string; commitSHA?: string; ref?: string; submodules?: boolean }>
    | undefined;
  entrypoint: string | undefined;
  args: ReadonlyArray<string>;
  env: Readonly<Record<string, string>>;
}>;

/** What an attempt keeps of its Run. */
export type Assignment = Readonly<{
  ref: AttemptRef;
  runtime: string;
  requests: Amounts;
  /** Absent: no limit. */
  timeoutMs?: number;
  policy: LifecyclePolicy;
  /** The status as last known to stand in the API. */
  status: RunStatus;
  /** The commit that was checked out; recorded with the next write of the status. */
  commitSHA?: string;
}>;

/** What the Runtime Server is asked to do, once the workspace is ready. Never logged: it holds the Run's env. */
export type Execution = Readonly<{
  workingDir: string;
  /** '' means that args are the command. */
  entrypoint: string;
  args: ReadonlyArray<string>;
  env: Readonly<Record<string, string>>;
  /** Whole seconds, 0 for none: the server's backstop. */
  timeoutSeconds: number;
}>;

/** How the process ended, in the words of the Runtime Server. */
export type Exit = Readonly<{
  code: number;
  /** 0: none. */
  signal: number;
  cause: 'Exited' | 'Stopped' | 'TimedOut' | 'NotStarted' | 'Unknown';
  /** Of a process that could not be started. */
  errorMessage: string;
  /** Last line of stderr that is not blank, '' if none. */
  lastStderr: string;
  at: Micros;
}>;

/** Why an attempt is being ended from outside. Fenced: it is no longer ours, its result will be thrown away. */
export type StopCause = 'Cancelled' | 'Timeout' | 'Fenced';

export type Stage =
  | Readonly<{ name: 'Waiting' | 'Preparing'; work: Work }>
  | Readonly<{ name: 'Ready'; execution: Execution }>
  | Readonly<{
      name: 'Executing';
      /** Execute was answered. */
      acknowledged: boolean;
      /** The Runtime Server went away while Execute was under way: it must not be sent again. */
      broken: boolean;
      /** Execute had no answer and is to be sent again: none is under way. */
      isPausing?: true;
      since: Micros;
      /** Kept until it is acknowledged. */
      execution?: Execution;
    }>
  | Readonly<{ name: 'Running' }>
  | Readonly<{ name: 'Collecting'; exit: Exit }>
  | Readonly<{ name: 'Ending'; event: EndEvent }>
  /** `isWritten`: its end stands in the API; else its result was thrown away. */
  | Readonly<{ name: 'Cleaning'; isWritten: boolean }>;

/** The lifecycle's event at the end of an attempt. */
export type EndEvent = Extract<RunEvent, { kind: 'AttemptEnded' }>;

export type Attempt = Assignment &
  Readonly<{
    stage: Stage;
    stop?: StopCause;
    startedAt?: Micros;
    /** Its files may be in the workspace. */
    prepared: boolean;
    /** Execute was sent, so the Runtime Server may know it. */
    executed: boolean;
    /** The Runtime Server has spoken of it since its stream last opened. */
    confirmed: boolean;
    /** Its artifacts are, or may be, in the store. */
    stored?: true;
    /** It is another pod's, or this one's later: the same assignment may come again. */
    givenBack?: true;
    /** A status write is under way; there is never a second one. */
    writing?: 'Started' | 'End';
  }>;

/** The alarms an attempt may set; setting one again moves it. */
export type AlarmKind =
  /** Still running a while after its start: record it. */
  | 'Running'
  /** Of the process; before that, of the fetch of its source. */
  | 'Timeout'
  /** It was told to stop and has not. */
  | 'Stop'
  /** Execute was not answered: ask again. */
  | 'Execute';

export const ALARM_KINDS: ReadonlyArray<AlarmKind> = ['Running', 'Timeout', 'Stop', 'Execute'];

/** What became of the attempt's artifacts. `store` stands where it may hold something of them. */
export type ArtifactsCollected =
  | Readonly<{ kind: 'Stored'; refs: ReadonlyArray<ArtifactRef>; store: ArtifactStoreSettings }>
  | Readonly<{
      kind: 'Lost';
      reason: 'ArtifactInvalid' | 'ArtifactStoreFailed';
      message: string;
      store?: ArtifactStoreSettings;
    }>;

/** What the workspace held at the end; no `artifacts`: there were none, or none were asked for. */
export type Collected = (
  | Readonly<{ kind: 'Outputs'; outputs: Readonly<Record<string, string>> }>
  | Readonly<{ kind: 'Bad'; reason: 'OutputsInvalid' | 'OutputsTooLarge'; message: string }>
) &
  Readonly<{ artifacts?: ArtifactsCollected }>;

/** What may happen to an attempt. */
export type AttemptInput =
  | Readonly<{ kind: 'WorkspaceFree' }>
  | Readonly<{ kind: 'Prepared'; execution: Execution; commitSHA?: string }>
  | Readonly<{
      kind: 'PrepareFailed';
      reason: 'PrepareSource' | 'InvalidSpec';
      message: string;
      commitSHA?: string;
    }>
  /** The pod could make no workspace: that says nothing of the Run. */
  | Readonly<{ kind: 'Unprepared'; message: string }>
  | Readonly<{ kind: 'Executed' }>
  | Readonly<{ kind: 'ExecuteRefused'; message: string }>
  /** No answer: it may or may not have been started. */
  | Readonly<{ kind: 'ExecuteUnanswered'; message: string }>
  | Readonly<{ kind: 'Started'; at: Micros }>
  | Readonly<{ kind: 'Exited'; exit: Exit }>
  | Readonly<{ kind: 'Collected'; collected: Collected }>
  | Readonly<{ kind: 'StopAsked'; cause: StopCause }>
  | Readonly<{ kind: 'Rang'; alarm: AlarmKind }>
  | Readonly<{ kind: 'StatusWritten'; status: RunStatus }>
  /** The API was not there and the write was given up; only a Started one is. */
  | Readonly<{ kind: 'StatusUnwritten' }>
  | Readonly<{ kind: 'StatusFenced'; message: string }>
  | Readonly<{ kind: 'ServerOpened' }>
  | Readonly<{ kind: 'ServerSynced' }>
  | Readonly<{ kind: 'ServerDown' }>
  /** The Runtime Server was away for too long. */
  | Readonly<{ kind: 'ServerLost' }>;

/** What may be asked for an attempt; each is enacted once and answers with inputs. */
export type AttemptCommand =
  | Readonly<{ kind: 'Prepare'; assignment: Assignment; work: Work }>
  /** Break off the fetch of its source; Prepare answers all the same. */
  | Readonly<{ kind: 'AbortPrepare'; ref: AttemptRef }>
  /** Unfit: nothing of it was executed. PodTerminating: it may have begun. Nothing of it will be done here. */
  | Readonly<{
      kind: 'GiveBack';
      assignment: Assignment;
      reason: 'Unfit' | 'PodTerminating';
      message: string;
    }>
  | Readonly<{ kind: 'Execute'; ref: AttemptRef; execution: Execution }>
  | Readonly<{ kind: 'CancelExecution'; ref: AttemptRef }>
  /** The Runtime Server runs or keeps something that is nobody's here. */
  | Readonly<{ kind: 'EndUnknown'; id: string; running: boolean }>
  /** Read the outputs and, unless the attempt was cancelled, store the artifacts. */
  | Readonly<{ kind: 'Collect'; ref: AttemptRef; artifacts: 'Store' | 'Leave' }>
  | Readonly<{ kind: 'WriteStatus'; assignment: Assignment; event: RunEvent }>
  /**
   * Forget at the Runtime Server (if it was executed) and remove its files (if any) but the log. `written`: the end was
   * ours to write; `stored`: artifacts were stored and no end of ours refers to them.
   */
  | Readonly<{
      kind: 'Clean';
      ref: AttemptRef;
      prepared: boolean;
      executed: boolean;
      written: boolean;
      stored: boolean;
    }>
  | Readonly<{ kind: 'SetAlarm'; id: string; alarm: AlarmKind; at: Micros }>
  | Readonly<{ kind: 'ClearAlarms'; id: string }>
  | Note;

/** Something worth a log record. */
export type Note = Readonly<{
  kind: 'Note';
  level: 'debug' | 'info' | 'warn' | 'error';
  message: string;
  ref?: AttemptRef;
  fields?: Readonly<Record<string, string | number | boolean>>;
}>;

/** When, and a number of chance: what a pure step cannot know by itself. */
export type Moment = Readonly<{ at: Micros; chance: number }>;

/** An alarm, by whom and what it is for. */
export type Alarm = Readonly<{ id: string; alarm: AlarmKind }>;

/** The result of a step. */
export type Advance = Readonly<{ attempt: Attempt; commands: ReadonlyArray<AttemptCommand> }>;
