/** A wall clock in microseconds, over scripted clocks: how far from the truth, in what order, and who sets it. */
import { expect } from 'chai';
import fc from 'fast-check';

import { forwardClock, wallClock } from '../../src/io/wall-clock.js';

/** A machine whose true time is `wallMs`; each look at a clock takes as long as the machine lets others run. */
class Machine {
  wallMs: number;
  steadyMs = 1000;
  readonly #pauses: number[];
  constructor(startMs: number, pauses: number[] = []) {
    this.wallMs = startMs;
    this.#pauses = pauses;
  }
  pass(ms: number): void {
    this.wallMs += ms;
    this.steadyMs += ms;
  }
  /** A clock of this machine. */
  clock(originMs: number): () => number {
    const look = (): void => this.pass(this.#pauses.shift() ?? 0);
    return wallClock(
      {
        wallMs: () => {
          look();
          return Math.floor(this.wallMs);
        },
        steadyMs: () => {
          look();
          return this.steadyMs;
        },
      },
      originMs,
    );
  }
}

describe('the wall clock', () => {
  const start = 1_800_000_000_000.25;

  it('has the fractions of the steady clock, and no more than a millisecond of error', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -5, max: 5, noNaN: true }),
        fc.array(fc.double({ min: 0.001, max: 3, noNaN: true }), { minLength: 1, maxLength: 30 }),
        (wrongMs, steps) => {
          const machine = new Machine(start);
          const now = machine.clock(machine.wallMs - machine.steadyMs + wrongMs);
          now();
          for (const step of steps) {
            machine.pass(step);
            expect(Math.abs(now() - machine.wallMs * 1000)).to.be.at.most(1001);
          }
        },
      ),
    );
  });

  it('never goes back while nobody sets it, however long a look takes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { maxLength: 60 }),
        fc.array(fc.double({ min: 0, max: 3, noNaN: true }), { minLength: 2, maxLength: 20 }),
        (pauses, steps) => {
          const machine = new Machine(start, pauses);
          const now = machine.clock(machine.wallMs - machine.steadyMs);
          let last = now();
          for (const step of steps) {
            machine.pass(step);
            const next = now();
            expect(next).to.be.at.least(last);
            expect(next).to.be.at.most(machine.wallMs * 1000 + 1);
            last = next;
          }
        },
      ),
    );
  });

  it('follows who sets it forwards or backwards, and a machine that was suspended', () => {
    for (const jumpMs of [7_200_000, -7_200_000, 4, -4]) {
      const machine = new Machine(start);
      const now = machine.clock(machine.wallMs - machine.steadyMs);
      now();
      machine.wallMs += jumpMs;
      expect(Math.abs(now() - machine.wallMs * 1000), `${jumpMs}`).to.be.at.most(1001);
    }
  });

  it('is the same in two processes that began at other fractions of a millisecond', () => {
    const machine = new Machine(start);
    const clocks = [0.3, 0.7].map((late) => {
      machine.pass(late);
      return machine.clock(machine.wallMs - machine.steadyMs);
    });
    const [one = 0, other = 0] = clocks.map((now) => now());
    expect(Math.abs(one - other)).to.be.at.most(1);
  });
});

describe('the clock that never goes back', () => {
  it('goes on when the wall clock is set back, and follows it forwards', () => {
    let [wall, steady] = [1_000_000, 5];
    const now = forwardClock({ wallMs: () => wall, steadyMs: () => steady });
    expect(now()).to.equal(1_000_000);
    wall -= 3_600_000;
    expect(now(), 'set back an hour').to.equal(1_000_000);
    wall += 70;
    steady += 70;
    expect(now(), '70 ms later').to.equal(1_000_070);
    wall += 7_200_000;
    expect(now(), 'set forward').to.equal(wall);
  });
});
