/**
 * The loop of the sidecar: inputs → step → commands → effects → inputs.
 *
 * One input is reduced at a time, also when an effect answers at once: its answer waits in the queue until the step
 * that asked for it is through. Effects run side by side; each is asked for by a step that expects it, and there are
 * at most a few per attempt held, so their number is bounded by the pod's capacity.
 */
import { Observable, Subscription } from 'rxjs';

export type Loop<Input, Command> = Readonly<{
  /** The step; it may keep state, since it is called one input at a time. */
  reduce: (input: Input) => ReadonlyArray<Command>;
  /** Runs one command. Never errors: a failure is an input. */
  enact: (command: Command) => Observable<Input>;
  /** Asked after each input; true ends the loop once the effects under way have ended. */
  isDone?: () => boolean;
}>;

/** Emits each input after its step, for whoever counts or logs. Errors only on a defect of a step or an effect. */
export const feedback = <Input, Command>(
  inputs$: Observable<Input>,
  { reduce, enact, isDone = () => false }: Loop<Input, Command>,
): Observable<Input> =>
  new Observable((steps) => {
    const queue: Input[] = [];
    // An effect that has ended leaves it by itself.
    const running = new Subscription();
    let busy = false;
    const run = (command: Command): void => {
      running.add(enact(command).subscribe({ next: push, error: (cause: unknown) => steps.error(cause) }));
    };
    const push = (input: Input): void => {
      queue.push(input);
      if (busy) return;
      busy = true;
      try {
        for (let next = queue.shift(); next !== undefined && !steps.closed; next = queue.shift()) {
          for (const command of reduce(next)) run(command);
          steps.next(next);
        }
      } catch (cause) {
        steps.error(cause);
      } finally {
        busy = false;
      }
      if (isDone()) steps.complete();
    };
    const source = inputs$.subscribe({ next: push, error: (cause: unknown) => steps.error(cause) });
    return () => {
      source.unsubscribe();
      running.unsubscribe();
    };
  });
