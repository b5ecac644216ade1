/**
 * Properties, over any map that keeps the limits:
 * - what was written as KEY=VALUE lines is read back;
 * - comments, blank lines and CRLF between them change nothing;
 * - the last line of a key wins.
 * Over any bytes: what comes of them is within the limits, or a reason and a message without a value of them.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';

import { MAX_FILE_BYTES, parseOutputs } from '../../../src/decide/sidecar/outputs.js';

const parse = (text: string): ReturnType<typeof parseOutputs> => parseOutputs(Buffer.from(text));
const reasonOf = (text: string | Buffer): string => {
  const result = parseOutputs(Buffer.from(text));
  return E.isLeft(result) ? result.left.reason : 'ok';
};

const line = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((s) => !/[\n\r]/.test(s));
const key = line.filter((s) => s.trim() !== '' && !s.includes('=') && !s.startsWith('#'));
const outputs = fc.dictionary(key, line, { maxKeys: 64 });
const filler = fc.array(fc.constantFrom('', '   ', '# a comment', '#=x'), { maxLength: 3 });

describe('parseOutputs', () => {
  const good: ReadonlyArray<readonly [string, Readonly<Record<string, string>>]> = [
    ['', {}],
    ['a=1', { a: '1' }],
    ['a=1\nb=2\n', { a: '1', b: '2' }],
    ['a=1\r\nb=\r\n', { a: '1', b: '' }],
    ['a=1\na=2', { a: '2' }],
    ['a=b=c', { a: 'b=c' }],
    ['# no\n\n  \na= spaced ', { a: ' spaced ' }],
    [' a=1', { ' a': '1' }],
    ['__proto__=x', JSON.parse('{"__proto__":"x"}')],
  ];
  for (const [text, expected] of good)
    it(`reads ${JSON.stringify(text)}`, () => {
      expect(parse(text)).to.deep.equal(E.right(expected));
    });

  const bad: ReadonlyArray<readonly [string, string | Buffer, string]> = [
    ['a line without =', 'a=1\nnonsense', 'OutputsInvalid'],
    ['an empty key', '=1', 'OutputsInvalid'],
    ['bytes that are not UTF-8', Buffer.from([0x61, 0x3d, 0xff]), 'OutputsInvalid'],
    ['65 keys', Array.from({ length: 65 }, (_, i) => `k${i}=v`).join('\n'), 'OutputsTooLarge'],
    ['a key of 129 bytes', `${'k'.repeat(129)}=v`, 'OutputsTooLarge'],
    ['a value of 8193 bytes', `k=${'v'.repeat(8193)}`, 'OutputsTooLarge'],
    ['a value of 8193 bytes in fewer characters', `k=${'é'.repeat(4097)}`, 'OutputsTooLarge'],
    [
      'more than 64 KiB in all',
      Array.from({ length: 9 }, (_, i) => `k${i}=${'v'.repeat(8000)}`).join('\n'),
      'OutputsTooLarge',
    ],
    ['a file of more than 1 MiB', `# ${'x'.repeat(MAX_FILE_BYTES)}`, 'OutputsTooLarge'],
  ];
  for (const [what, text, expected] of bad)
    it(`refuses ${what} as ${expected}`, () => {
      expect(reasonOf(text)).to.equal(expected);
    });

  it('takes each limit exactly', () => {
    expect(reasonOf(Array.from({ length: 64 }, (_, i) => `k${i}=v`).join('\n'))).to.equal('ok');
    expect(reasonOf(`${'k'.repeat(128)}=${'v'.repeat(8192)}`)).to.equal('ok');
    const full = Array.from({ length: 8 }, (_, i) => `k${i}=${'v'.repeat(8190)}`).join('\n');
    expect(reasonOf(full)).to.equal('ok');
    expect(reasonOf(`${full}\nk=v`)).to.equal('OutputsTooLarge');
  });

  it('does not count a value that a later line replaced', () => {
    expect(reasonOf(`k=${'v'.repeat(9000)}\nk=short`)).to.equal('ok');
  });

  it('never repeats a value in its message', () => {
    const result = parse('token: secret-value');
    expect(E.isLeft(result) && result.left.message).to.not.contain('secret');
  });

  it('reads back what was written, whatever stands between', () => {
    fc.assert(
      fc.property(outputs, filler, fc.constantFrom('\n', '\r\n'), (map, between, newline) => {
        const lines = Object.entries(map).flatMap(([k, v]) => [...between, `${k}=replaced`, `${k}=${v}`]);
        expect(parse(lines.join(newline))).to.deep.equal(E.right(map));
      }),
    );
  });

  it('makes of any bytes what is within the limits, or refuses them by line', () => {
    const VALUE = 'sekr3t';
    const piece = fc.oneof(
      fc.constantFrom(
        '=',
        '\n',
        '\r',
        '\r\n',
        '#',
        ' ',
        '\0',
        '\ufeff',
        '__proto__',
        'constructor',
        'a',
        `=${VALUE}`,
      ),
      fc.constantFrom(`=${VALUE.repeat(1_500)}`, 'k'.repeat(129), 'é'.repeat(65), `x=${VALUE}\n`.repeat(70)),
      fc.string({ unit: 'binary', maxLength: 4 }),
    );
    const bytes = fc.oneof(
      fc.array(piece, { maxLength: 12 }).map((pieces) => Buffer.from(pieces.join(''))),
      fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
    );
    fc.assert(
      fc.property(bytes, (file) => {
        const result = parseOutputs(file);
        if (E.isLeft(result)) {
          expect(['OutputsInvalid', 'OutputsTooLarge']).to.include(result.left.reason);
          expect(result.left.message).to.not.contain(VALUE);
          expect(Buffer.byteLength(result.left.message)).to.be.lessThan(1_024);
          return;
        }
        const entries = Object.entries(result.right);
        expect(entries.length).to.be.at.most(64);
        let total = 0;
        for (const [name, value] of entries) {
          expect(Buffer.byteLength(name)).to.be.within(1, 128);
          expect(Buffer.byteLength(value)).to.be.at.most(8 * 1024);
          total += Buffer.byteLength(name) + Buffer.byteLength(value);
        }
        expect(total).to.be.at.most(64 * 1024);
        expect(Object.getPrototypeOf(result.right)).to.be.oneOf([Object.prototype, null]);
        // Every key that is written is there, also one that objects have by themselves.
        const keys = file
          .toString()
          .split('\n')
          .map((text) => text.replace(/\r$/, ''))
          .filter((text) => text.trim() !== '' && !text.startsWith('#'))
          .map((text) => text.slice(0, text.indexOf('=')));
        expect(entries.map(([name]) => name).sort()).to.deep.equal([...new Set(keys)].sort());
      }),
      { numRuns: 1_000 },
    );
  });
});
