/** The wall clock in microseconds. */
import { asyncScheduler, type SchedulerLike } from 'rxjs';

import { type Micros, micros } from '../model/time.js';

/** Further apart than this (ms), the wall clock was set and the steady one is matched to it anew. */
const STEP_MS = 5;

let offsetMs = Date.now() - performance.now();

/**
 * Now. Date.now() has whole milliseconds only; the steady clock has the digits below, and keeps instants of one
 * process in order while nobody sets the wall clock.
 */
export const nowMicros = (): Micros => {
  const steady = performance.now();
  const wall = Date.now();
  if (Math.abs(wall - (steady + offsetMs)) > STEP_MS) offsetMs = wall - steady;
  return micros((steady + offsetMs) * 1000);
};

/** rxjs's timers with `now()` to the microsecond, so that decisions of one millisecond keep their order. */
export const preciseClock: SchedulerLike = {
  now: () => nowMicros() / 1000,
  schedule: asyncScheduler.schedule.bind(asyncScheduler),
};
