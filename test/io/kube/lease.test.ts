import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import {
  defer,
  delay,
  filter,
  interval,
  map,
  type Observable,
  of,
  Subject,
  takeUntil,
  tap,
  timer,
} from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';

import { type Leadership, type LeaseOptions, leadership } from '../../../src/io/kube/lease.js';
import type { EffectError } from '../../../src/model/effect-error.js';
import type { Effect, KubePort, WatchFrame } from '../../../src/ports.js';
import { marbles } from '../../support/marbles.js';

type LeasePort = Pick<KubePort, 'get' | 'watch' | 'create' | 'patch'>;
type Spec = Record<string, unknown>;
type Stored = Readonly<{ metadata: Readonly<{ resourceVersion: string }>; spec: Spec }>;

const ANSWER_MS = 1;
const fail = (kind: EffectError['kind']): E.Either<EffectError, never> => E.left({ kind, message: kind });

/** One Lease as a server holds it, answering after 1 ms; several ports may share it and be cut off from it. */
const leaseServer = (clock: TestScheduler) => {
  let stored: Stored | undefined;
  let version = 0;
  const frames$ = new Subject<WatchFrame>();
  const writes: Array<Readonly<{ atMs: number; holder: unknown }>> = [];

  const put = (spec: Spec): Stored => {
    version += 1;
    const type = stored === undefined ? 'ADDED' : 'MODIFIED';
    stored = { metadata: { resourceVersion: String(version) }, spec: { ...stored?.spec, ...spec } };
    writes.push({ atMs: clock.now(), holder: spec.holderIdentity });
    frames$.next({ type, object: stored });
    return stored;
  };
  const answer = (decide: () => E.Either<EffectError, unknown>, isCut: () => boolean): Effect<unknown> =>
    defer(() => of(isCut() ? fail('Unavailable') : decide())).pipe(delay(ANSWER_MS, clock));

  const port = (isCut: () => boolean = () => false): LeasePort => ({
    get: () => answer(() => (stored === undefined ? fail('NotFound') : E.right(stored)), isCut),
    create: (_resource, _namespace, body) =>
      answer(
        () => (stored === undefined ? E.right(put((body as Stored).spec)) : fail('AlreadyExists')),
        isCut,
      ),
    patch: (_resource, _ref, patch) =>
      answer(() => {
        const { metadata, spec } = patch.body as Stored;
        if (stored === undefined) return fail('NotFound');
        return metadata.resourceVersion === stored.metadata.resourceVersion
          ? E.right(put(spec))
          : fail('Conflict');
      }, isCut),
    watch: () =>
      frames$.pipe(
        filter(() => !isCut()),
        map((frame) => E.right(frame)),
        delay(ANSWER_MS, clock),
      ),
  });
  return { port, put, writes, holder: () => stored?.spec.holderIdentity };
};

const options = (clock: TestScheduler, identity: string, over: Partial<LeaseOptions> = {}): LeaseOptions => ({
  namespace: 'kruntimes',
  name: 'operator',
  identity,
  clock,
  monotonicMs: () => clock.now(),
  ...over,
});

/** A Leadership as text. */
const told = (leadership$: Observable<Leadership>): Observable<string> =>
  leadership$.pipe(map((item) => (item.kind === 'Leading' ? 'leading' : `following ${item.leader}`)));

