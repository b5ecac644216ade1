/** Feed: what an informer's events mean for the world. */
import { defer, map, merge, type Observable, scan } from 'rxjs';

import type { ObjectKey } from '../../src/model/ids.js';
import type { InformerEvent } from '../watch/informer-events.js';
import { applyEvent, type Cache, type Change, emptyCache } from './apply-event.js';

const NEWS = ['Rejected', 'Disconnected', 'Connected', 'Rewound'] as const;

/** One step of a kind's cache. */
export type Fed<A> = Readonly<{
  /** What the event was, where somebody should hear of it. */
  news: Extract<InformerEvent<A>, { kind: (typeof NEWS)[number] }> | undefined;
  isSynced: boolean;
  changes: ReadonlyArray<Change<A>>;
}>;

type Step<A> = Readonly<{
  cache: Cache<A>;
  changes: ReadonlyArray<Change<A>>;
  event: InformerEvent<A> | undefined;
}>;

const isNews = <A>(event: InformerEvent<A>): event is NonNullable<Fed<A>['news']> =>
  (NEWS as ReadonlyArray<string>).includes(event.kind);

const newsOf = <A>(event: InformerEvent<A> | undefined): Fed<A>['news'] =>
  event !== undefined && isNews(event) ? event : undefined;

/** Events in, changes out; whether the first list is complete with each. */
export const feedOf = <A extends Readonly<{ key: ObjectKey }>>(
  events$: Observable<InformerEvent<A>>,
): Observable<Fed<A>> =>
  events$.pipe(
    scan<InformerEvent<A>, Step<A>>(({ cache }, event) => ({ ...applyEvent(cache, event), event }), {
      cache: emptyCache<A>(),
      changes: [],
      event: undefined,
    }),
    map(({ cache, changes, event }) => ({ news: newsOf(event), isSynced: cache.isSynced, changes })),
  );

/** Several informers of one kind, of disjoint namespaces, as one: it is synced when all are. */
export const feedsOf = <A extends Readonly<{ key: ObjectKey }>>(
  informers: ReadonlyArray<Observable<InformerEvent<A>>>,
): Observable<Fed<A>> =>
  defer(() => {
    const synced = new Set<Observable<InformerEvent<A>>>();
    const whole =
      (events$: Observable<InformerEvent<A>>) =>
      (fed: Fed<A>): Fed<A> => {
        if (fed.isSynced) synced.add(events$);
        return { ...fed, isSynced: synced.size === informers.length };
      };
    return merge(...informers.map((events$) => feedOf(events$).pipe(map(whole(events$)))));
  });
