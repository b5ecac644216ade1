/** A wall clock that is set back: what waits for a time does not wait for that time to come again. */
import { expect } from 'chai';
import { defer, Subject, type Subscription, throwError } from 'rxjs';

import { deadlines } from '../../../src/decide/deadlines.js';
import { micros } from '../../../src/model/time.js';
import { foldInTime } from '../../../streams/operators/fold-in-time.js';
import {
  type AnyClock,
  anewWhenSetBack,
  ClockSetBack,
  setBackOf,
} from '../../../streams/operators/set-back.js';
import { type AlarmSetting, ringAlarms } from '../../../streams/sidecar/alarms.js';

const HOUR_MS = 3_600_000;

/** A machine whose timers go by the steady clock, and its wall clock, which can be set. */
class Machine {
  #steadyMs = 100;
  #offsetMs = 1_800_000_000_000;
  #timers: Array<Readonly<{ atMs: number; ring: () => void }>> = [];
  readonly clock: AnyClock = {
    now: () => this.#steadyMs + this.#offsetMs,
    steadyMs: () => this.#steadyMs,
    schedule: (work, delay = 0, state) => {
      const timer = {
        atMs: this.#steadyMs + delay,
        ring: () => (work as (state: unknown) => void).call(undefined, state),
      };
      this.#timers.push(timer);
      return {
        unsubscribe: () => {
          this.#timers = this.#timers.filter((each) => each !== timer);
        },
      } as Subscription;
    },
  };
  set(byMs: number): void {
    this.#offsetMs += byMs;
  }
  pass(ms: number): void {
    const untilMs = this.#steadyMs + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.atMs - b.atMs).find(({ atMs }) => atMs <= untilMs);
      if (next === undefined) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#steadyMs = next.atMs;
      next.ring();
    }
    this.#steadyMs = untilMs;
  }
}

describe('setBackOf', () => {
  it('tells each step back of a second or more once, and neither smaller ones nor steps forward', () => {
    const machine = new Machine();
    const byMs = setBackOf(machine.clock);
    const after = (stepMs: number): number => {
      machine.pass(50);
      machine.set(stepMs);
      return byMs();
    };
    expect([0, -HOUR_MS, 0, HOUR_MS, -999, 0, -1000].map(after)).to.deep.equal([
      0,
      HOUR_MS,
      0,
      0,
      0,
      0,
      1999,
    ]);
  });

  it('is never told by a clock that nobody sets', () => {
    const byMs = setBackOf({ now: () => -HOUR_MS, schedule: () => expect.fail() });
    expect(byMs()).to.equal(0);
  });
});

describe('anewWhenSetBack', () => {
  it('subscribes anew each time the clock was set back, and leaves other errors as they are', () => {
    const defect = new Error('a defect');
    const errors = [new ClockSetBack(5000), new ClockSetBack(7000), defect];
    const said: unknown[] = [];
    defer(() => throwError(() => errors.shift()))
      .pipe(anewWhenSetBack((byMs) => said.push(byMs)))
      .subscribe({ error: (cause: unknown) => said.push(cause) });
    expect(said).to.deep.equal([5000, 7000, defect]);
  });
});

describe('foldInTime', () => {
  it('errors when its timer rings at a time that has not come: its deadlines are no good any more', () => {
    const machine = new Machine();
    const inputs = new Subject<number>();
    const said: unknown[] = [];
    inputs
      .pipe(
        foldInTime(() => {
          const due = deadlines<string>();
          return {
            apply: (ms: number, nowMs) => {
              due.set('it', nowMs + ms);
              return [];
            },
            dueMs: due.nextMs,
            wake: (nowMs) => due.takeDue(nowMs),
          };
        }, machine.clock),
      )
      .subscribe({ next: (key) => said.push(key), error: (cause: unknown) => said.push(cause) });
    inputs.next(500);
    machine.pass(500);
    expect(said).to.deep.equal(['it']);
    inputs.next(500);
    machine.set(-HOUR_MS);
    machine.pass(499);
    expect(said).to.have.length(1);
    machine.pass(1);
    expect(said[1]).to.be.instanceOf(ClockSetBack).with.property('byMs', HOUR_MS);
  });
});

describe('ringAlarms', () => {
  it('rings after as long as it was to, whether the clock is set back, and what is set afterwards, too', () => {
    const machine = new Machine();
    const settings = new Subject<AlarmSetting>();
    const rung: string[] = [];
    const inMs = (ms: number) => micros((machine.clock.now() + ms) * 1000);
    const set = (id: string, ms: number): void =>
      settings.next({ kind: 'SetAlarm', id, alarm: 'Timeout', at: inMs(ms) });
    ringAlarms(settings, () => micros(machine.clock.now() * 1000), machine.clock).subscribe(({ id }) =>
      rung.push(id),
    );
    set('a', 1000);
    set('b', 3000);
    machine.set(-HOUR_MS);
    set('c', 2000);
    machine.pass(999);
    expect(rung).to.deep.equal([]);
    machine.pass(1);
    expect(rung).to.deep.equal(['a']);
    machine.pass(1000);
    expect(rung).to.deep.equal(['a', 'c']);
    machine.pass(1000);
    expect(rung).to.deep.equal(['a', 'c', 'b']);
  });
});
