/**
 * Which Runs does the API say are ours?
 *
 * While a session is open the operator tells, and one list at its beginning finds what was missed. While there is
 * none, a watch of our own Runs takes its place, so that assignment and cancellation need no operator; it begins a
 * moment after the session was lost, because most sessions return at once and thousands of pods lose theirs together.
 */
import {
  asyncScheduler,
  concatMap,
  defer,
  EMPTY,
  type Observable,
  of,
  type SchedulerLike,
  switchMap,
  timer,
} from 'rxjs';
import type { Input } from '../../src/decide/sidecar/holdings.js';
import type { Run } from '../../src/model/run.js';
import type { InformerEvent } from '../watch/informer-events.js';

/** How long a session may be away before the watch begins. */
export const FALLBACK_AFTER_MS = 250;

export type AssignedSources = Readonly<{
  /** One list; ends after its item, and tries until it has one. */
  list$: Observable<ReadonlyArray<Run>>;
  watch$: Observable<InformerEvent<Run>>;
  /** Ids held at this moment. */
  heldIds: () => ReadonlySet<string>;
}>;

/** The list as an input that knows what was held before it was asked for: only that can be missing from it. */
const reconcile = ({ list$, heldIds }: AssignedSources): Observable<Input> =>
  defer(() => {
    const heldBefore = heldIds();
    return list$.pipe(concatMap((runs) => of<Input>({ kind: 'Listed', runs, heldBefore })));
  });

/** What the watch says, as inputs. A list is one input, at its end. */
const follow = ({ watch$, heldIds }: AssignedSources): Observable<Input> =>
  defer(() => {
    const known = new Map<string, string>();
    let listing: Run[] | undefined;
    let heldBefore: ReadonlySet<string> = new Set();
    return watch$.pipe(
      concatMap((event): Observable<Input> => {
        switch (event.kind) {
          case 'Init':
            listing = [];
            heldBefore = heldIds();
            known.clear();
            return EMPTY;
          case 'InitDone': {
            const runs = listing ?? [];
            listing = undefined;
            return of({ kind: 'Listed', runs, heldBefore });
          }
          case 'Apply':
            known.set(event.key, event.object.metadata.uid);
            if (listing === undefined) return of({ kind: 'Seen', run: event.object });
            listing.push(event.object);
            return EMPTY;
          case 'Delete': {
            const uid = known.get(event.key);
            known.delete(event.key);
            return uid === undefined ? EMPTY : of({ kind: 'Vanished', uid });
          }
          default:
            return EMPTY;
        }
      }),
    );
  });

/** Inputs, for ever; `isOpen$` says whether there is a session and begins with the present state. */
export const assignedRuns = (
  isOpen$: Observable<boolean>,
  sources: AssignedSources,
  clock: SchedulerLike = asyncScheduler,
): Observable<Input> =>
  isOpen$.pipe(
    switchMap((isOpen) =>
      isOpen ? reconcile(sources) : timer(FALLBACK_AFTER_MS, clock).pipe(switchMap(() => follow(sources))),
    ),
  );
