/** Logs on their way into the store: when, how often, and what stands there; on a real folder and real spools. */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';
import { filter, firstValueFrom, type Subscription } from 'rxjs';

import { logKey } from '../../../src/decide/artifacts/keys.js';
import { filesystemStore } from '../../../src/io/artifacts/filesystem.js';
import { type ArtifactStore, StoreError } from '../../../src/io/artifacts/store.js';
import { wholeLog } from '../../../src/io/run-logs/read.js';
import { partsOfId, RunLogs } from '../../../src/io/run-logs/run-logs.js';
import { LogShipper, type ShipperParts } from '../../../src/io/run-logs/ship.js';
import { readStored, storeLog } from '../../../src/io/run-logs/stored.js';
import { RunUid } from '../../../src/model/ids.js';
import { micros } from '../../../src/model/time.js';
import type { Record as LogRecord } from '../../../src/proto/gen/logs.js';

const AT = micros(0);

const ownerOf = (id: string) => {
  const { uid, attempt } = partsOfId(id);
  if (!RunUid.is(uid)) throw new Error('empty uid');
  return { ref: { namespace: 'default', name: 'r', uid, attempt }, runtime: 'bash' };
};
const keyOf = (id: string): string => logKey({ namespace: 'default', ...partsOfId(id) }, 'p1');

const flat = async (batches: AsyncIterable<ReadonlyArray<LogRecord>>): Promise<LogRecord[]> => {
  const records: LogRecord[] = [];
  for await (const some of batches)
    records.push(...some.map((record) => ({ ...record, line: Buffer.from(record.line) })));
  return records;
};

