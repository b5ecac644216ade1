/**
 * Leader election: which of several processes acts?
 *
 * A Lease object names the holder, who renews it. Others take it over when it is released, or when they have seen no
 * change of it for its duration by their own clock; the times written into it are for people and never compared.
 *
 * Guarantees: no two processes lead at once, provided each asks `isStillLeading()` before it acts: a process that was
 * stopped for a while may act before it is told that it was deposed.
 * Errors: none on the error channel; an unreachable API makes a leader step down and a follower wait.
 * Needs get, list, watch, create and patch on the Lease.
 */
import * as E from 'fp-ts/lib/Either.js';
import {
  asyncScheduler,
  concat,
  concatMap,
  defaultIfEmpty,
  defer,
  distinctUntilChanged,
  EMPTY,
  endWith,
  filter,
  finalize,
  ignoreElements,
  map,
  merge,
  mergeMap,
  NEVER,
  type Observable,
  of,
  repeat,
  type SchedulerLike,
  switchMap,
  take,
  takeUntil,
  takeWhile,
  timer,
} from 'rxjs';

import type { EffectError } from '../../model/effect-error.js';
import { leases } from '../../model/resources.js';
import type { Effect, KubePort } from '../../ports.js';
import { decodeLease, type Lease, releasedSpec, renewedSpec, takenSpec } from './lease-object.js';

/** Who leads. `since` is milliseconds since the epoch, `uid` the Lease's; a `leader` that is unknown is undefined. */
export type Leadership =
  | Readonly<{ kind: 'Leading'; since: number; uid: string | undefined; isStillLeading: () => boolean }>
  | Readonly<{ kind: 'Following'; leader: string | undefined }>;

/** Times are those of client-go: a crashed leader is replaced after at most 15 s. */
export type LeaseOptions = Readonly<{
  namespace: string;
  name: string;
  /** Unique to this process: pod name and something random. */
  identity: string;
  leaseDurationMs?: number;
  /** A leader that could not renew for this long steps down; less than leaseDurationMs. */
  renewDeadlineMs?: number;
  retryPeriodMs?: number;
  clock?: SchedulerLike;
  /** Local time that no one sets. Counts while the process is stopped. */
  monotonicMs?: () => number;
  /** Releases the Lease and then completes. */
  until$?: Observable<unknown>;
}>;

type LeasePort = Pick<KubePort, 'get' | 'watch' | 'create' | 'patch'>;

type State =
  | Readonly<{ at: 'Looking'; afterMs: number }>
  | Readonly<{ at: 'Following'; lease: Lease }>
  | Readonly<{ at: 'Taking'; lease: Lease | undefined }>
  | Readonly<{ at: 'Leading'; hold: Hold }>;

type Turn = Readonly<{ kind: 'Turn'; to: State }>;
const turn = (to: State): Turn => ({ kind: 'Turn', to });

/** Our hold on the Lease: its version, and when the last renewal that succeeded was begun. */
type Hold = { readonly uid: string | undefined; resourceVersion: string; renewedMs: number };

const WATCH = { timeoutSeconds: 300, idleMs: 120_000 };

const leasesIn = (answer$: Effect<unknown>): Effect<Lease> =>
  answer$.pipe(map((answer) => (E.isLeft(answer) ? answer : decodeLease(answer.right))));

const sameLeadership = (a: Leadership, b: Leadership): boolean =>
  a.kind === 'Following' && b.kind === 'Following' && a.leader === b.leader;

/**
 * Who leads, from now on: an item whenever it changes. Unsubscribing releases the Lease without waiting for the
 * answer; `until$` is the way to wait for it.
 */
