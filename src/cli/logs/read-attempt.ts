/**
 * Reads the log of one attempt to its end, whatever it takes: taken up after the last line when the connection
 * breaks, from the container's log where ports may not be forwarded, and from the artifact store, through any pod
 * that has it, when the attempt's own pod is gone.
 */
import type { LogRef } from '../../model/run.js';
import type { Api } from '../api/api.js';
import { containerLog } from './container-log.js';
import { daemonLog } from './daemon-log.js';
import { LogError, type LogLine, type LogRequest, type ReadLog } from './log-read.js';

const FIRST_PAUSE_MS = 100;
/** Pauses double: the last of so many is 6.4 s, all together 13 s. */
const MOST_TRIES = 7;
/** Tries of a pod where the log can be had elsewhere, too. */
const FEW_TRIES = 2;

export type AttemptRequest = Omit<LogRequest, 'afterSeq'> &
  Readonly<{
    /** Resolves when the attempt has ended; needed to follow the log of a container, which has no end. */
    ended: Promise<void>;
    /** Where the log is stored, as the attempt's end says. */
    log: LogRef | undefined;
    /** Pods that may have the store of the log, the likeliest first. */
    otherPods: () => Promise<ReadonlyArray<string>>;
  }>;

/** Told of the lines, and of what is missing of a log that was read. */
export type LogEars = Readonly<{ line: (line: LogLine) => void; note: (text: string) => void }>;

const troubleOf = (error: unknown): LogError =>
  error instanceof LogError ? error : new LogError('Lost', String(error), error);

/** `done` rejects with a LogError when the log cannot be had; after `stop` it resolves. */
export const readAttempt = (
  api: Pick<Api, 'openPort' | 'podLog'>,
  { ended, log, otherPods, ...request }: AttemptRequest,
  { line, note }: LogEars,
): Readonly<{ done: Promise<void>; stop: () => void }> => {
  let stopped = false;
  let wake: () => void = () => undefined;
  let stopReading: () => void = () => undefined;
  let afterSeq = 0;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  /** Reads on from one pod until the log's end. */
  const readFrom = async (pod: string, mostTries: number, mayFallBack: boolean): Promise<void> => {
    let reader: ReadLog = daemonLog(api);
    let hasFallback = mayFallBack;
    let tries = 0;
    while (!stopped) {
      const tail = afterSeq === 0 ? request.tail : 0;
      const reading = reader({ ...request, pod, afterSeq, tail }, (each) => {
        afterSeq = Math.max(afterSeq, each.seq);
        tries = 0;
        line(each);
      });
      stopReading = reading.stop;
      try {
        await reading.done;
        return;
      } catch (error) {
        if (stopped) return;
        const trouble = troubleOf(error);
        if (trouble.trouble === 'Forbidden' && hasFallback) {
          hasFallback = false;
          reader = containerLog(api, ended);
        } else if (trouble.trouble === 'Lost' && tries < mostTries) {
          await pause(FIRST_PAUSE_MS * 2 ** tries);
          tries += 1;
        } else throw trouble;
      }
    }
  };

  /** Reads on from the store. Rejects as the pod did where the log is in no store that is reached. */
  const readStored = async (ofPod: LogError): Promise<void> => {
    let reason = '';
    for (const pod of await otherPods().catch((error: unknown) => {
      reason = `: ${troubleOf(error).message}`;
      return [];
    })) {
      if (stopped) return;
      if (pod === request.pod && ofPod.trouble === 'Lost') continue;
      try {
        await readFrom(pod, FEW_TRIES, false);
      } catch (error) {
        const { trouble, message } = troubleOf(error);
        if (trouble !== 'NoPod' && trouble !== 'NoLog') reason = `: pod ${pod}: ${message}`;
        continue;
      }
      if (stopped || request.stream !== '') return;
      if (log === undefined) note('its pod was lost before it could say so, so this may not be all');
      else if (afterSeq < log.records) note('the end of it was not stored before the pod was gone');
      return;
    }
    throw log?.location === undefined
      ? ofPod
      : new LogError('NoStore', `it is stored at ${log.location}, and no running pod gives it out${reason}`);
  };

  const read = async (): Promise<void> => {
    // Nothing was written: nobody needs to be asked.
    if (log?.records === 0) return;
    try {
      await readFrom(request.pod, log === undefined ? MOST_TRIES : FEW_TRIES, true);
    } catch (error) {
      const trouble = troubleOf(error);
      const isElsewhere =
        trouble.trouble === 'NoPod' ||
        trouble.trouble === 'NoLog' ||
        (trouble.trouble === 'Lost' && log !== undefined);
      if (!isElsewhere || request.podUid === '') throw trouble;
      await readStored(trouble).catch((ofStore: unknown) => {
        if (trouble.trouble !== 'Lost') throw ofStore;
        // The pod is there and may only be restarting its runtimed.
        return readFrom(request.pod, MOST_TRIES, true).catch(() => {
          throw ofStore;
        });
      });
    }
  };
  return {
    done: read(),
    stop: () => {
      stopped = true;
      stopReading();
      wake();
    },
  };
};

/** Why there is no log, and what can be done. */
export const missingLog = (error: unknown, attempt: number, pod: string): string => {
  const { trouble, message } = troubleOf(error);
  switch (trouble) {
    case 'NoPod':
      return `pod ${pod} is gone, and the log of attempt ${attempt} with it; krt rerun --follow executes the Run again`;
    case 'NoLog':
      return `pod ${pod} holds no log of attempt ${attempt}; krt rerun --follow executes the Run again`;
    case 'NoStore':
      return `pod ${pod} does not give out the log of attempt ${attempt}; ${message}; a Runtime with that store makes it readable, or read access to the store itself`;
    case 'Forbidden':
      return `the log of attempt ${attempt} may not be read: ${message}; ask for pods/portforward or pods/log`;
    case 'Lost':
      return `the log of attempt ${attempt} cannot be read from pod ${pod}: ${message}`;
  }
};
