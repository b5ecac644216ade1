/**
 * When does an alarm ring? Settings in, rung alarms out; one queue and one timer for the earliest, however many are
 * set: O(log n) per change and nothing per tick. Where the clock is set back, what was set before keeps its distance.
 */
import { asyncScheduler, Observable, type Subscription } from 'rxjs';

import { deadlines } from '../../src/decide/deadlines.js';
import { ALARM_KINDS, type Alarm, type AlarmKind } from '../../src/decide/sidecar/attempt.js';
import type { Micros } from '../../src/model/time.js';
import { type AnyClock, setBackOf } from '../operators/set-back.js';

export type AlarmSetting =
  | (Alarm & Readonly<{ kind: 'SetAlarm'; at: Micros }>)
  | Readonly<{ kind: 'ClearAlarms'; id: string }>;

/** Timers cannot be set for longer than this (a 32-bit count of ms); a later alarm is looked at again then. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

type Key = `${AlarmKind}:${string}`;

const keyOf = ({ id, alarm }: Alarm): Key => `${alarm}:${id}`;

const alarmOf = (key: Key): ReadonlyArray<Alarm> =>
  ALARM_KINDS.filter((alarm) => key.startsWith(`${alarm}:`)).map((alarm) => ({
    alarm,
    id: key.slice(alarm.length + 1),
  }));

/** Alarms that are due ring in order of their times, after the event that set them, never inside it. */
export const ringAlarms = (
  settings$: Observable<AlarmSetting>,
  now: () => Micros,
  clock: AnyClock = asyncScheduler,
): Observable<Alarm> =>
  new Observable((rung) => {
    const queue = deadlines<Key>();
    const setBackMs = setBackOf(clock);
    let timer: Subscription | undefined;
    let timerMs = Number.POSITIVE_INFINITY;
    /** What is due stays as far off as it is: the timer is, too. */
    const follow = (): void => {
      const byMs = setBackMs();
      if (byMs === 0) return;
      queue.bringForward(byMs);
      timerMs -= byMs;
    };
    const arm = (): void => {
      const next = queue.nextMs();
      if (next === undefined || next >= timerMs) return;
      timer?.unsubscribe();
      timerMs = next;
      const ms = Math.min(LONGEST_TIMER_MS, Math.max(0, Math.ceil(next - now() / 1000)));
      timer = clock.schedule(ring, ms);
    };
    const ring = (): void => {
      follow();
      timerMs = Number.POSITIVE_INFINITY;
      for (const key of queue.takeDue(now() / 1000)) for (const alarm of alarmOf(key)) rung.next(alarm);
      arm();
    };
    const settings = settings$.subscribe({
      next: (setting) => {
        follow();
        if (setting.kind === 'ClearAlarms')
          for (const alarm of ALARM_KINDS) queue.remove(keyOf({ id: setting.id, alarm }));
        else queue.set(keyOf(setting), setting.at / 1000);
        arm();
      },
      error: (cause: unknown) => rung.error(cause),
    });
    return () => {
      settings.unsubscribe();
      timer?.unsubscribe();
    };
  });
