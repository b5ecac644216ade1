import { expect } from 'chai';

import { seeded } from '../model-check/explore.js';
import { isRising, leakOf, type Sample, type Trend, trendOf } from './trend.js';

const random = seeded(5);
/** One sample a minute. */
const samplesOf = (value: (minute: number) => number, minutes: number): ReadonlyArray<Sample> =>
  Array.from({ length: minutes }, (_, i) => ({ atMs: i * 60_000, value: value(i) }));
const trend = (value: (minute: number) => number, minutes = 20): Trend => {
  const found = trendOf(samplesOf(value, minutes));
  if (found === undefined) throw new Error('too few samples');
  return found;
};

describe('trendOf', () => {
  it('sees a leak under noise of five times its size, and how large it is', () => {
    const found = trend((minute) => 100 + minute * 2 + random() * 10);
    expect(found.slope).to.be.closeTo(2, 0.5);
    expect(isRising(found)).to.equal(true);
  });

  it('sees a steady leak in the fewest points it says anything of', () => {
    expect(isRising(trend((minute) => 100 + minute, 12))).to.equal(true);
  });

  it('sees one of a few of something, that comes only now and then', () => {
    expect(isRising(trend((minute) => 40 + Math.floor(minute / 6)))).to.equal(true);
  });

  const flat: ReadonlyArray<readonly [string, (minute: number) => number]> = [
    ['is constant', () => 7],
    ['goes up and down', (minute) => 100 + 30 * ((minute / 5) % 1)],
    ['falls', (minute) => 100 - minute],
    ['is flat but for two peaks', (minute) => (minute === 7 || minute === 13 ? 900 : 100 + random())],
    ['has taken one step at its beginning', (minute) => (minute < 4 ? 41 : 42)],
  ];
  for (const [name, value] of flat)
    it(`sees no growth in what ${name}`, () => {
      expect(isRising(trend(value))).to.equal(false);
    });

  it('calls less than one in 500 series of noise rising, whole numbers or not', () => {
    for (const value of [() => random(), () => Math.floor(random() * 3)]) {
      const called = Array.from({ length: 2_000 }, () => isRising(trend(value))).filter(Boolean).length;
      expect(called).to.be.lessThan(5);
    }
  });

  it('says nothing of a few points', () => {
    expect(trendOf(Array.from({ length: 11 }, (_, i) => ({ atMs: i, value: i })))).to.equal(undefined);
  });
});

describe('leakOf', () => {
  /** What a runtimed of a soak may grow by a minute, KiB: 60 Runs, 256 bytes each. */
  const ALLOWED = 15;
  /** Malloc's, as read in a soak: it goes up and down by some 100 KiB. */
  const noise = (): number => (random() - 0.5) * 200;
  const isLeak = (value: (minute: number) => number, minutes = 36): boolean | undefined =>
    leakOf(samplesOf(value, minutes), ALLOWED)?.isLeak;

  it('finds 1 KiB a Run, in the 36 readings of an hour and in the 12 that are the fewest', () => {
    for (const minutes of [36, 12])
      expect(
        isLeak((minute) => 20_000 + 60 * minute + noise(), minutes),
        `${minutes}`,
      ).to.equal(true);
  });

  it('finds what begins to leak in the middle', () => {
    expect(isLeak((minute) => 20_000 + 60 * Math.max(0, minute - 12) + noise())).to.equal(true);
  });

  it('takes no growth for a leak that is within what is allowed, however certain', () => {
    const within = (minute: number): number => 20_000 + 12 * minute;
    expect(isRising(trend(within, 36))).to.equal(true);
    expect(isLeak(within)).to.equal(false);
  });

  it('takes no cache for a leak that fills, however certainly it rises', () => {
    const filling = (minute: number): number => 76_000 + 5_000 * (1 - Math.exp(-minute / 5)) + noise();
    expect(isRising(trend(filling, 36))).to.equal(true);
    expect(isLeak(filling)).to.equal(false);
  });

  it('says nothing of a few points', () => {
    expect(
      leakOf(
        samplesOf(() => 1, 11),
        ALLOWED,
      ),
    ).to.equal(undefined);
  });
});
