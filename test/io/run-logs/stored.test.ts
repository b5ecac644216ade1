/**
 * A log in the artifact store, as it was written and as somebody or something has damaged it.
 *
 * - what was written is read back
 * - of an object cut off or changed anywhere: whole records from its beginning, then an error that names it; never another
 *   kind of end, and never more held than a record and what the store gives at a time
 */
import { Readable } from 'node:stream';

import { expect } from 'chai';
import fc from 'fast-check';

import { type ArtifactStore, StoreError } from '../../../src/io/artifacts/store.js';
import { frame, STORED_HEAD } from '../../../src/io/run-logs/frames.js';
import { readStored } from '../../../src/io/run-logs/stored.js';
import { Record as LogRecord } from '../../../src/proto/gen/logs.js';

const record = fc.record({
  seq: fc.integer({ min: 1, max: 2 ** 40 }),
  timeMicros: fc.integer({ min: 0, max: 2 ** 52 }),
  stream: fc.constantFrom('stdout', 'stderr'),
  line: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  partial: fc.boolean(),
  droppedBytes: fc.integer({ min: 0, max: 2 ** 40 }),
  attempt: fc.integer({ min: 1, max: 9 }),
});
const records = fc
  .array(record, { maxLength: 8 })
  .map((all) => all.map((each, at) => ({ ...each, seq: at + 1 })));

/** A store with one object, given out in pieces of that size. */
const storeOf = (bytes: Buffer, size: number): ArtifactStore =>
  ({
    driver: 'filesystem',
    name: 'the store',
    read: () =>
      Promise.resolve(
        Readable.from(
          (function* () {
            for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
          })(),
        ),
      ),
    write: () => Promise.reject(new Error('not here')),
    remove: () => Promise.reject(new Error('not here')),
    list: () => Readable.from([]),
    sweep: () => Promise.resolve(),
  }) as unknown as ArtifactStore;

const readAll = async (
  bytes: Buffer,
  size: number,
): Promise<Readonly<{ read: LogRecord[]; error: unknown }>> => {
  const read: LogRecord[] = [];
  try {
    for await (const batch of readStored(storeOf(bytes, size), 'ns/uid/log', {
      afterSeq: 0,
      tail: 0,
      stream: '',
    }))
      read.push(...batch);
    return { read, error: undefined };
  } catch (error) {
    return { read, error };
  }
};

describe('readStored', () => {
  it('reads back what was written, in whatever pieces it comes', () =>
    fc.assert(
      fc.asyncProperty(records, fc.integer({ min: 1, max: 99 }), async (written, size) => {
        const { read, error } = await readAll(Buffer.concat([STORED_HEAD, frame(written)]), size);
        expect(error).to.equal(undefined);
        expect(read).to.deep.equal(written);
      }),
      { numRuns: 100 },
    ));

  it('says that a log is damaged, after what is whole of it', () =>
    fc.assert(
      fc.asyncProperty(
        records.filter(({ length }) => length > 0),
        fc.nat(),
        fc.integer({ min: 1, max: 99 }),
        async (written, where, size) => {
          const whole = Buffer.concat([STORED_HEAD, frame(written)]);
          // Not at the end of a record: that is a shorter log.
          const ends = written.map((_, at) => STORED_HEAD.length + frame(written.slice(0, at)).length);
          const cut = where % whole.length;
          if (cut === 0 || ends.includes(cut)) return;
          const { read, error } = await readAll(whole.subarray(0, cut), size);
          expect(error).to.be.instanceOf(StoreError);
          expect(String(error)).to.contain('ns/uid/log');
          expect(read).to.deep.equal(written.slice(0, read.length));
        },
      ),
      { numRuns: 200 },
    ));

  it('gives out only what a message can carry, of any bytes', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 1, max: 99 }),
        async (any, size) => {
          const { read, error } = await readAll(Buffer.concat([STORED_HEAD, any]), size);
          if (error !== undefined) expect(error).to.be.instanceOf(StoreError);
          for (const each of read)
            expect(LogRecord.decode(LogRecord.encode(each).finish())).to.deep.equal(each);
        },
      ),
      { numRuns: 500 },
    ));

  it('stops at damage at once, instead of gathering what follows', async () => {
    const good = frame([
      {
        seq: 1,
        timeMicros: 1,
        stream: 'stdout',
        line: Buffer.from('x'),
        partial: false,
        droppedBytes: 0,
        attempt: 1,
      },
    ]);
    const bad = Buffer.alloc(29);
    bad.writeUInt32LE(0xffffffff, 0);
    let given = 0;
    const endless = storeOf(Buffer.alloc(0), 1);
    const store = {
      ...endless,
      read: () =>
        Promise.resolve(
          Readable.from(
            (function* () {
              yield Buffer.concat([STORED_HEAD, good, bad]);
              for (; given < 1000; given += 1) yield Buffer.alloc(64 * 1024);
            })(),
          ),
        ),
    } as unknown as ArtifactStore;
    const read: LogRecord[] = [];
    let error: unknown;
    try {
      for await (const batch of readStored(store, 'k', { afterSeq: 0, tail: 0, stream: '' }))
        read.push(...batch);
    } catch (cause) {
      error = cause;
    }
    expect(read).to.have.length(1);
    expect(error).to.be.instanceOf(StoreError);
    expect(given).to.be.lessThan(20);
  });
});
