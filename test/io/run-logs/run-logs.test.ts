import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { expect } from 'chai';
import { filter, firstValueFrom, map } from 'rxjs';

import type { AttemptRef } from '../../../src/decide/sidecar/attempt.js';
import { boundedOutput } from '../../../src/io/run-logs/bounded-output.js';
import { type ReadOptions, readLog } from '../../../src/io/run-logs/read.js';
import { HIGH_WATER_BYTES, RunLogs } from '../../../src/io/run-logs/run-logs.js';
import { TAIL_SEGMENTS } from '../../../src/io/run-logs/spool.js';
import { RunUid } from '../../../src/model/ids.js';
import { micros } from '../../../src/model/time.js';
import type { Record as LogRecord } from '../../../src/proto/gen/logs.js';

const AT = micros(0);
const SEGMENT_BYTES = 1024 * 1024;

const aRef = (uid: string, attempt = 1): AttemptRef => {
  if (!RunUid.is(uid)) throw new Error('empty uid');
  return { namespace: 'default', name: uid, uid, attempt };
};

const all: ReadOptions = { follow: false, afterSeq: 0, tail: 0, stream: '' };

describe('RunLogs', () => {
  let root: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'krt-logs-'));
  });

  afterEach(() => rm(root, { recursive: true, force: true }));

  let nowMs = 0;
  const open = (emitted: LogRecord[] = []): RunLogs =>
    new RunLogs(
      root,
      (_owner, records) => emitted.push(...records),
      (_owner, cause) => {
        throw cause;
      },
      { now: () => nowMs },
    );

  /** Resolves when the log is on disk and over. */
  const closed = async (logs: RunLogs, uid: string): Promise<void> => {
    const over = firstValueFrom(logs.changes$.pipe(filter((id) => id === uid && !logs.isLive(uid))));
    logs.close(uid);
    await over;
  };

  const read = async (
    logs: RunLogs,
    uid: string,
    options: Partial<ReadOptions> = {},
  ): Promise<LogRecord[]> => {
    const log = logs.find(uid, 0);
    if (!log) throw new Error(`no log of ${uid}`);
    const changed = () =>
      firstValueFrom(
        logs.changes$.pipe(
          filter((id) => id === uid),
          map(() => undefined),
        ),
      );
    const records: LogRecord[] = [];
    for await (const some of readLog(log, { ...all, ...options }, changed)) records.push(...some);
    return records;
  };

  it('gives out every line at once, counts over both streams, and keeps exact bytes', async () => {
    const emitted: LogRecord[] = [];
    const logs = open(emitted);
    logs.open({ ref: aRef('a'), runtime: 'bash' });
    logs.output('a', 'stdout', 0, Buffer.from('one\ntw'), AT);
    expect(emitted.map(({ line }) => line.toString())).to.deep.equal(['one']);
    logs.output('a', 'stderr', 0, Buffer.from([0xff, 0x0a]), AT);
    logs.output('a', 'stdout', 6, Buffer.from('o'), AT);
    expect(logs.finish('a', AT)).to.equal('\ufffd');
    await closed(logs, 'a');
    const records = await read(logs, 'a');
    expect(records.map(({ seq, stream, line, partial }) => [seq, stream, [...line], partial])).to.deep.equal([
      [1, 'stdout', [...Buffer.from('one')], false],
      [2, 'stderr', [0xff], false],
      [3, 'stdout', [...Buffer.from('two')], true],
    ]);
  });

  it('keeps the head and the tail of a flood within its bound, and marks the gap with its bytes', async () => {
    const logs = open();
    logs.open({ ref: aRef('a'), runtime: 'bash' });
    const chunk = Buffer.from(`${'x'.repeat(1023)}\n`.repeat(64));
    const total = 24 * SEGMENT_BYTES;
    for (let offset = 0; offset < total; offset += chunk.length)
      logs.output('a', 'stdout', offset, chunk, AT);
    await closed(logs, 'a');
    const sizes = await Promise.all(
      (await readdir(root)).map(async (name) => (await stat(join(root, name))).size),
    );
    expect(sizes.reduce((a, b) => a + b, 0)).to.be.at.most((TAIL_SEGMENTS + 2) * (SEGMENT_BYTES + 66_000));
    const records = await read(logs, 'a');
    expect(records[0]?.seq).to.equal(1);
    expect(records.at(-1)?.seq).to.equal(total / 1024);
    const gaps = records.filter(({ droppedBytes }) => droppedBytes > 0);
    expect(gaps).to.have.length(1);
    const kept = records.length - 1;
    expect(gaps[0]?.droppedBytes).to.equal(total - kept * 1024);
    expect(records.map(({ seq }) => seq)).to.deep.equal(
      [...records.map(({ seq }) => seq)].sort((a, b) => a - b),
    );
  });

  it('keeps as much of both ends as its Runtime says', async () => {
    const bounds = { headBytes: 8 * 1024, tailBytes: 90 * 1024 };
    const logs = new RunLogs(
      root,
      () => undefined,
      () => undefined,
      { bounds },
    );
    logs.open({ ref: aRef('a'), runtime: 'bash' });
    const line = `${'x'.repeat(99)}\n`;
    for (let seq = 0; seq < 10_000; seq += 1) logs.output('a', 'stdout', seq * 100, Buffer.from(line), AT);
    await closed(logs, 'a');
    const records = await read(logs, 'a');
    const gap = records.findIndex(({ droppedBytes }) => droppedBytes > 0);
    // A record has some bytes of its own, and a batch is not torn.
    expect(gap * 128).to.be.within(8 * 1024, 9 * 1024);
    expect((records.length - gap - 1) * 128).to.be.within(90 * 1024, 102 * 1024);
    expect(records.at(-1)?.seq).to.equal(10_000);
  });

  it('follows until the end, from a cursor, and takes the tail of what is there', async () => {
    const logs = open();
    logs.open({ ref: aRef('a'), runtime: 'bash' });
    logs.output('a', 'stdout', 0, Buffer.from('1\n2\n'), AT);
    const followed = read(logs, 'a', { follow: true, afterSeq: 1 });
    logs.output('a', 'stdout', 4, Buffer.from('3\n'), AT);
    logs.output('a', 'stdout', 6, Buffer.from('4\n'), AT);
    await closed(logs, 'a');
    expect((await followed).map(({ line }) => line.toString())).to.deep.equal(['2', '3', '4']);
    expect((await read(logs, 'a', { tail: 2 })).map(({ seq }) => seq)).to.deep.equal([3, 4]);
  });

  it('goes on after a restart where the spool ends: cursors, numbers and lines', async () => {
    const first = open();
    first.open({ ref: aRef('a'), runtime: 'bash' });
    first.output('a', 'stdout', 0, Buffer.from('one\npart'), AT);
    first.output('a', 'stderr', 0, Buffer.from('err\n'), AT);
    await firstValueFrom(first.changes$);
    const second = open();
    second.recover();
    await second.resume({ ref: aRef('a'), runtime: 'bash' });
    expect(second.cursor('a')).to.deep.equal({ id: 'a', stdoutOffset: 4, stderrOffset: 4 });
    second.output('a', 'stdout', 4, Buffer.from('partial\n'), AT);
    await closed(second, 'a');
    expect((await read(second, 'a')).map(({ seq, line }) => `${seq} ${line}`)).to.deep.equal([
      '1 one',
      '2 err',
      '3 partial',
    ]);
    // Only so that its file is not left open: a killed process would not.
    await closed(first, 'a');
  });

  it('an attempt that begins anew under its number has nothing of what it was before', async () => {
    const bounds = { headBytes: 1024, tailBytes: 9 * 1024 };
    const logs = new RunLogs(
      root,
      () => undefined,
      (_owner, cause) => {
        throw cause;
      },
      { bounds },
    );
    logs.open({ ref: aRef('a'), runtime: 'bash' });
    for (let offset = 0; offset < 8 * 1024; offset += 512)
      logs.output('a', 'stdout', offset, Buffer.from(`${'x'.repeat(511)}\n`), AT);
    await closed(logs, 'a');
    expect((await readdir(root)).length).to.be.greaterThan(3);
    logs.open({ ref: aRef('a'), runtime: 'bash' });
    logs.output('a', 'stdout', 0, Buffer.from('again\n'), AT);
    await closed(logs, 'a');
    expect((await read(logs, 'a')).map(({ line }) => line.toString())).to.deep.equal(['again']);
    expect(await readdir(root)).to.deep.equal(['a@1-0-0']);
  });

  it('is written again where its folder was removed, and says so where it cannot be', async () => {
    const failures: unknown[] = [];
    const logs = new RunLogs(
      join(root, 'logs'),
      () => undefined,
      (_owner, cause) => failures.push(cause),
    );
    logs.open({ ref: aRef('a'), runtime: 'bash' });
    logs.output('a', 'stdout', 0, Buffer.from('one\n'), AT);
    await closed(logs, 'a');
    expect((await read(logs, 'a')).map(({ line }) => line.toString())).to.deep.equal(['one']);
    await rm(join(root, 'logs'), { recursive: true });
    await writeFile(join(root, 'logs'), 'a file');
    logs.open({ ref: aRef('b'), runtime: 'bash' });
    logs.output('b', 'stdout', 0, Buffer.from('one\n'), AT);
    logs.output('b', 'stdout', 4, Buffer.from('two\n'), AT);
    await closed(logs, 'b');
    expect(failures).to.have.length(1);
    expect(await read(logs, 'b')).to.deep.equal([]);
  });

  it('finds the newest attempt, and nothing of a Run it never had', async () => {
    const logs = open();
    logs.open({ ref: aRef('a'), runtime: 'bash' });
    logs.open({ ref: aRef('a', 3), runtime: 'bash' });
    expect(logs.find('a', 0)?.attempt).to.equal(3);
    expect(logs.find('a', 1)?.attempt).to.equal(1);
    expect(logs.find('a', 2)).to.equal(undefined);
    expect(logs.find('b', 0)).to.equal(undefined);
  });

  it('tells the Runs all of whose attempts have ended so long ago', async () => {
    const logs = open();
    for (const ref of [aRef('a'), aRef('a', 2), aRef('b')]) logs.open({ ref, runtime: 'bash' });
    nowMs = 0;
    await closed(logs, 'a');
    await closed(logs, 'b');
    expect(logs.endedRuns(60_000)).to.deep.equal([]);
    nowMs = 60_000;
    expect(logs.endedRuns(60_000)).to.deep.equal(['b']);
    await closed(logs, 'a.2');
    expect(logs.endedRuns(60_000)).to.deep.equal(['b']);
    nowMs += 60_000;
    expect(logs.endedRuns(60_000)).to.deep.equal(['a', 'b']);
    const next = open();
    next.recover();
    expect(next.endedRuns(60_000)).to.deep.equal([]);
  });

  it('has nothing left of Runs that it was told to forget, in memory or on disk, but of one that goes on', async () => {
    const logs = open();
    const uids = Array.from({ length: 500 }, (_, n) => `run-${n}`);
    for (const uid of uids) {
      logs.open({ ref: aRef(uid), runtime: 'bash' });
      logs.output(uid, 'stdout', 0, Buffer.from('line\n'), AT);
      await closed(logs, uid);
    }
    logs.open({ ref: aRef('run-0', 2), runtime: 'bash' });
    logs.output('run-0.2', 'stdout', 0, Buffer.from('line\n'), AT);
    for (const uid of uids) logs.forget(uid);
    expect(await readdir(root)).to.deep.equal(['run-0.2@1-0-0']);
    expect(uids.flatMap((uid) => logs.idsOf(uid))).to.deep.equal(['run-0.2']);
    await closed(logs, 'run-0.2');
    logs.forget('run-0');
    expect(await readdir(root)).to.deep.equal([]);
    expect(logs.stored).to.equal(0);
    nowMs = 120_000;
    expect(logs.endedRuns(60_000)).to.deep.equal([]);
  });

  it('says when the disk is behind, and when it has caught up', async () => {
    const logs = open();
    logs.open({ ref: aRef('a'), runtime: 'bash' });
    const states: boolean[] = [];
    const calm = new Promise<void>((resolve) => {
      logs.pressure$.subscribe((isHigh) => {
        states.push(isHigh);
        if (states.length === 3) resolve();
      });
    });
    const chunk = Buffer.from(`${'x'.repeat(1023)}\n`.repeat(64));
    for (let offset = 0; offset <= HIGH_WATER_BYTES; offset += chunk.length)
      logs.output('a', 'stdout', offset, chunk, AT);
    await calm;
    expect(states).to.deep.equal([false, true, false]);
    await closed(logs, 'a');
  });
});

describe('boundedOutput', () => {
  it('drops and counts what a slow reader does not take, and never waits', () => {
    const reader = new PassThrough({ highWaterMark: 10 });
    const dropped: number[] = [];
    const output = boundedOutput(reader, (count) => dropped.push(count), 100);
    for (let i = 0; i < 20; i += 1) output.write('0123456789\n');
    expect(dropped).to.deep.equal([]);
    reader.resume();
    return new Promise<void>((resolve) => {
      reader.once('drain', () => {
        expect(dropped[0]).to.be.within(1, 19);
        resolve();
      });
    });
  });

  it('survives a reader that is gone', () => {
    const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
    const output = boundedOutput(gone, () => undefined);
    output.write('x\n');
    return new Promise<void>((resolve) => gone.once('error', () => resolve()));
  });
});
