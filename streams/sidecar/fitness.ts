/**
 * Can the pod make workspaces? After the first that it could not make it is tried, ever more slowly, until one can be
 * made; and nothing is tried before.
 */
import {
  asyncScheduler,
  concat,
  distinctUntilChanged,
  EMPTY,
  exhaustMap,
  expand,
  type Observable,
  of,
  type SchedulerLike,
  switchMap,
  timer,
} from 'rxjs';

/** Pauses before trials, milliseconds: the first, and the longest. */
export const FIRST_TRIAL_MS = 500;
export const LONGEST_PAUSE_MS = 10_000;

/**
 * Why it cannot, each time that changes; '' once it can again.
 *
 * @param troubles$ each workspace that could not be made, and why
 * @param tryOut why one cannot be made now, or ''
 */
export const fitness = (
  troubles$: Observable<string>,
  tryOut: () => Observable<string>,
  clock: SchedulerLike = asyncScheduler,
): Observable<string> => {
  const trial = (n: number): Observable<string> =>
    timer(Math.min(LONGEST_PAUSE_MS, FIRST_TRIAL_MS * 2 ** Math.min(n, 10)), clock).pipe(switchMap(tryOut));
  return troubles$.pipe(
    exhaustMap((message) =>
      concat(of(message), trial(0).pipe(expand((why, n) => (why === '' ? EMPTY : trial(n + 1))))),
    ),
    distinctUntilChanged(),
  );
};
