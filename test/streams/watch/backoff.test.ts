// Delays grow, are bounded, and never undercut what the server asked for.
import { expect } from 'chai';
import fc from 'fast-check';

import { backoffMs } from '../../../streams/watch/backoff.js';

const bounds = { firstMs: 200, maxMs: 30_000 };
const failures = fc.nat({ max: 5000 });
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoffMs', () => {
  it('doubles from the first delay, the upper half of it random', () => {
    expect([0, 1, 2, 3].map((n) => backoffMs(n, 0, bounds))).to.deep.equal([100, 200, 400, 800]);
    expect([0, 1, 2, 3].map((n) => backoffMs(n, 0.999999, bounds))).to.deep.equal([200, 400, 800, 1600]);
  });

  it('stays within the bounds however often it failed', () => {
    fc.assert(
      fc.property(failures, random, (n, r) => {
        expect(backoffMs(n, r, bounds)).to.be.within(100, 30_000);
      }),
    );
  });

  it('does not shrink with another failure', () => {
    fc.assert(
      fc.property(failures, random, (n, r) => {
        expect(backoffMs(n + 1, r, bounds)).to.be.at.least(backoffMs(n, r, bounds));
      }),
    );
  });

  it('keeps what the server asked for', () => {
    fc.assert(
      fc.property(failures, random, fc.nat({ max: 100_000 }), (n, r, ms) => {
        expect(backoffMs(n, r, bounds, ms)).to.be.at.least(ms);
      }),
    );
  });
});
