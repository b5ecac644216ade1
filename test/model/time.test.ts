/**
 * Durations and instants as text.
 *
 * - what is written is read back: an instant exactly, a duration within what is shown of it
 * - whatever is read is a finite number of milliseconds that is not negative, or refused in words that repeat it
 * - parts add up
 */
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';

import { formatDuration, formatMicros, micros, parseDuration, parseInstant } from '../../src/model/time.js';

const read = (text: string): number => {
  const ms = parseDuration(text);
  if (E.isLeft(ms)) throw new Error(ms.left);
  return ms.right;
};

/** Text that is nearly a duration. */
const nearly = fc
  .array(
    fc.oneof(
      fc.constantFrom('ns', 'us', 'µs', 'ms', 's', 'm', 'h', 'd', '-', '+', '.', ' ', 'e9', 'H', '\n'),
      fc.nat().map(String),
      fc.constantFrom('9'.repeat(400), '0', '1.5', '00', '1e400', '٣'),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(''));

describe('parseDuration', () => {
  it('reads what formatDuration writes', () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 8760 * 3_600_000 }), (ms) => {
        const shown = read(formatDuration(ms));
        const step = ms < 1000 ? 1 : ms < 60_000 ? 10 : 1000;
        expect(Math.abs(shown - ms)).to.be.at.most(step / 2);
      }),
    ));

  it('reads a finite number that is not negative, or refuses in words that repeat the text', () =>
    fc.assert(
      fc.property(fc.oneof(nearly, fc.string()), (text) => {
        const ms = parseDuration(text);
        if (E.isLeft(ms)) expect(ms.left).to.match(/is not a duration|is longer than/);
        else expect(ms.right).to.satisfy((value: number) => Number.isFinite(value) && value >= 0);
      }),
      { numRuns: 2000 },
    ));

  it('adds the parts up', () =>
    fc.assert(
      fc.property(fc.nat({ max: 999 }), fc.nat({ max: 999 }), fc.nat({ max: 999 }), (h, m, s) => {
        expect(read(`${h}h${m}m${s}s`)).to.equal(h * 3_600_000 + m * 60_000 + s * 1000);
      }),
    ));

  for (const text of ['', '5', '-1s', '1 s', '1.s', '.5s', '1s\n', '1d', '1S', '１s', `${'9'.repeat(400)}h`])
    it(`refuses ${JSON.stringify(text).slice(0, 20)}`, () =>
      expect(E.isLeft(parseDuration(text))).to.equal(true));
});

describe('parseInstant', () => {
  it('reads what formatMicros writes, exactly', () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 7_000_000_000_000_000 }), (instant) => {
        expect(parseInstant(formatMicros(micros(instant)))).to.equal(instant);
      }),
    ));

  it('refuses what is no instant', () =>
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.constantFrom(
            '2026-13-01T00:00:00Z',
            '2026-01-01T25:00:00Z',
            '2026-01-01',
            '2026-01-01T00:00:00',
          ),
        ),
        (text) => {
          const instant = parseInstant(text);
          expect(instant).to.equal(undefined);
        },
      ),
    ));
});
