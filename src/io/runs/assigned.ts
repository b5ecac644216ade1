/** The Runs that the API has as assigned to this pod and not ended: one list, or a watch. */
import * as E from 'fp-ts/lib/Either.js';
import {
  asyncScheduler,
  defer,
  expand,
  last,
  map,
  type Observable,
  of,
  retry,
  type SchedulerLike,
  scan,
  switchMap,
  takeWhile,
  throwError,
  timer,
} from 'rxjs';
import { runs } from '../../model/resources.js';
import { Run, type Run as RunType } from '../../model/run.js';
import type { KubePort, ListPage, Selection } from '../../ports.js';

/** Pause before a list that failed is asked again: doubled from the first, up to the second, less up to half. */
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;
const PAGE = 500;

/** What selects them: ended ones stay in the API as long as their owners like, and do not concern us. */
export const assignedSelection = (pod: Readonly<{ name: string; namespace: string }>): Selection => ({
  namespace: pod.namespace,
  fieldSelector: [
    `status.assignedPod=${pod.name}`,
    ...['Succeeded', 'Failed', 'Timeout', 'Cancelled'].map((phase) => `status.phase!=${phase}`),
  ].join(','),
});

type Progress = Readonly<{ runs: ReadonlyArray<RunType>; next: string | undefined }>;

/** Runs that do not decode are left out: nothing here can be done about them. */
const decodeAll = ({ items }: ListPage): ReadonlyArray<RunType> =>
  items.flatMap((item) => {
    const run = Run.decode(item);
    return E.isRight(run) ? [run.right] : [];
  });

/** One list, as of now; tries until it has one. */
export const listAssigned = (
  kube: Pick<KubePort, 'list'>,
  selection: Selection,
  chance: () => number = Math.random,
  clock: SchedulerLike = asyncScheduler,
): Observable<ReadonlyArray<RunType>> => {
  const page = (next: string | undefined): Observable<ListPage> =>
    kube
      .list(runs, selection, { limit: PAGE, ...(next === undefined ? {} : { continue: next }) })
      .pipe(
        switchMap((answer) =>
          E.isRight(answer) ? of(answer.right) : throwError(() => new Error(answer.left.message)),
        ),
      );
  return defer(() => page(undefined)).pipe(
    expand((answer) => (answer.continue === undefined ? [] : page(answer.continue))),
    scan(
      (before: Progress, answer): Progress => ({
        runs: [...before.runs, ...decodeAll(answer)],
        next: answer.continue,
      }),
      { runs: [], next: undefined },
    ),
    takeWhile(({ next }) => next !== undefined, true),
    last(),
    map((progress) => progress.runs),
    retry({
      delay: (_cause, count) =>
        timer(
          Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(count - 1, 10)) * (1 - chance() / 2),
          clock,
        ),
    }),
  );
};