describe('LogShipper', () => {
  let folder: string;
  let store: ArtifactStore;
  /** Called before each write. */
  let gate: () => Promise<void>;
  const writes: string[] = [];
  const troubles: string[] = [];
  let recovered: number;
  const subscriptions: Subscription[] = [];
  const shippers: LogShipper[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'krt-ship-'));
    await mkdir(join(folder, 'logs'), { recursive: true });
    const files = filesystemStore({ folder: join(folder, 'store'), claim: 'c', owner: 'p1' });
    gate = async () => undefined;
    writes.length = 0;
    troubles.length = 0;
    recovered = 0;
    store = {
      ...files,
      write: async (key, bytes, options) => {
        writes.push(key);
        await gate();
        return files.write(key, bytes, options);
      },
    };
  });
  afterEach(async () => {
    for (const shipper of shippers.splice(0)) shipper.stop();
    for (const subscription of subscriptions.splice(0)) subscription.unsubscribe();
    await rm(folder, { recursive: true, force: true });
  });

  const open = (more: Partial<ShipperParts> = {}): Readonly<{ logs: RunLogs; shipper: LogShipper }> => {
    const logs = new RunLogs(
      join(folder, 'logs'),
      () => undefined,
      (_owner, cause) => {
        throw cause;
      },
      { isShipping: true },
    );
    const shipper = new LogShipper({
      logs,
      store: (id, log) => storeLog(store, keyOf(id), log),
      onTrouble: (id, cause) => troubles.push(`${id} ${cause.kind}`),
      onLost: (_id, cause) => {
        throw cause;
      },
      onRecovered: () => {
        recovered += 1;
      },
      ...more,
    });
    subscriptions.push(logs.changes$.subscribe((id) => shipper.changed(id)));
    shippers.push(shipper);
    return { logs, shipper };
  };
  const stored = (id: string): Promise<LogRecord[]> =>
    flat(readStored(store, keyOf(id), { afterSeq: 0, tail: 0, stream: '' }));
  const spooled = (logs: RunLogs, id: string): Promise<LogRecord[]> => {
    const { uid, attempt } = partsOfId(id);
    const log = logs.find(uid, attempt);
    if (!log) throw new Error('no log');
    return flat(wholeLog(log));
  };
  /** Writes to a log and resolves when it is on disk. */
  const write = async (logs: RunLogs, id: string, offset: number, text: string | Buffer): Promise<void> => {
    const isWritten = firstValueFrom(logs.changes$.pipe(filter((changed) => changed === id)));
    logs.output(id, 'stdout', offset, Buffer.from(text), AT);
    await isWritten;
  };

  it('stores an ended log, record by record as it is in the spool, in one object', async () => {
    const { logs, shipper } = open();
    logs.open(ownerOf('a'));
    logs.output('a', 'stdout', 0, Buffer.from([0x61, 0xff, 0, 0x0a, 0x62]), AT);
    logs.output('a', 'stderr', 0, Buffer.from('err\n'), micros(7));
    logs.finish('a', AT);
    logs.close('a');
    shipper.ended('a');
    await shipper.settled();
    expect(await stored('a')).to.deep.equal(await spooled(logs, 'a'));
    expect((await stored('a')).map(({ seq, line, partial }) => [seq, [...line], partial])).to.deep.equal([
      [1, [0x61, 0xff, 0], false],
      [2, [...Buffer.from('err')], false],
      [3, [0x62], true],
    ]);
    expect(writes).to.deep.equal([keyOf('a')]);
  });

  it('stores the log of a flood with the same gap as the spool has', async () => {
    const { logs, shipper } = open();
    logs.open(ownerOf('a'));
    const chunk = Buffer.from(`${'x'.repeat(1023)}\n`.repeat(64));
    for (let offset = 0; offset < 24 * 1024 * 1024; offset += chunk.length)
      logs.output('a', 'stdout', offset, chunk, AT);
    logs.close('a');
    shipper.ended('a');
    await shipper.settled();
    const records = await stored('a');
    expect(records).to.deep.equal(await spooled(logs, 'a'));
    expect(records.filter(({ droppedBytes }) => droppedBytes > 0)).to.have.length(1);
    expect(records.at(-1)?.seq).to.equal(24 * 1024);
  });

  it('stores nothing of an attempt that wrote nothing', async () => {
    const { logs, shipper } = open();
    logs.open(ownerOf('a'));
    logs.close('a');
    shipper.ended('a');
    await shipper.settled();
    expect(writes).to.deep.equal([]);
  });

  it('stores what there is of a log that goes on when the pod is told to end, and all of it at the end', async () => {
    const { logs, shipper } = open();
    logs.open(ownerOf('a'));
    await write(logs, 'a', 0, 'one\n');
    shipper.hurry();
    await shipper.settled();
    expect((await stored('a')).map(({ line }) => line.toString())).to.deep.equal(['one']);
    await write(logs, 'a', 4, 'two\n');
    logs.close('a');
    shipper.ended('a');
    await shipper.settled();
    expect((await stored('a')).map(({ line }) => line.toString())).to.deep.equal(['one', 'two']);
    expect(writes).to.have.length(2);
  });

  it('stores what there is of a log that goes on, again and again, and only when it has more', async () => {
    const { logs, shipper } = open({ liveMs: 20 });
    let written: () => void = () => undefined;
    gate = async () => written();
    /** Writes, and resolves when the store has it, without anybody having asked for it. */
    const writeAndWait = async (offset: number, text: string): Promise<void> => {
      const isWritten = new Promise<void>((resolve) => {
        written = resolve;
      });
      await write(logs, 'a', offset, text);
      await isWritten;
      await shipper.settled();
    };
    logs.open(ownerOf('a'));
    await writeAndWait(0, 'one\n');
    expect((await stored('a')).map(({ line }) => line.toString())).to.deep.equal(['one']);
    await writeAndWait(4, 'two\n');
    expect((await stored('a')).map(({ line }) => line.toString())).to.deep.equal(['one', 'two']);
    expect(writes).to.have.length(2);
    const isOver = firstValueFrom(logs.changes$.pipe(filter(() => !logs.isLive('a'))));
    logs.close('a');
    await isOver;
  });

  it('tries again while the store is away, tells of it once, and loses nothing', async () => {
    const { logs, shipper } = open();
    let refusals = 3;
    gate = async () => {
      refusals -= 1;
      if (refusals >= 0) throw new StoreError('Unavailable', 'away');
    };
    for (const id of ['a', 'b']) {
      logs.open(ownerOf(id));
      await write(logs, id, 0, `${id}\n`);
      logs.close(id);
      shipper.ended(id);
    }
    await shipper.settled();
    expect((await stored('a')).concat(await stored('b')).map(({ line }) => line.toString())).to.deep.equal([
      'a',
      'b',
    ]);
    expect(troubles).to.have.length(1);
    expect(recovered).to.equal(1);
  });

  it('does not wait for its next try when the pod is told to end', async () => {
    let told: () => void = () => undefined;
    const isPaused = new Promise<void>((resolve) => {
      told = resolve;
    });
    const { logs, shipper } = open({ firstPauseMs: 600_000, onTrouble: () => told() });
    let isAway = true;
    gate = async () => {
      if (isAway) throw new StoreError('Unavailable', 'away');
    };
    logs.open(ownerOf('a'));
    await write(logs, 'a', 0, 'a\n');
    logs.close('a');
    shipper.ended('a');
    await isPaused;
    isAway = false;
    shipper.hurry();
    await shipper.settled();
    expect((await stored('a')).map(({ line }) => line.toString())).to.deep.equal(['a']);
  });

  it('stores after a restart what was not stored before, and nothing twice', async () => {
    const first = open();
    for (const id of ['a', 'b.2']) {
      first.logs.open(ownerOf(id));
      await write(first.logs, id, 0, `${id}\n`);
      const isOver = firstValueFrom(first.logs.changes$.pipe(filter(() => !first.logs.isLive(id))));
      first.logs.close(id);
      await isOver;
    }
    first.shipper.ended('a');
    await first.shipper.settled();
    const second = open();
    const unshipped = second.logs.recover();
    expect(unshipped).to.deep.equal(['b.2']);
    for (const id of unshipped) second.shipper.ended(id);
    await second.shipper.settled();
    expect((await stored('b.2')).map(({ line }) => line.toString())).to.deep.equal(['b.2']);
    expect(writes).to.deep.equal([keyOf('a'), keyOf('b.2')]);
  });

  it('drops a log that is not wanted, after what is under way', async () => {
    const { logs, shipper } = open();
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    gate = () => released;
    logs.open(ownerOf('a'));
    await write(logs, 'a', 0, 'a\n');
    shipper.hurry();
    const dropped = shipper.drop('a');
    release();
    expect(await dropped).to.equal(true);
    expect(await readdir(join(folder, 'store/default/a'))).to.deep.equal(['log-1-p1']);
    expect(await shipper.drop('a')).to.equal(false);
    const isOver = firstValueFrom(logs.changes$.pipe(filter(() => !logs.isLive('a'))));
    logs.close('a');
    await isOver;
  });
});
