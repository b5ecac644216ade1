/**
 * Turns: at most so many have theirs at once, the others wait in their order, nobody longer than a bound.
 *
 * For work that is not urgent beside work that is. What does not come to an end keeps its turn until it is said to
 * have ended; then the bound lets the others pass.
 */
import { asyncScheduler, Observable, type SchedulerLike } from 'rxjs';

export type Turns = Readonly<{
  /** Emits once, when it is this one's turn or it has waited long enough, and completes. */
  take: (id: string) => Observable<undefined>;
  /** It has had its turn, or wants none any more. */
  end: (id: string) => void;
}>;

/** How many may have their turn at once, and how long anybody waits at most, milliseconds. */
export type TurnBounds = Readonly<{ most: number; longestMs: number }>;

export const turns = ({ most, longestMs }: TurnBounds, clock: SchedulerLike = asyncScheduler): Turns => {
  const having = new Set<string>();
  const waiting = new Map<string, () => void>();
  const callNext = (): void => {
    for (const [id, call] of waiting) {
      if (having.size >= most) return;
      waiting.delete(id);
      having.add(id);
      call();
    }
  };
  return {
    take: (id) =>
      new Observable((turn) => {
        const call = (): void => {
          turn.next(undefined);
          turn.complete();
        };
        if (having.size < most) {
          having.add(id);
          call();
          return;
        }
        waiting.set(id, call);
        turn.add(() => waiting.delete(id));
        turn.add(clock.schedule(call, longestMs));
      }),
    end: (id) => {
      having.delete(id);
      waiting.delete(id);
      callNext();
    },
  };
};
