/**
 * Reads the log of one attempt to its end, whatever it takes: taken up after the last line when the connection
 * breaks, and from the container's log where ports may not be forwarded.
 */
import type { Api } from '../api/api.js';
import { containerLog } from './container-log.js';
import { daemonLog } from './daemon-log.js';
import { LogError, type LogLine, type LogRequest, type ReadLog } from './log-read.js';

const FIRST_PAUSE_MS = 100;
/** Pauses double: the last of so many is 6.4 s, all together 13 s. */
const MOST_TRIES = 7;

export type AttemptRequest = Omit<LogRequest, 'afterSeq'> &
  Readonly<{
    /** Resolves when the attempt has ended; needed to follow the log of a container, which has no end. */
    ended: Promise<void>;
  }>;

const isLost = (error: unknown): boolean => !(error instanceof LogError) || error.trouble === 'Lost';

/** `done` rejects with a LogError when the log cannot be had; after `stop` it resolves. */
export const readAttempt = (
  api: Pick<Api, 'openPort' | 'podLog'>,
  { ended, ...request }: AttemptRequest,
  onLine: (line: LogLine) => void,
): Readonly<{ done: Promise<void>; stop: () => void }> => {
  let stopped = false;
  let wake: () => void = () => undefined;
  let stopReading: () => void = () => undefined;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  const read = async (): Promise<void> => {
    let reader: ReadLog = daemonLog(api);
    let hasFallback = true;
    let afterSeq = 0;
    let tries = 0;
    while (!stopped) {
      const reading = reader({ ...request, afterSeq, tail: afterSeq === 0 ? request.tail : 0 }, (line) => {
        afterSeq = Math.max(afterSeq, line.seq);
        tries = 0;
        onLine(line);
      });
      stopReading = reading.stop;
      try {
        await reading.done;
        return;
      } catch (error) {
        if (stopped) return;
        if (error instanceof LogError && error.trouble === 'Forbidden' && hasFallback) {
          hasFallback = false;
          reader = containerLog(api, ended);
        } else if (isLost(error) && tries < MOST_TRIES) {
          await pause(FIRST_PAUSE_MS * 2 ** tries);
          tries += 1;
        } else throw error;
      }
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
  const message = error instanceof Error ? error.message : String(error);
  switch (error instanceof LogError ? error.trouble : 'Lost') {
    case 'NoPod':
      return `pod ${pod} is gone, and the log of attempt ${attempt} with it; krt rerun --follow executes the Run again`;
    case 'NoLog':
      return `pod ${pod} holds no log of attempt ${attempt}; krt rerun --follow executes the Run again`;
    case 'Forbidden':
      return `the log of attempt ${attempt} may not be read: ${message}; ask for pods/portforward or pods/log`;
    case 'Lost':
      return `the log of attempt ${attempt} cannot be read from pod ${pod}: ${message}`;
  }
};
