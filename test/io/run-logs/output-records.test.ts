/**
 * Records on runtimed's stdout. Property: whoever reads a Run's log from the container's log gets the bytes, gaps and
 * ends of lines that were written, whatever they are.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { pick } from '../../../src/cli/logs/container-log.js';
import { outputRecords } from '../../../src/io/run-logs/output-records.js';
import { RunUid } from '../../../src/model/ids.js';
import type { Record as LogRecord } from '../../../src/proto/gen/logs.js';

const format = outputRecords({ hostname: 'h', pid: 1, pod: 'bash-0' });
const uid = 'u1';
if (!RunUid.is(uid)) throw new Error('no uid');
const owner = { ref: { namespace: 'default', name: 'r', uid, attempt: 2 }, runtime: 'bash' };
const request = {
  ...{ namespace: 'default', pod: 'bash-0', podUid: '', runUid: uid, attempt: 2 },
  ...{ follow: false, afterSeq: 0, tail: 0, stream: '' as const },
};

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
);
const records = fc.array(
  fc.record({
    stream: fc.constantFrom('stdout', 'stderr'),
    line: bytes,
    partial: fc.boolean(),
    droppedBytes: fc.constantFrom(0, 0, 7),
  }),
  { minLength: 1 },
);

describe('outputRecords', () => {
  it('says each record in one line, from which it can be had again, byte for byte', () => {
    fc.assert(
      fc.property(records, (some) => {
        const all = some.map(
          (record, index): LogRecord => ({ ...record, seq: index + 1, timeMicros: 0, attempt: 2 }),
        );
        const lines = format(owner, all).trimEnd().split('\n');
        expect(
          lines.map((line) => {
            const { timeMicros: _now, ...rest } = pick(line, request) ?? { timeMicros: 0 };
            return rest;
          }),
        ).to.deep.equal(
          all.map(({ seq, stream, line, partial, droppedBytes }) => ({
            ...{ seq, stream, bytes: line, isWhole: !partial, droppedBytes },
          })),
        );
      }),
    );
  });

  it('has the fields of the contract, and `base64` only for what is not UTF-8', () => {
    const record = { seq: 3, timeMicros: 0, attempt: 2, stream: 'stderr', partial: false, droppedBytes: 0 };
    const said = JSON.parse(format(owner, [{ ...record, line: Buffer.from('é\0"') }]));
    expect(said).to.include({
      ...{ run_uid: 'u1', run_name: 'r', namespace: 'default', runtime: 'bash', pod: 'bash-0' },
      ...{ attempt: 2, stream: 'stderr', seq: 3, message: 'é\0"' },
    });
    expect(said).to.not.have.any.keys('base64', 'partial', 'dropped_bytes');
    const odd = JSON.parse(format(owner, [{ ...record, line: Buffer.from([0x61, 0xff]) }]));
    expect(odd).to.include({ message: 'a\ufffd', base64: 'Yf8=' });
  });
});
