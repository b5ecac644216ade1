/**
 * Informer: what is there, and what changes?
 *
 * A kind and a selection in, `InformerEvent`s out, without end. List in pages, then watch; when the watch closes it is
 * resumed at the last version at once, when it fails after a backoff, and when its version is no longer kept (410) all
 * is listed again.
 *
 * Guarantees: every object's latest version is seen in the end, however connections fare; between two lists no event
 * is lost or repeated out of order. Versions in between may be missed only across a list. A server that went back is
 * `Rewound`, unless by then it has come past the version that we knew: that is seen where objects are known (`cache/feed.ts`).
 * Assumptions: the port reports silence (`idleMs`) and repeats the version once a watch is accepted.
 * Errors: none on the error channel; a lost server is `Disconnected`, a bad object `Rejected`.
 * Cost: one decoding per event; memory only for rejected objects.
 */
import * as E from 'fp-ts/lib/Either.js';
import type * as t from 'io-ts';
import {
  asyncScheduler,
  concat,
  concatMap,
  defer,
  EMPTY,
  expand,
  from,
  map,
  type Observable,
  type SchedulerLike,
  takeWhile,
  timer,
} from 'rxjs';

import type { EffectError } from '../../src/model/effect-error.js';
import type { ObjectKey } from '../../src/model/ids.js';
import type { Resource } from '../../src/model/resource.js';
import type { KubePort, ListPage, Selection, WatchFrame } from '../../src/ports.js';
import { type Backoff, backoffMs, WATCH_BACKOFF } from './backoff.js';
import { decodeObject, type InformerEvent, identityOf } from './informer-events.js';
import { runMachine, type Turn, turn } from './run-machine.js';

export type InformerOptions = Readonly<{
  /** In [0, 1): jitter of backoffs and of the watches' length. */
  random: () => number;
  clock?: SchedulerLike;
  /** Objects per page of a list. */
  pageLimit?: number;
  /** Longest silence of a watch, milliseconds. Servers send a bookmark about every minute. */
  idleMs?: number;
  backoff?: Backoff;
}>;

/** Where an informer is. `failures` counts those in a row without anything good between. */
type State =
  | Readonly<{ at: 'Listing'; failures: number }>
  | Readonly<{ at: 'Watching'; resourceVersion: string; failures: number }>
  | Readonly<{ at: 'Waiting'; ms: number; next: State }>;

type Item<A> = InformerEvent<A> | Turn<State>;

/** Seconds that we ask a server to keep a watch: spread, so that thousands of them do not end together. */
const WATCH_SECONDS = { least: 240, spread: 240 };
/** A watch that lasted this long was a good one, even if nothing happened in it. */
const SETTLED_MS = 5000;

/** How a watch went. */
type WatchEnd = Readonly<{
  resourceVersion: string;
  failure: EffectError | undefined;
  failures: number;
  /** It brought something, or stayed open for long. */
  wasLive: boolean;
}>;

const CLOSED_AT_ONCE: EffectError = {
  kind: 'Unavailable',
  message: 'the API server closes the watch as soon as it is open',
};

/** What follows a watch. A first mishap after a good time is repaired at once where that is sound. */
const afterWatch = (
  { resourceVersion, failure, failures, wasLive }: WatchEnd,
  random: () => number,
  backoff: Backoff,
): ReadonlyArray<Item<never>> => {
  const before = wasLive ? 0 : failures;
  const next: State =
    failure?.kind === 'Gone'
      ? { at: 'Listing', failures: before + 1 }
      : { at: 'Watching', resourceVersion, failures: failure === undefined && wasLive ? 0 : before + 1 };
  const isHarmless = failure === undefined || failure.kind === 'Gone';
  if (isHarmless && before === 0) return [turn(next)];
  const error = failure ?? CLOSED_AT_ONCE;
  const ms = backoffMs(isHarmless ? before - 1 : before, random(), backoff, error.retryAfterMs);
  return [{ kind: 'Disconnected', error, retryInMs: ms }, turn({ at: 'Waiting', ms, next })];
};

