/** A state machine as a stream: each state is a stream of events that ends by naming the next state. */
import { defer, filter, type Observable, repeat } from 'rxjs';

/** Names the state to enter when the current one's stream completes. */
export type Turn<S> = Readonly<{ kind: 'Turn'; to: S }>;

/** The item that names the next state. */
export const turn = <S>(to: S): Turn<S> => ({ kind: 'Turn', to });

/**
 * Events of `step(initial)`, then of the state it turned to, and so on without end. A state that completes without a
 * `Turn` is entered again. Each subscription is a machine of its own; unsubscribing leaves the current state.
 */
export const runMachine = <S, Event extends Readonly<{ kind: string }>>(
  initial: S,
  step: (state: S) => Observable<Event | Turn<S>>,
): Observable<Event> =>
  defer(() => {
    let state = initial;
    const isEvent = (item: Event | Turn<S>): item is Event => {
      if (item.kind !== 'Turn') return true;
      state = (item as Turn<S>).to;
      return false;
    };
    return defer(() => step(state)).pipe(filter(isEvent), repeat());
  });
