/**
 * A state machine with a sense of time as an operator: inputs fold into state and yield outputs; between inputs one
 * timer, set for the machine's next deadline, wakes it.
 *
 * Guarantees: one timer at most, whatever the number of deadlines; none while nothing is due; state is made per
 * subscription. Outputs of one input are emitted before the next input is taken, also when an output leads back to an
 * input (re-entrant emissions queue up instead of growing the stack).
 * Errors: ClockSetBack, where that clock can be set; the machine's deadlines are then no good any more.
 */
import { asyncScheduler, Observable, type OperatorFunction, type Subscription } from 'rxjs';

import type { TimedMachine } from '../../src/decide/timed-machine.js';
import { type AnyClock, ClockSetBack, setBackOf } from './set-back.js';

/** setTimeout fires at once beyond 2^31-1 ms; a longer wait is taken in steps. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Runs a machine, made anew for each subscription, over the inputs. */
export const foldInTime =
  <I, O>(makeMachine: () => TimedMachine<I, O>, clock: AnyClock = asyncScheduler): OperatorFunction<I, O> =>
  (inputs$) =>
    new Observable<O>((out) => {
      const machine = makeMachine();
      const setBackMs = setBackOf(clock);
      const queue: I[] = [];
      let isBusy = false;
      let isLast = false;
      let timer: Subscription | undefined;
      let timerMs: number | undefined;

      const setTimer = (): void => {
        const dueMs = isLast ? undefined : machine.dueMs?.();
        if (dueMs === timerMs) return;
        timer?.unsubscribe();
        timer = undefined;
        timerMs = dueMs;
        if (dueMs === undefined) return;
        const delay = Math.min(MAX_DELAY_MS, Math.max(0, dueMs - clock.now()));
        timer = clock.schedule(() => {
          timerMs = undefined;
          turn(
            () => (machine.dueMs?.() ?? Infinity) <= clock.now() && emit(machine.wake?.(clock.now()) ?? []),
          );
        }, delay);
      };

      const emit = (outputs: Iterable<O>): void => {
        for (const output of outputs) out.next(output);
      };

      /** Runs `first`, then whatever inputs arrived meanwhile, then sets the timer. */
      const turn = (first: () => void): void => {
        const byMs = setBackMs();
        if (byMs > 0) {
          out.error(new ClockSetBack(byMs));
          return;
        }
        isBusy = true;
        try {
          first();
          for (let input = queue.shift(); input !== undefined && !out.closed; input = queue.shift())
            emit(machine.apply(input, clock.now()));
        } catch (defect) {
          out.error(defect);
          return;
        } finally {
          isBusy = false;
        }
        // An output may have made the reader leave: no timer then.
        if (out.closed) return;
        if (isLast) out.complete();
        else setTimer();
      };

      const source = inputs$.subscribe({
        next: (input) => {
          queue.push(input);
          if (!isBusy) turn(() => undefined);
        },
        error: (error: unknown) => out.error(error),
        complete: () => {
          isLast = true;
          timer?.unsubscribe();
          if (!isBusy) out.complete();
        },
      });
      return () => {
        source.unsubscribe();
        timer?.unsubscribe();
      };
    });
