/**
 * When does an alarm ring? Settings in, rung alarms out; one queue and one timer for the earliest, however many are
 * set: O(log n) per change and nothing per tick.
 */
import { asyncScheduler, Observable, type SchedulerLike, type Subscription } from 'rxjs';

import { micros, type Micros } from '../../src/model/time.js';
import { type Alarm, AlarmQueue } from '../../src/runtimed/alarm-queue.js';

export type AlarmSetting =
  | (Alarm & Readonly<{ kind: 'SetAlarm' }>)
  | Readonly<{ kind: 'ClearAlarms'; id: string }>;

/** Timers cannot be set for longer than this (a 32-bit count of ms); a later alarm is looked at again then. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Alarms that are due ring in order of their times, after the event that set them, never inside it. */
export const ringAlarms = (
  settings$: Observable<AlarmSetting>,
  now: () => Micros,
  clock: SchedulerLike = asyncScheduler,
): Observable<Alarm> =>
  new Observable((rung) => {
    const queue = new AlarmQueue();
    let timer: Subscription | undefined;
    let timerAt = Number.POSITIVE_INFINITY;
    const arm = (): void => {
      const next = queue.next;
      if (next === undefined || next >= timerAt) return;
      timer?.unsubscribe();
      timerAt = next;
      const ms = Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil((next - now()) / 1000)));
      timer = clock.schedule(ring, ms);
    };
    const ring = (): void => {
      timerAt = Number.POSITIVE_INFINITY;
      for (const alarm of queue.due(micros(now()))) rung.next(alarm);
      arm();
    };
    const settings = settings$.subscribe({
      next: (setting) => {
        if (setting.kind === 'ClearAlarms') queue.clear(setting.id);
        else queue.set(setting);
        arm();
      },
      error: (cause: unknown) => rung.error(cause),
    });
    return () => {
      settings.unsubscribe();
      timer?.unsubscribe();
    };
  });
