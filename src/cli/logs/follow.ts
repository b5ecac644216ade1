/**
 * Streams what the attempts of a Run write, one attempt after the other, to stdout and stderr as the script did. A log
 * that cannot be had is told of on stderr, and never keeps anybody from waiting for the Run's end.
 */
import type { Run } from '../../model/run.js';
import { podsWithStore } from '../artifact/pods.js';
import type { OpenCluster, Terminal } from '../krt.js';
import { endOf, phaseOf } from '../run/read-run.js';
import { type AttemptPlace, startedAttempts } from './attempts.js';
import type { LogRequest } from './log-read.js';
import { linePrinter } from './print-line.js';
import { missingLog, readAttempt } from './read-attempt.js';

/** Streams the logs of every attempt of a Run that is told of. */
export type LogFollower = Readonly<{
  seen: (run: Run) => void;
  /** Resolves when all that the ended Run wrote has been printed, or cannot be had. */
  drained: () => Promise<void>;
  stop: () => void;
}>;

export type FollowOptions = Readonly<{
  /** All goes to stderr, because stdout is for the object. */
  toErr: boolean;
  /** Earlier attempts are left out. */
  fromAttempt: number;
  /** Later attempts are left out. */
  toAttempt: number;
  stream: LogRequest['stream'];
  /** Of the first attempt that is read; 0 for all. */
  tail: number;
  timestamps: boolean;
}>;

/** Everything of every attempt. */
export const ALL: Omit<FollowOptions, 'toErr'> = {
  fromAttempt: 1,
  toAttempt: Number.POSITIVE_INFINITY,
  stream: '',
  tail: 0,
  timestamps: false,
};

export type FollowDeps = Pick<OpenCluster, 'api' | 'namespace'> &
  Readonly<{ terminal: Pick<Terminal, 'out' | 'err'> }>;

/** A promise and the way to resolve it. */
const latch = (): Readonly<{ opened: Promise<void>; open: () => void }> => {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
};

/** Whether nothing more will come from this attempt. */
const isOver = (run: Run, attempt: number): boolean =>
  endOf(run) !== undefined || (run.status?.attempt ?? 0) > attempt || phaseOf(run) === 'Pending';

export const followLogs = (
  { toErr, fromAttempt, toAttempt, stream, tail, timestamps }: FollowOptions,
  { api, namespace, terminal }: FollowDeps,
): LogFollower => {
  const print = linePrinter(terminal, { toErr, timestamps });
  const ends = new Map<number, ReturnType<typeof latch>>();
  let chain: Promise<void> = Promise.resolve();
  let stopReading: () => void = () => undefined;
  let stopped = false;

  const read = async (
    run: Run,
    { attempt, pod, podUid = '', log }: AttemptPlace,
    ended: Promise<void>,
    ofTail: number,
  ): Promise<void> => {
    if (stopped) return;
    const reading = readAttempt(
      api,
      {
        ...{ namespace, pod, podUid, runUid: run.metadata.uid, attempt, log, ended },
        ...{ follow: true, tail: ofTail, stream },
        otherPods: () => podsWithStore(api, namespace, run),
      },
      { line: print, note: (text) => terminal.err(`krt: log of attempt ${attempt}: ${text}\n`) },
    );
    stopReading = reading.stop;
    await reading.done.catch((error: unknown) => terminal.err(`krt: ${missingLog(error, attempt, pod)}\n`));
  };

  return {
    seen: (run) => {
      for (const place of startedAttempts(run)) {
        const { attempt } = place;
        if (ends.has(attempt) || attempt < fromAttempt || attempt > toAttempt) continue;
        const end = latch();
        const ofTail = ends.size === 0 ? tail : 0;
        ends.set(attempt, end);
        chain = chain.then(() => read(run, place, end.opened, ofTail));
      }
      for (const [attempt, { open }] of ends) if (isOver(run, attempt)) open();
    },
    drained: () => chain,
    stop: () => {
      stopped = true;
      stopReading();
    },
  };
};
