/** One reading of one attempt's log: what is asked for, what comes, and why it may not come. */

export type LogRequest = Readonly<{
  namespace: string;
  /** The pod that is asked. */
  pod: string;
  /** The pod that executed the attempt; '' where it is not known. */
  podUid: string;
  runUid: string;
  attempt: number;
  follow: boolean;
  /** Only records with a greater number. */
  afterSeq: number;
  /** Only the last so many; 0 for all. */
  tail: number;
  stream: '' | 'stdout' | 'stderr';
}>;

/** One line, or a gap of bytes that were dropped. */
export type LogLine = Readonly<{
  seq: number;
  /** Microseconds since the epoch; 0 where it is not known. */
  timeMicros: number;
  stream: string;
  bytes: Uint8Array;
  /** A newline ended it. */
  isWhole: boolean;
  droppedBytes: number;
}>;

/** Why a log cannot be read. */
export type LogTrouble =
  /** The pod is gone. */
  | 'NoPod'
  /** The pod holds no log of that attempt, nor does its store. */
  | 'NoLog'
  /** It is in a store that no running pod has. */
  | 'NoStore'
  /** This way of reading is not permitted. */
  | 'Forbidden'
  /** The connection broke; it may be tried again. */
  | 'Lost';

export class LogError extends Error {
  readonly trouble: LogTrouble;
  constructor(trouble: LogTrouble, message: string, cause?: unknown) {
    super(message, { cause });
    this.trouble = trouble;
  }
}

/** Reads; `done` rejects with a LogError. After `stop` it resolves. */
export type ReadLog = (
  request: LogRequest,
  line: (line: LogLine) => void,
) => Readonly<{ done: Promise<void>; stop: () => void }>;
