/** The bench's own arithmetic: a figure is worth what its sums are. */
import { expect } from 'chai';

import { closedLoop, poisson, seeded } from './load.js';
import type { Sample } from './runs.js';
import { stageFaults, stagesOf } from './stages.js';
import { occupancy, quantile, summary } from './stats.js';

const sample = (over: Partial<Sample> = {}): Sample => ({
  name: 'r',
  phase: 'Succeeded',
  message: '',
  began: 100,
  created: 102,
  seen: 110,
  beganMicros: 1_000_000,
  scheduledMicros: 1_002_000,
  startMicros: 1_005_000,
  completionMicros: 1_006_000,
  seenMicros: 1_010_000,
  writes: 2,
  ...over,
});

describe('figures of the bench', () => {
  it('a quantile is the nearest rank, whatever the order of the values', () => {
    const values = [5, 1, 4, 2, 3];
    expect([0, 0.5, 0.95, 1].map((q) => quantile(values, q))).to.deep.equal([1, 3, 5, 5]);
    expect(summary(values)).to.deep.equal({ n: 5, mean: 3, p50: 3, p95: 5, p99: 5, max: 5 });
  });

  it('intervals that touch do not overlap, and their integral is the sum of their lengths', () => {
    const intervals = [
      { from: 0, to: 2 },
      { from: 2, to: 5 },
      { from: 1, to: 4 },
    ];
    expect(occupancy(intervals)).to.deep.equal({ most: 2, integral: 8 });
  });

  it('the stages of a Run are its whole, and where they are not that is a fault', () => {
    expect(Object.values(stagesOf([sample()])).flat()).to.deep.equal([2, 3, 1, 4]);
    expect(stageFaults([sample()])).to.deep.equal([]);
    expect(stageFaults([sample({ seen: 112 })])[0]).to.match(/miss the whole by -2 ms/);
    expect(stageFaults([sample({ startMicros: Number.NaN })])[0]).to.match(/assigned → started/);
    expect(stageFaults([sample({ scheduledMicros: 998_000 })])[0]).to.match(/create → assigned took -2 ms/);
  });

  it('a Poisson process keeps its rate, its gaps are as irregular as they should be, and a seed repeats it', () => {
    const arrivals = poisson(20_000, 50, seeded(7));
    expect((arrivals.at(-1) ?? 0) / 20_000).to.be.closeTo(20, 0.5);
    const gaps = arrivals.map((at, i) => at - (arrivals[i - 1] ?? 0));
    const { mean } = summary(gaps);
    const variance = summary(gaps.map((gap) => (gap - mean) ** 2)).mean;
    expect(Math.sqrt(variance) / mean, 'coefficient of variation').to.be.closeTo(1, 0.05);
    expect(poisson(3, 50, seeded(7))).to.deep.equal(arrivals.slice(0, 3));
  });

  it('a closed loop has exactly so many under way as it is wide, and does each once', async () => {
    const done: number[] = [];
    let [now, most] = [0, 0];
    await closedLoop(20, 4, async (index) => {
      now += 1;
      most = Math.max(most, now);
      await new Promise((resolve) => setImmediate(resolve));
      now -= 1;
      done.push(index);
    });
    expect(most).to.equal(4);
    expect(done.toSorted((a, b) => a - b)).to.deep.equal(Array.from({ length: 20 }, (_, i) => i));
  });
});
