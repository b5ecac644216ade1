/** A scheduler for one process of the model: its timers fire one at a time, when the model says that time has come. */
import { type SchedulerAction, type SchedulerLike, Subscription } from 'rxjs';

type Work = (this: SchedulerAction<unknown>, state?: unknown) => void;

/** One timer; rescheduling it sets it anew, as rxjs expects of an action. */
class StepAction extends Subscription implements SchedulerAction<unknown> {
  dueMs = 0;
  readonly #clock: StepClock;
  readonly #work: Work;

  constructor(clock: StepClock, work: Work) {
    super();
    this.#clock = clock;
    this.#work = work;
  }

  schedule(state?: unknown, delay = 0): Subscription {
    if (this.closed) return this;
    this.dueMs = this.#clock.now() + Math.max(0, delay);
    this.#clock.add(this, state);
    return this;
  }

  execute(state: unknown): void {
    if (!this.closed) this.#work.call(this, state);
  }

  override unsubscribe(): void {
    this.#clock.drop(this);
    super.unsubscribe();
  }
}

/** Timers of one process. `nowMs` is the model's clock, the same for all. */
export class StepClock implements SchedulerLike {
  readonly #nowMs: () => number;
  #due: { readonly action: StepAction; readonly state: unknown }[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs();
  }

  schedule<T>(work: (this: SchedulerAction<T>, state?: T) => void, delay?: number, state?: T): Subscription {
    return new StepAction(this, work as Work).schedule(state, delay);
  }

  add(action: StepAction, state: unknown): void {
    this.drop(action);
    const at = this.#due.findIndex((other) => other.action.dueMs > action.dueMs);
    this.#due.splice(at < 0 ? this.#due.length : at, 0, { action, state });
  }

  drop(action: StepAction): void {
    const at = this.#due.findIndex((other) => other.action === action);
    if (at >= 0) this.#due.splice(at, 1);
  }

  /** When the next timer is due. */
  get nextMs(): number | undefined {
    return this.#due[0]?.action.dueMs;
  }

  /** Timers set. */
  get size(): number {
    return this.#due.length;
  }

  /** Fires the first timer. */
  fire(): void {
    const first = this.#due.shift();
    first?.action.execute(first.state);
  }
}