/** All events of `resource` in `selection`; see the head of this file. */
export const informer = <A>(
  kube: Pick<KubePort, 'list' | 'watch'>,
  resource: Resource,
  selection: Selection,
  codec: t.Decoder<unknown, A>,
  {
    random,
    clock = asyncScheduler,
    pageLimit = 500,
    idleMs = 120_000,
    backoff = WATCH_BACKOFF,
  }: InformerOptions,
): Observable<InformerEvent<A>> =>
  defer(() => {
    const rejected = new Map<ObjectKey, string>();
    let isConnected = false;
    /** The greatest version that this server has told us, of lists, objects and bookmarks. */
    let newest = '0';

    /** Notes a version; what to say when a list has an earlier one. */
    const listedAt = (resourceVersion: string): ReadonlyArray<Item<A>> => {
      const from = newest;
      newest = resourceVersion;
      return Number(resourceVersion) < Number(from) ? [{ kind: 'Rewound', from, to: resourceVersion }] : [];
    };
    const told = (resourceVersion: string): void => {
      if (Number(resourceVersion) > Number(newest)) newest = resourceVersion;
    };

    const connected = (): ReadonlyArray<Item<A>> => {
      if (isConnected) return [];
      isConnected = true;
      return [{ kind: 'Connected' }];
    };

    /** An object that is there; a rejected version is reported once. `bad` gathers the keys of rejected ones. */
    const seen = (object: unknown, bad?: Set<ObjectKey>): ReadonlyArray<Item<A>> => {
      const event = decodeObject(codec, object);
      if (event.kind === 'Apply') {
        rejected.delete(event.key);
        return [event];
      }
      bad?.add(event.key);
      if (rejected.get(event.key) === event.resourceVersion) return [];
      rejected.set(event.key, event.resourceVersion);
      return [event];
    };

    const list = (failures: number): Observable<Item<A>> =>
      defer(() => {
        const bad = new Set<ObjectKey>();
        const ask = (page: { continue?: string }): Observable<E.Either<EffectError, ListPage>> =>
          kube.list(resource, selection, { limit: pageLimit, ...page });

        const failed = (error: EffectError): ReadonlyArray<Item<A>> => {
          // The pages' snapshot is no longer kept: a new one is at hand.
          if (error.kind === 'Gone' && failures === 0) return [turn({ at: 'Listing', failures: 1 })];
          isConnected = false;
          const ms = backoffMs(failures, random(), backoff, error.retryAfterMs);
          return [
            { kind: 'Disconnected', error, retryInMs: ms },
            turn({ at: 'Waiting', ms, next: { at: 'Listing', failures: failures + 1 } }),
          ];
        };

        const done = ({ resourceVersion }: ListPage): ReadonlyArray<Item<A>> => {
          for (const key of rejected.keys()) if (!bad.has(key)) rejected.delete(key);
          return [{ kind: 'InitDone', resourceVersion }, turn({ at: 'Watching', resourceVersion, failures })];
        };

        return ask({}).pipe(
          expand((page) =>
            E.isRight(page) && page.right.continue !== undefined
              ? ask({ continue: page.right.continue })
              : EMPTY,
          ),
          concatMap((page, index) => {
            if (E.isLeft(page)) return from(failed(page.left));
            const begin: ReadonlyArray<Item<A>> =
              index === 0 ? [...connected(), ...listedAt(page.right.resourceVersion), { kind: 'Init' }] : [];
            return from([
              ...begin,
              ...page.right.items.flatMap((object) => seen(object, bad)),
              ...(page.right.continue === undefined ? done(page.right) : []),
            ]);
          }),
        );
      });

    const watch = (resourceVersion: string, failures: number): Observable<Item<A>> =>
      defer(() => {
        const openedAt = clock.now();
        let version = resourceVersion;
        let hasNews = false;
        let failure: EffectError | undefined;

        const changed = ({
          type,
          object,
        }: Exclude<WatchFrame, { type: 'BOOKMARK' }>): ReadonlyArray<Item<A>> => {
          const identity = identityOf(object);
          hasNews = true;
          version = identity?.resourceVersion ?? version;
          told(version);
          if (type !== 'DELETED' || identity === undefined) return seen(object);
          rejected.delete(identity.key);
          return [{ kind: 'Delete', ...identity }];
        };

        const received = (frame: E.Either<EffectError, WatchFrame>): ReadonlyArray<Item<A>> => {
          if (E.isLeft(frame)) {
            failure = frame.left;
            return [];
          }
          if (frame.right.type !== 'BOOKMARK') return [...connected(), ...changed(frame.right)];
          const { resourceVersion: marked } = frame.right;
          hasNews ||= marked !== version;
          version = marked;
          told(version);
          return connected();
        };

        /** Servers that let a watch wait for a version that they do not have yet still say by bookmarks where they are. */
        const isAhead = (frame: E.Either<EffectError, WatchFrame>): boolean => {
          if (E.isLeft(frame) || frame.right.type !== 'BOOKMARK') return true;
          const { resourceVersion: marked } = frame.right;
          if (Number(marked) >= Number(resourceVersion)) return true;
          failure = { kind: 'Gone', message: `the server is at ${marked} and was at ${resourceVersion}` };
          return false;
        };

        const ended = (): ReadonlyArray<Item<A>> => {
          const wasLive = hasNews || clock.now() - openedAt >= SETTLED_MS;
          const items = afterWatch({ resourceVersion: version, failure, failures, wasLive }, random, backoff);
          if (items.some(({ kind }) => kind === 'Disconnected')) isConnected = false;
          return items;
        };

        const timeoutSeconds = WATCH_SECONDS.least + Math.floor(random() * (WATCH_SECONDS.spread + 1));
        return concat(
          kube.watch(resource, selection, { resourceVersion, timeoutSeconds, idleMs }).pipe(
            takeWhile(isAhead),
            concatMap((frame) => from(received(frame))),
          ),
          defer(() => from(ended())),
        );
      });

    return runMachine<State, InformerEvent<A>>({ at: 'Listing', failures: 0 }, (state) => {
      switch (state.at) {
        case 'Listing':
          return list(state.failures);
        case 'Watching':
          return watch(state.resourceVersion, state.failures);
        case 'Waiting':
          return timer(state.ms, clock).pipe(map(() => turn(state.next)));
      }
    });
  });
