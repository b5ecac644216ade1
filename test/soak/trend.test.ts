import { expect } from 'chai';

import { seeded } from '../model-check/explore.js';
import { floors, isGrowing, type Sample, trendOf } from './trend.js';

const random = seeded(5);
const series = (value: (minute: number) => number): ReadonlyArray<Sample> =>
  Array.from({ length: 120 }, (_, i) => ({ atMs: i * 5000, value: value((i * 5) / 60) }));
const saw = (minute: number): number => 100 + 30 * ((minute * 3) % 1);
const verdict = (value: (minute: number) => number): boolean =>
  isGrowing(trendOf(floors(series(value), 20_000)));

describe('trendOf', () => {
  it('sees a leak under the teeth of a saw, and its size', () => {
    const trend = trendOf(
      floors(
        series((minute) => saw(minute) + minute * 2),
        20_000,
      ),
    );
    expect(trend?.slope).to.be.closeTo(2, 0.5);
    expect(isGrowing(trend)).to.equal(true);
  });

  const flat: ReadonlyArray<readonly [string, (minute: number) => number]> = [
    ['is constant', () => 7],
    ['goes up and down', saw],
    ['is noise', () => 100 + random() * 20],
    ['falls', (minute) => 100 - minute],
    ['is flat but for one peak', (minute) => (minute > 4 && minute < 4.5 ? 900 : 100 + random())],
  ];
  for (const [name, value] of flat)
    it(`sees no growth in what ${name}`, () => {
      expect(verdict(value)).to.equal(false);
    });

  it('says nothing of a few points', () => {
    expect(trendOf(series(saw).slice(0, 5))).to.equal(undefined);
  });
});
