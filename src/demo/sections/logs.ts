/** Guide: Logs. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { concatMap, filter, firstValueFrom, from, map, scan, timeout } from 'rxjs';

import { objectPath } from '../../io/kube/paths.js';
import { lineSplitter } from '../../io/kube/watch-frames.js';
import { pods } from '../../model/resources.js';
import type { Scene, Section } from '../scene.js';

const LINES = 2000;
const CHATTY = `for ((i = 1; i <= ${LINES}; i++)); do echo "line $i of a long log"; done
echo "one line to stderr" >&2`;

const LogRecord = t.type({
  run_uid: t.string,
  run_name: t.string,
  attempt: t.number,
  stream: t.string,
  seq: t.number,
  message: t.string,
});
type LogRecord = t.TypeOf<typeof LogRecord>;

const recordOf = (line: string): ReadonlyArray<LogRecord> => {
  try {
    const record = LogRecord.decode(JSON.parse(line));
    return E.isRight(record) ? [record.right] : [];
  } catch {
    return [];
  }
};

/** The first `count` records of a Run in runtimed's own log, as they come. */
const runtimedRecords = (
  { client }: Scene,
  pod: string,
  uid: string,
  count: number,
): Promise<ReadonlyArray<LogRecord>> => {
  const lines: string[] = [];
  const split = lineSplitter((line) => lines.push(line));
  return firstValueFrom(
    client
      .stream(objectPath(pods, { namespace: 'default', name: pod }, 'log'), {
        container: 'runtimed',
        follow: true,
      })
      .pipe(
        concatMap((bytes) => {
          if (E.isLeft(bytes)) throw new Error(bytes.left.message);
          split(Buffer.from(bytes.right));
          return from(lines.splice(0));
        }),
        concatMap(recordOf),
        filter((record) => record.run_uid === uid),
        scan((records, record) => {
          records.push(record);
          return records;
        }, [] as LogRecord[]),
        filter((records) => records.length >= count),
        map((records) => records.slice(0, count)),
        timeout({ first: 10_000 }),
      ),
  );
};

export const logs: Section = {
  title: 'Logs',
  says: 'Full stdout and stderr are in structured runtimed logs keyed by Run UID, not in status.message.',
  play: async (scene) => {
    const { check, finished, follow, krt, narrator, stage } = scene;
    await krt(['run', '--name', 'chatty', '--wait', '--', CHATTY]);
    const { run, status } = await finished('chatty');
    const all = await krt(['logs', 'chatty', '--stream', 'stdout']);
    const lines = all.stdout.split('\n').slice(0, -1);
    check(
      `krt logs has all ${LINES} lines in their order`,
      lines.length === LINES && lines.every((line, index) => line === `line ${index + 1} of a long log`),
      `${lines.length} lines`,
    );
    const stderr = await krt(['logs', 'chatty', '--stream', 'stderr']);
    check('stdout and stderr are kept apart', stderr.output === 'one line to stderr\n', stderr.output);

    const pod = status.assignedPod ?? '';
    const records = await runtimedRecords(scene, pod, run.metadata.uid, LINES + 1);
    narrator.file(`the log of container runtimed of pod ${pod}`, JSON.stringify(records[0]));
    check(
      `it has one record per line, keyed by run_uid: ${LINES + 1} of them`,
      records.filter(({ stream, message }, index, { length }) =>
        stream === 'stdout' ? message.startsWith('line ') : index < length,
      ).length ===
        LINES + 1,
      records.length,
    );
    check(
      'status.message is a summary of at most 1,024 bytes',
      Buffer.byteLength(status.message ?? '') <= 1024 && !status.message?.includes('line 1 of'),
      status.message,
    );

    narrator.note('Live: the script below goes on only when its first line has been seen by krt logs -f.');
    const gate = join(stage.folder, 'gate');
    await stage.program('mkfifo', [gate]);
    await krt([
      'run',
      '--name',
      'live',
      '--env',
      `GATE=${gate}`,
      '--',
      'echo waiting; read -r word < "$GATE"; echo "$word"',
    ]);
    const live = follow(['logs', '-f', 'live']);
    await live.line((line) => line === 'waiting');
    writeFileSync(gate, 'the gate is open\n');
    const followed = await live.ended;
    check(
      'a line is there while the script still runs, and the rest follows',
      followed.stdout === 'waiting\nthe gate is open\n',
      followed.output,
    );
  },
};
