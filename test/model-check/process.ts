/** One life of a process: what it is called, its timers, and what it has been told, of which its state is a function. */
import { hash } from './hash.js';
import { StepClock } from './step-clock.js';

export class Process {
  /** Name and life: `operator-a/2`. */
  readonly id: string;
  readonly clock: StepClock;
  isAlive = true;
  isPaused = false;
  /** No call of it gets through. */
  isCutOff = false;
  /** Everything it was told: equal for two lives that were told the same. */
  digest = '';
  readonly #onEnd: (() => void)[] = [];
  #chance: number;

  constructor(id: string, nowMs: () => number) {
    this.id = id;
    this.clock = new StepClock(nowMs);
    this.#chance = [...id].reduce((sum, c) => sum + c.charCodeAt(0), 7);
  }

  /** Uniform in [0, 1), the same in every replay. */
  readonly random = (): number => {
    this.#chance = (this.#chance * 16807) % 2147483647;
    return this.#chance / 2147483647;
  };

  told(label: string): void {
    this.digest = hash(this.digest + label);
  }

  onEnd(act: () => void): void {
    this.#onEnd.push(act);
  }

  /** kill -9. */
  kill(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const act of this.#onEnd) act();
  }
}
