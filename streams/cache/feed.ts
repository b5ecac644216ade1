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
  news: Fed<A>['news'];
}>;

const isNews = <A>(event: InformerEvent<A>): event is NonNullable<Fed<A>['news']> =>
  (NEWS as ReadonlyArray<string>).includes(event.kind);

/**
 * What somebody should hear of. A list holds the newest version of everything, at a version that is no earlier than any that we
 * were told (else the informer says so): an older one of an object than we know is of a server that went back and has come
 * past that since.
 */
const newsOf = <A>({ objects, incoming }: Cache<A>, event: InformerEvent<A>): Fed<A>['news'] => {
  if (isNews(event)) return event;
  if (event.kind !== 'Apply' || incoming === undefined) return undefined;
  const known = objects.get(event.key)?.resourceVersion;
  return known !== undefined && Number(event.resourceVersion) < Number(known)
    ? { kind: 'Rewound', from: known, to: event.resourceVersion }
    : undefined;
};

/** Events in, changes out; whether the first list is complete with each. */
export const feedOf = <A extends Readonly<{ key: ObjectKey }>>(
  events$: Observable<InformerEvent<A>>,
): Observable<Fed<A>> =>
  events$.pipe(
    scan<InformerEvent<A>, Step<A>>(
      ({ cache }, event) => ({ ...applyEvent(cache, event), news: newsOf(cache, event) }),
      { cache: emptyCache<A>(), changes: [], news: undefined },
    ),
    map(({ cache, changes, news }) => ({ news, isSynced: cache.isSynced, changes })),
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
