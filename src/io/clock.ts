/** The schedulers of rxjs, by the wall clock in microseconds. */
import { asyncScheduler, type SchedulerAction, type Subscription } from 'rxjs';

import type { SettableClock } from '../ports.js';
import { nowMicros } from './wall-clock.js';

/** rxjs's timers with `now()` to the microsecond, so that decisions of one millisecond keep their order. */
export const preciseClock: SettableClock = {
  now: () => nowMicros() / 1000,
  steadyMs: () => performance.now(),
  schedule: asyncScheduler.schedule.bind(asyncScheduler),
};

/**
 * rxjs's timers, each a turn of the event loop late: what has come in by then is known first. node calls timers before
 * it reads, so without it a busy process would find that something "still runs" whose end lies in the socket.
 */
export const afterInput: SettableClock = {
  ...preciseClock,
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
