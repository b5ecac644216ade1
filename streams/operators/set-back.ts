/**
 * Was the wall clock set back? Then what was to happen at a time would wait until that comes again: an hour, or a year.
 *
 * Asked whenever somebody is awake anyhow, never for its own sake: a timer runs by the steady clock, so whoever waits for
 * a time is awake when it was to come, and finds that it has not. A clock set forward needs nobody: all comes early.
 */
import { type MonoTypeOperatorFunction, of, retry, type SchedulerLike } from 'rxjs';

import type { SettableClock } from '../../src/ports.js';

/** A clock that may be one that is set. Virtual time is not. */
export type AnyClock = SchedulerLike & Partial<Pick<SettableClock, 'steadyMs'>>;

/** Smaller steps are how clocks are kept right, and reading two clocks one after the other. Milliseconds. */
const STEP_MS = 1000;

/** Whoever decides by this clock begins anew. */
export class ClockSetBack extends Error {
  override readonly name = 'ClockSetBack';
  /** @param byMs how far, milliseconds */
  constructor(readonly byMs: number) {
    super(`the clock was set back by ${Math.round(byMs)} ms`);
  }
}

/** By how many milliseconds it was set back since it was asked last; 0: it was not. */
export const setBackOf = ({ now, steadyMs }: AnyClock): (() => number) => {
  if (steadyMs === undefined) return () => 0;
  let distance = now() - steadyMs();
  return () => {
    const before = distance;
    distance = now() - steadyMs();
    if (before - distance >= STEP_MS) return before - distance;
    // Small steps must not add up to one that nobody sees.
    distance = Math.max(before, distance);
    return 0;
  };
};

/** Begins anew whenever the clock was set back, and tells by how much. Other errors are left as they are. */
export const anewWhenSetBack = <A>(onSetBack: (byMs: number) => void): MonoTypeOperatorFunction<A> =>
  retry({
    delay: (cause: unknown) => {
      if (!(cause instanceof ClockSetBack)) throw cause;
      onSetBack(cause.byMs);
      return of(undefined);
    },
  });
