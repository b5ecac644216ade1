/** All executions the server knows, by id: the reason why Execute can be called twice and runs once. */
import { EndCause } from '../../proto/gen/executor.js';
import { Execution, type ExecutionSettings } from './execution.js';
import type { ExecuteCommand } from './request.js';
import type { Starter } from './start.js';

/** Told of every change. */
export type Listener = Readonly<{
  changed: (execution: Execution) => void;
  forgotten: (execution: Execution) => void;
}>;

export type Refusal = Readonly<{
  refusal: 'NotKnown' | 'StillRunning' | 'Draining' | 'BadRequest';
  message: string;
}>;

export class Executions {
  readonly #start: Starter;
  readonly #settings: Omit<ExecutionSettings, 'timeoutMs'>;
  readonly #onEnd: (execution: Execution) => void;
  readonly #byId = new Map<string, Execution>();
  readonly #listeners = new Set<Listener>();
  #isDraining = false;

  /** @param onEnd called once for every execution that was started, when it has ended. */
  constructor(
    start: Starter,
    settings: Omit<ExecutionSettings, 'timeoutMs'>,
    onEnd: (execution: Execution) => void,
  ) {
    this.#start = start;
    this.#settings = settings;
    this.#onEnd = onEnd;
  }

  all(): readonly Execution[] {
    return [...this.#byId.values()];
  }

  get(id: string): Execution | Refusal {
    return this.#byId.get(id) ?? { refusal: 'NotKnown', message: `execution "${id}" is not known here` };
  }

  /** Starts what is not known yet. */
  execute(command: ExecuteCommand): Execution | Refusal {
    const known = this.#byId.get(command.id);
    if (known !== undefined) return known;
    if (this.#isDraining)
      return {
        refusal: 'Draining',
        message: 'the server is about to end and starts nothing: try another pod',
      };
    const started = this.#start(command);
    if (started.kind === 'Refused') return { refusal: 'BadRequest', message: started.message };
    const settings = { ...this.#settings, timeoutMs: command.timeoutSeconds * 1_000 };
    const execution =
      started.kind === 'Launched'
        ? Execution.of(command.id, started.launched, settings, (changed) => this.#changed(changed))
        : Execution.notStarted(command.id, started.code, started.message, settings);
    this.#byId.set(command.id, execution);
    if (started.kind !== 'Launched') this.#changed(execution);
    else void execution.ended.then(() => this.#onEnd(execution));
    return execution;
  }

  cancel(id: string): Execution | Refusal {
    const execution = this.get(id);
    if (execution instanceof Execution) execution.end(EndCause.END_CAUSE_CANCELLED);
    return execution;
  }

  /** Drops an ended execution; one that is not known is dropped already. */
  forget(id: string): Refusal | undefined {
    const execution = this.#byId.get(id);
    if (execution === undefined) return undefined;
    if (execution.exited === undefined)
      return { refusal: 'StillRunning', message: `execution "${id}" still runs: cancel it first` };
    this.#byId.delete(id);
    for (const listener of this.#listeners) listener.forgotten(execution);
    return undefined;
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** From now on nothing is started. Resolves when everything has ended. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await Promise.all(this.all().map((execution) => execution.ended));
  }

  /** Resolves when nothing is known any more, or after `withinMs`. */
  async allForgotten(withinMs: number): Promise<void> {
    if (this.#byId.size === 0) return;
    await new Promise<void>((resolve) => {
      const tooLong = setTimeout(resolve, withinMs);
      this.listen({
        changed: () => undefined,
        forgotten: () => {
          if (this.#byId.size > 0) return;
          clearTimeout(tooLong);
          resolve();
        },
      });
    });
  }

  /** Kills everything; resolves when all trees are gone. */
  async kill(): Promise<void> {
    this.#isDraining = true;
    await Promise.all(this.all().map((execution) => execution.kill()));
  }

  #changed(execution: Execution): void {
    for (const listener of this.#listeners) listener.changed(execution);
  }
}
