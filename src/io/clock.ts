/** The wall clock in microseconds. */
import { asyncScheduler, type SchedulerAction, type SchedulerLike, type Subscription } from 'rxjs';

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

/**
 * rxjs's timers, each a turn of the event loop late: what has come in by then is known first. node calls timers before
 * it reads, so without it a busy process would find that something "still runs" whose end lies in the socket.
 */
export const afterInput: SchedulerLike = {
  now: preciseClock.now,
  schedule: <T>(
    work: (this: SchedulerAction<T>, state?: T) => void,
    delay?: number,
    state?: T,
  ): Subscription =>
    asyncScheduler.schedule<T>(
      function (given) {
        const turn = setImmediate(() => work.call(this, given));
        this.add(() => clearImmediate(turn));
      },
      delay,
      state,
    ),
};
