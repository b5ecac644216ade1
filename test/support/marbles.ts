/** Marble tests: virtual time, compared with chai. */
import { expect } from 'chai';
import { type RunHelpers, TestScheduler } from 'rxjs/testing';

/**
 * Runs `test` in virtual time: `timer`, `delay` and the default scheduler's `now()` are virtual in it, promises and
 * `Date.now()` are not. The scheduler itself is handed in for code that takes one.
 */
export const marbles = (test: (helpers: RunHelpers, clock: TestScheduler) => void): void => {
  const clock = new TestScheduler((actual, expected) => {
    expect(actual).to.deep.equal(expected);
  });
  clock.run((helpers) => test(helpers, clock));
};
