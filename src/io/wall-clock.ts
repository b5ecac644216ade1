/** The wall clock in microseconds. */
import { type Micros, micros } from '../model/time.js';

/** The clocks of a machine, milliseconds: one with whole ones only that may be set, one with fractions that is not. */
export type Clocks = Readonly<{ wallMs: () => number; steadyMs: () => number }>;

/**
 * A clock that tells the wall's time with the steady one's fractions.
 *
 * The distance of the two is kept within what they say: the wall's time is a millisecond wide, the steady one is read
 * before and after it. So all processes of a machine agree, to what lies between two of their readings; whoever sets
 * the wall clock, or suspends the machine (the steady clock stands still meanwhile), is followed at once; and instants
 * of one process stay in order while nobody does.
 *
 * @param originMs what is to be added to the steady clock at first
 */
export const wallClock = ({ wallMs, steadyMs }: Clocks, originMs: number): (() => Micros) => {
  let offsetMs = originMs;
  return () => {
    const before = steadyMs();
    const wall = wallMs();
    const after = steadyMs();
    if (offsetMs < wall - after) offsetMs = wall - after;
    else if (offsetMs > wall + 1 - before) offsetMs = wall + 1 - before;
    return micros((after + offsetMs) * 1000);
  };
};

/** Now. */
export const nowMicros = wallClock(
  { wallMs: Date.now, steadyMs: () => performance.now() },
  performance.timeOrigin,
);

/**
 * The wall's time in milliseconds, but never back: for whoever compares only what he has read from it himself. It goes on
 * where the wall clock was when that is set back, and follows when it is set forward or the machine was suspended.
 */
export const forwardClock = ({ wallMs, steadyMs }: Clocks): (() => number) => {
  let offsetMs = Number.NEGATIVE_INFINITY;
  return () => {
    const steady = steadyMs();
    offsetMs = Math.max(offsetMs, wallMs() - steady);
    return Math.floor(steady + offsetMs);
  };
};

/** Now, and never before what it said last. */
export const forwardMs = forwardClock({ wallMs: Date.now, steadyMs: () => performance.now() });
