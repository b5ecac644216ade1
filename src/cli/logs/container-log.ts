/**
 * Reads a log from the container log of runtimed, for whoever may read logs but not forward ports: the records of one
 * attempt are picked out of all that the pod wrote.
 */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { RUNTIMED_CONTAINER } from '../../model/names.js';
import type { Api } from '../api/api.js';
import { Failure, isRefusal } from '../failure.js';
import { LogError, type LogLine, type LogRequest, type ReadLog } from './log-read.js';

/** A line of a Run in runtimed's own log (contract, "Logs"). */
const LogRecord = t.intersection([
  t.type({
    run_uid: t.string,
    attempt: t.number,
    stream: t.string,
    seq: t.number,
    message: t.string,
  }),
  t.partial({
    time: t.string,
    /** The line where it is not UTF-8. */
    base64: t.string,
    partial: t.boolean,
    dropped_bytes: t.number,
  }),
]);

/** The line of the attempt asked for in one line of the container's log, if it is one. */
export const pick = (text: string, request: LogRequest): LogLine | undefined => {
  // Most lines are other Runs': the UID is looked for before the line is parsed.
  if (!text.includes(request.runUid)) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  const decoded = LogRecord.decode(parsed);
  if (E.isLeft(decoded)) return undefined;
  const { run_uid, attempt, stream, seq, message, base64, partial, dropped_bytes, time } = decoded.right;
  if (run_uid !== request.runUid || attempt !== request.attempt || seq <= request.afterSeq) return undefined;
  if (request.stream !== '' && stream !== request.stream) return undefined;
  return {
    seq,
    timeMicros: (Date.parse(time ?? '') || 0) * 1000,
    stream,
    bytes: base64 === undefined ? Buffer.from(message) : Buffer.from(base64, 'base64'),
    isWhole: partial !== true,
    droppedBytes: dropped_bytes ?? 0,
  };
};

/** Calls back for each line, the last one without a newline left out: it is still being written. */
const lineSplitter = (onLine: (text: string) => void): ((bytes: Uint8Array) => void) => {
  let held = '';
  const decoder = new TextDecoder();
  return (bytes) => {
    const lines = (held + decoder.decode(bytes, { stream: true })).split('\n');
    held = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  };
};

const logError = (error: unknown): LogError => {
  if (!(error instanceof Failure)) return new LogError('Lost', String(error), error);
  if (!isRefusal(error)) return new LogError('Lost', error.message, error);
  return new LogError(
    error.kind === 'NotFound' ? 'NoPod' : error.kind === 'NoAccess' ? 'Forbidden' : 'Lost',
    error.message,
    error,
  );
};

/**
 * Reads through the cluster. A container's log has no end while the pod lives, so a followed reading goes on until
 * `ended` resolves, and then looks once more for what came last.
 */
export const containerLog =
  (api: Pick<Api, 'podLog'>, ended: Promise<unknown>): ReadLog =>
  (request, line) => {
    const pod = { namespace: request.namespace, name: request.pod };
    let lastSeq = request.afterSeq;
    let current: ReturnType<Api['podLog']> | undefined;
    let stopped = false;
    const pass = async (follow: boolean, onLine: (line: LogLine) => void): Promise<void> => {
      if (stopped) return;
      current = api.podLog(
        pod,
        { container: RUNTIMED_CONTAINER, follow },
        lineSplitter((text) => {
          const found = pick(text, { ...request, afterSeq: lastSeq });
          if (!found) return;
          lastSeq = found.seq;
          onLine(found);
        }),
      );
      if (follow) void ended.then(current.stop, current.stop);
      await current.done;
    };
    const read = async (): Promise<void> => {
      try {
        const last: LogLine[] = [];
        if (request.tail > 0) {
          await pass(false, (each) => {
            last.push(each);
            if (last.length > request.tail) last.shift();
          });
          last.forEach(line);
        }
        if (request.follow) await pass(true, line);
        if (request.follow || request.tail === 0) await pass(false, line);
        if (lastSeq === 0 && !stopped)
          throw new LogError('NoLog', `the log of pod ${request.pod} has nothing of this attempt`);
      } catch (error) {
        throw error instanceof LogError ? error : logError(error);
      }
    };
    return {
      done: read(),
      stop: () => {
        stopped = true;
        current?.stop();
      },
    };
  };