describe('leadership', () => {
  it('creates the Lease, leads, and renews every 2 s', () =>
    marbles(({ expectObservable, flush }, clock) => {
      const server = leaseServer(clock);
      expectObservable(told(leadership(server.port(), options(clock, 'a'))), '^ 4999ms !').toBe('2ms l', {
        l: 'leading',
      });
      flush();
      expect(server.writes).to.deep.equal([
        { atMs: 1, holder: 'a' },
        { atMs: 2002, holder: 'a' },
        { atMs: 4003, holder: 'a' },
        { atMs: 5000, holder: '' },
      ]);
    }));

  it('follows a leader and takes over as soon as the Lease is released', () =>
    marbles(({ expectObservable }, clock) => {
      const server = leaseServer(clock);
      expectObservable(told(leadership(server.port(), options(clock, 'a'))), '^ 4999ms !').toBe('2ms l', {
        l: 'leading',
      });
      expectObservable(told(leadership(server.port(), options(clock, 'b'))), '100ms ^ 9s !').toBe(
        '101ms f 4900ms l',
        { f: 'following a', l: 'leading' },
      );
    }));

  it('steps down when it cannot renew for 10 s; another leads 15 s after the last renewal it saw', () =>
    marbles(({ expectObservable }, clock) => {
      const server = leaseServer(clock);
      const isCut = (): boolean => clock.now() > 5000;
      // Renewed last at 4003 ms; seen by the other at 4004.
      expectObservable(told(leadership(server.port(isCut), options(clock, 'a'))), '^ 30s !').toBe(
        '2ms l 14s f',
        { l: 'leading', f: 'following undefined' },
      );
      expectObservable(told(leadership(server.port(), options(clock, 'b'))), '100ms ^ 30s !').toBe(
        '101ms f 18903ms l',
        { f: 'following a', l: 'leading' },
      );
    }));

  it('never has two leaders, whichever of three is cut off when', () =>
    marbles(({ flush }, clock) => {
      const server = leaseServer(clock);
      const isLeading = new Map<string, () => boolean>();
      const heard: string[] = [];
      for (const [i, identity] of ['a', 'b', 'c'].entries()) {
        // Cut off for 20 s of every 61, each at another time.
        const isCut = (): boolean => (clock.now() + i * 20_000) % 61_000 < 20_000;
        leadership(server.port(isCut), options(clock, identity))
          .pipe(takeUntil(timer(240_000, clock)))
          .subscribe((item) => {
            if (item.kind === 'Leading') heard.push(identity);
            isLeading.set(identity, item.kind === 'Leading' ? item.isStillLeading : () => false);
          });
      }
      let most = 0;
      let led = 0;
      interval(500, clock)
        .pipe(
          takeUntil(timer(240_000, clock)),
          tap(() => {
            const leaders = [...isLeading.values()].filter((ask) => ask()).length;
            most = Math.max(most, leaders);
            led += leaders;
          }),
        )
        .subscribe();
      flush();
      expect(most).to.equal(1);
      expect(new Set(heard)).to.deep.equal(new Set(['a', 'b', 'c']));
      expect(led / 480).to.be.greaterThan(0.5);
    }));

  it('knows at once after a stop of the process that it may be deposed', () =>
    marbles(({ flush }, clock) => {
      const server = leaseServer(clock);
      let stoppedMs = 0;
      const seen: Leadership[] = [];
      const asked: boolean[] = [];
      leadership(server.port(), options(clock, 'a', { monotonicMs: () => clock.now() + stoppedMs }))
        .pipe(takeUntil(timer(4000, clock)))
        .subscribe((item) => seen.push(item));
      timer(1000, clock).subscribe(() => {
        const [first] = seen;
        if (first?.kind !== 'Leading') throw new Error('not leading');
        asked.push(first.isStillLeading());
        stoppedMs = 20_000;
        asked.push(first.isStillLeading());
      });
      flush();
      expect(asked).to.deep.equal([true, false]);
      expect(seen.map(({ kind }) => kind)).to.deep.equal(['Leading', 'Following', 'Leading']);
      // The renewal that came due after the stop was not sent; the Lease was taken anew.
      expect(server.writes.map(({ atMs }) => atMs)).to.deep.equal([1, 2003, 4000]);
    }));

  it('goes on leading when somebody else writes a label', () =>
    marbles(({ expectObservable, flush }, clock) => {
      const server = leaseServer(clock);
      timer(3000, clock).subscribe(() => server.put({}));
      expectObservable(told(leadership(server.port(), options(clock, 'a'))), '^ 29999ms !').toBe('2ms l', {
        l: 'leading',
      });
      flush();
      expect(server.holder()).to.equal('');
    }));

  it('stops leading when another has taken the Lease', () =>
    marbles(({ expectObservable }, clock) => {
      const server = leaseServer(clock);
      timer(3000, clock).subscribe(() => server.put({ holderIdentity: 'thief', leaseDurationSeconds: 15 }));
      // The renewal of 4003 ms conflicts; a look shows the thief, and a second one his version.
      expectObservable(told(leadership(server.port(), options(clock, 'a'))), '^ 9999ms !').toBe(
        '2ms l 4002ms u t',
        { l: 'leading', u: 'following undefined', t: 'following thief' },
      );
    }));

  it('asks again every 2 s while the API is away', () =>
    marbles(({ expectObservable }, clock) => {
      const server = leaseServer(clock);
      const isCut = (): boolean => clock.now() < 5000;
      expectObservable(told(leadership(server.port(isCut), options(clock, 'a'))), '^ 9999ms !').toBe(
        '6005ms l',
        { l: 'leading' },
      );
    }));

  it('waits between tries when the namespace is not there', () =>
    marbles(({ flush }, clock) => {
      let creates = 0;
      const port: LeasePort = {
        ...leaseServer(clock).port(),
        create: () =>
          defer(() => {
            creates += 1;
            return of(fail('NotFound'));
          }),
      };
      leadership(port, options(clock, 'a'))
        .pipe(takeUntil(timer(10_000, clock)))
        .subscribe();
      flush();
      expect(creates).to.equal(5);
    }));

  it('releases and then completes when it is told to end', () =>
    marbles(({ expectObservable, flush }, clock) => {
      const server = leaseServer(clock);
      expectObservable(
        told(leadership(server.port(), options(clock, 'a', { until$: timer(1000, clock) }))),
      ).toBe('2ms l 998ms |', { l: 'leading' });
      flush();
      expect(server.holder()).to.equal('');
    }));
});
