/**
 * A Run's output as records on runtimed's stdout: bunyan's form, written here because a flood of short lines costs
 * bunyan ten times as much, and that time would be the neighbours'. The log level does not apply to it.
 */
import { isUtf8 } from 'node:buffer';

import type { Record as LogRecord } from '../../proto/gen/logs.js';
import type { LogOwner } from './run-logs.js';

/** bunyan's INFO, and the version of its format. */
const INFO = 30;
const FORMAT = 0;

/** The fields that every record of one attempt begins with, without the closing brace. */
const headOf = (
  log: Readonly<{ hostname: string; pid: number; pod: string }>,
  { ref, runtime }: LogOwner,
): string =>
  JSON.stringify({
    name: 'runtimed',
    hostname: log.hostname,
    pid: log.pid,
    level: INFO,
    run_uid: ref.uid,
    run_name: ref.name,
    namespace: ref.namespace,
    runtime,
    pod: log.pod,
    attempt: ref.attempt,
  }).slice(0, -1);

/** The line's bytes, where its text is not all of it. */
const exact = (line: Uint8Array): string =>
  isUtf8(line) ? '' : `,"base64":"${Buffer.from(line).toString('base64')}"`;

/** Lines of JSON, one per record, with their newlines. Bytes that are not UTF-8 stand as U+FFFD, and are in `base64`. */
export const outputRecords =
  (log: Readonly<{ hostname: string; pid: number; pod: string }>) =>
  (owner: LogOwner, records: ReadonlyArray<LogRecord>): string => {
    const head = headOf(log, owner);
    const tail = `,"msg":"run output","time":"${new Date().toISOString()}","v":${FORMAT}}\n`;
    let text = '';
    for (const { stream, seq, line, partial, droppedBytes } of records) {
      const more = `${partial ? ',"partial":true' : ''}${droppedBytes > 0 ? `,"dropped_bytes":${droppedBytes}` : ''}`;
      text += `${head},"stream":"${stream}","seq":${seq},"message":${JSON.stringify(line.toString())}${exact(line)}${more}${tail}`;
    }
    return text;
  };