export const leadership = (
  kube: LeasePort,
  {
    namespace,
    name,
    identity,
    leaseDurationMs = 15_000,
    renewDeadlineMs = 10_000,
    retryPeriodMs = 2000,
    clock = asyncScheduler,
    monotonicMs = () => performance.now(),
    until$ = NEVER,
  }: LeaseOptions,
): Observable<Leadership> =>
  defer(() => {
    const ref = { namespace, name };
    let held: Hold | undefined;
    let observed = { resourceVersion: '', sinceMs: 0 };

    const holding = (): Readonly<{ identity: string; leaseDurationMs: number; nowMs: number }> => ({
      identity,
      leaseDurationMs,
      nowMs: clock.now(),
    });
    const get = (): Effect<Lease> => leasesIn(kube.get(leases, ref));
    const patch = (resourceVersion: string, spec: object): Effect<Lease> =>
      leasesIn(kube.patch(leases, ref, { type: 'merge', body: { metadata: { resourceVersion }, spec } }));

    /** Milliseconds until a Lease that does not change may be taken over. */
    const remainingMs = ({ resourceVersion, durationMs = leaseDurationMs }: Lease): number => {
      if (observed.resourceVersion !== resourceVersion)
        observed = { resourceVersion, sinceMs: monotonicMs() };
      return Math.max(0, observed.sinceMs + durationMs - monotonicMs());
    };

    const found = (lease: Lease): State =>
      lease.holder === '' || lease.holder === identity ? { at: 'Taking', lease } : { at: 'Following', lease };

    const looking = (afterMs: number): Observable<Turn> =>
      (afterMs === 0 ? of(0) : timer(afterMs, clock)).pipe(
        switchMap(get),
        map((lease) => {
          if (E.isRight(lease)) return turn(found(lease.right));
          return lease.left.kind === 'NotFound'
            ? turn({ at: 'Taking', lease: undefined })
            : turn({ at: 'Looking', afterMs: retryPeriodMs });
        }),
      );

    const taking = (lease: Lease | undefined): Observable<Turn> =>
      defer(() => {
        const begunMs = monotonicMs();
        const spec = takenSpec(holding(), lease);
        const body = {
          apiVersion: 'coordination.k8s.io/v1',
          kind: 'Lease',
          metadata: { namespace, name },
          spec,
        };
        const answer$ =
          lease === undefined
            ? leasesIn(kube.create(leases, namespace, body))
            : patch(lease.resourceVersion, spec);
        return answer$.pipe(
          map((answer) => {
            if (E.isLeft(answer))
              return turn({ at: 'Looking', afterMs: isOutrun(answer.left, lease) ? 0 : retryPeriodMs });
            const { uid, resourceVersion } = answer.right;
            return turn({ at: 'Leading', hold: { uid, resourceVersion, renewedMs: begunMs } });
          }),
        );
      });

    /** Changes of the Lease after `resourceVersion`; what follows when they end is a Turn. */
    const changes = (resourceVersion: string): Observable<Lease | Turn> =>
      kube
        .watch(leases, { namespace, fieldSelector: `metadata.name=${name}` }, { resourceVersion, ...WATCH })
        .pipe(
          mergeMap((frame): Observable<Lease | Turn> => {
            if (E.isLeft(frame))
              return of(turn({ at: 'Looking', afterMs: frame.left.kind === 'Gone' ? 0 : retryPeriodMs }));
            if (frame.right.type === 'BOOKMARK') return EMPTY;
            if (frame.right.type === 'DELETED') return of(turn({ at: 'Taking', lease: undefined }));
            const lease = decodeLease(frame.right.object);
            return E.isRight(lease) ? of(lease.right) : EMPTY;
          }),
          endWith(turn({ at: 'Looking', afterMs: 0 })),
        );

    const following = (first: Lease): Observable<Leadership | Turn> =>
      concat(of(first), changes(first.resourceVersion)).pipe(
        switchMap((item): Observable<Leadership | Turn> => {
          if ('kind' in item) return of(item);
          const next = found(item);
          if (next.at !== 'Following') return of(turn(next));
          return merge(
            of<Leadership>({ kind: 'Following', leader: item.holder }),
            timer(remainingMs(item), clock).pipe(map(() => turn({ at: 'Taking', lease: item }))),
          );
        }),
        takeWhile(({ kind }) => kind !== 'Turn', true),
      );

    /** One renewal: whether we still hold the Lease. */
    const renew = (hold: Hold): Observable<boolean> =>
      defer(() => {
        const begunMs = monotonicMs();
        // Awake after a stop: the Lease may be another's by now.
        if (begunMs - hold.renewedMs >= renewDeadlineMs) return of(false);
        return patch(hold.resourceVersion, renewedSpec(holding())).pipe(
          switchMap((answer) => {
            if (E.isRight(answer)) {
              hold.resourceVersion = answer.right.resourceVersion;
              hold.renewedMs = begunMs;
              return of(true);
            }
            if (answer.left.kind === 'NotFound') return of(false);
            if (answer.left.kind !== 'Conflict') return of(true);
            // Somebody wrote to it; perhaps only a label.
            return get().pipe(
              map((lease) => {
                if (E.isLeft(lease)) return lease.left.kind !== 'NotFound';
                hold.resourceVersion = lease.right.resourceVersion;
                return lease.right.holder === identity;
              }),
            );
          }),
        );
      });

    const leading = (hold: Hold): Observable<Leadership | Turn> =>
      defer(() => {
        held = hold;
        const isStillLeading = (): boolean =>
          held === hold && monotonicMs() - hold.renewedMs < renewDeadlineMs;
        const renewal$ = defer(() =>
          timer(retryPeriodMs, clock).pipe(
            switchMap(() => renew(hold)),
            takeUntil(timer(Math.max(0, hold.renewedMs + renewDeadlineMs - monotonicMs()), clock)),
            defaultIfEmpty(false),
          ),
        );
        return concat(
          of<Leadership>({ kind: 'Leading', since: clock.now(), uid: hold.uid, isStillLeading }),
          renewal$.pipe(
            repeat(),
            filter((isHeld) => !isHeld),
            take(1),
            concatMap((): ReadonlyArray<Leadership | Turn> => {
              held = undefined;
              return [{ kind: 'Following', leader: undefined }, turn({ at: 'Looking', afterMs: 0 })];
            }),
          ),
        );
      });

    const step = (state: State): Observable<Leadership | Turn> => {
      switch (state.at) {
        case 'Looking':
          return looking(state.afterMs);
        case 'Following':
          return following(state.lease);
        case 'Taking':
          return taking(state.lease);
        case 'Leading':
          return leading(state.hold);
      }
    };

    let state: State = { at: 'Looking', afterMs: 0 };
    const machine$ = defer(() => step(state)).pipe(
      filter((item): item is Leadership => {
        if (item.kind === 'Turn') state = item.to;
        return item.kind !== 'Turn';
      }),
      repeat(),
    );

    /** Gives up what we hold. A renewal that was cut off may have moved the version: then once more. */
    const release$ = defer((): Observable<unknown> => {
      const hold = held;
      held = undefined;
      if (hold === undefined) return EMPTY;
      const giveUp = (resourceVersion: string): Effect<Lease> =>
        patch(resourceVersion, releasedSpec(clock.now()));
      return giveUp(hold.resourceVersion).pipe(
        switchMap((answer) => {
          if (E.isRight(answer) || answer.left.kind !== 'Conflict') return EMPTY;
          return get().pipe(
            switchMap((lease) =>
              E.isRight(lease) && lease.right.holder === identity
                ? giveUp(lease.right.resourceVersion)
                : EMPTY,
            ),
          );
        }),
      );
    });

    return concat(
      machine$.pipe(distinctUntilChanged(sameLeadership), takeUntil(until$)),
      release$.pipe(ignoreElements()),
    ).pipe(
      finalize(() => {
        release$.subscribe();
      }),
    );
  });

/** Somebody else was quicker: look again at once. A create that is NotFound lacks its namespace, which takes time. */
const isOutrun = ({ kind }: EffectError, lease: Lease | undefined): boolean =>
  kind === 'Conflict' || kind === 'AlreadyExists' || (kind === 'NotFound' && lease !== undefined);
