/**
 * Properties, over any text cut into any chunks:
 * - the records joined are the text, byte for byte, and none is longer than the limit;
 * - `offset` plus what waits is what came, so that resuming there loses and doubles nothing;
 * - chunks that come again change nothing.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { type Line, LineSplitter, MAX_LINE_BYTES, spanOf } from '../../../src/decide/sidecar/lines.js';

const joined = (lines: ReadonlyArray<Line>): Buffer =>
  Buffer.concat(lines.flatMap(({ bytes, partial }) => (partial ? [bytes] : [bytes, Buffer.from('\n')])));

const text = (lines: ReadonlyArray<Line>): ReadonlyArray<string> =>
  lines.map(({ bytes }) => bytes.toString());

/** Bytes with many newlines, and where to cut them. */
const chunks = fc.array(
  fc.array(fc.constantFrom(0x0a, 0x0d, 0x61, 0xff), { maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  { maxLength: 12 },
);

const feed = (splitter: LineSplitter, all: ReadonlyArray<Buffer>, from = 0): ReadonlyArray<Line> => {
  let offset = from;
  return all.flatMap((chunk) => {
    const lines = splitter.push(offset, chunk);
    offset += chunk.length;
    return lines;
  });
};

describe('LineSplitter', () => {
  it('gives a line out as soon as its newline is there, and the rest at the end', () => {
    const splitter = new LineSplitter();
    expect(text(splitter.push(0, Buffer.from('one\ntw')))).to.deep.equal(['one']);
    expect(text(splitter.push(6, Buffer.from('o\nthree')))).to.deep.equal(['two']);
    expect(splitter.flush()).to.deep.equal([{ bytes: Buffer.from('three'), partial: true, droppedBytes: 0 }]);
  });

  it('says how many bytes never came', () => {
    const splitter = new LineSplitter();
    splitter.push(0, Buffer.from('par'));
    const lines = splitter.push(100, Buffer.from('x\n'));
    expect(lines.map((line) => [line.bytes.toString(), line.droppedBytes])).to.deep.equal([
      ['par', 0],
      ['', 97],
      ['x', 0],
    ]);
    expect(lines.reduce((sum, line) => sum + spanOf(line), 0)).to.equal(102);
  });

  it('cuts a line that is too long, and holds no more than the limit', () => {
    const splitter = new LineSplitter();
    const lines = [
      ...splitter.push(0, Buffer.alloc(MAX_LINE_BYTES * 2 + 10, 'a')),
      ...splitter.push(MAX_LINE_BYTES * 2 + 10, Buffer.from('b\n')),
    ];
    expect(lines.map(({ bytes, partial }) => [bytes.length, partial])).to.deep.equal([
      [MAX_LINE_BYTES, true],
      [MAX_LINE_BYTES, true],
      [11, false],
    ]);
  });

  it('keeps every byte, however it is cut', () => {
    fc.assert(
      fc.property(chunks, (all) => {
        const splitter = new LineSplitter();
        const lines = [...feed(splitter, all), ...splitter.flush()];
        expect(joined(lines).equals(Buffer.concat(all))).to.equal(true);
      }),
    );
  });

  it('resumed at its offset, gives out exactly the rest', () => {
    fc.assert(
      fc.property(chunks, chunks, (before, after) => {
        const whole = Buffer.concat([...before, ...after]);
        const first = new LineSplitter();
        const lines = feed(first, before);
        const second = new LineSplitter(first.offset);
        // The server sends from the cursor, or from further back.
        const rest = [...second.push(0, whole), ...second.flush()];
        expect(joined([...lines, ...rest]).equals(whole)).to.equal(true);
      }),
    );
  });

  it('ignores chunks that come again', () => {
    fc.assert(
      fc.property(chunks, (all) => {
        const splitter = new LineSplitter();
        const lines = feed(splitter, all);
        expect(feed(splitter, all)).to.deep.equal([]);
        expect(joined([...lines, ...splitter.flush()]).equals(Buffer.concat(all))).to.equal(true);
      }),
    );
  });
});
