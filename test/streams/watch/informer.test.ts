import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import type { Observable } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';

import type { EffectError } from '../../../src/model/effect-error.js';
import { objectKey } from '../../../src/model/ids.js';
import { runs } from '../../../src/model/resources.js';
import type { KubePort, ListPage, WatchFrame } from '../../../src/ports.js';
import { type InformerOptions, informer } from '../../../streams/watch/informer.js';
import type { InformerEvent } from '../../../streams/watch/informer-events.js';
import { marbles } from '../../support/marbles.js';

type Thing = Readonly<{ n: number }>;
const Thing = t.type({ n: t.number });

const object = (name: string, resourceVersion: string, n: unknown = 0): unknown => ({
  metadata: { namespace: 'd', name, resourceVersion },
  n,
});
const page = (resourceVersion: string, items: ReadonlyArray<unknown>, more?: string): Page =>
  E.right({ resourceVersion, items, ...(more === undefined ? {} : { continue: more }) });
const failure = (kind: EffectError['kind'], extra: Partial<EffectError> = {}): E.Either<EffectError, never> =>
  E.left({ kind, message: kind, ...extra });
const frame = (type: 'ADDED' | 'MODIFIED' | 'DELETED', o: unknown): Frame => E.right({ type, object: o });
const bookmark = (resourceVersion: string): Frame => E.right({ type: 'BOOKMARK', resourceVersion });

const connected: InformerEvent<Thing> = { kind: 'Connected' };
const init: InformerEvent<Thing> = { kind: 'Init' };
const initDone = (resourceVersion: string): InformerEvent<Thing> => ({ kind: 'InitDone', resourceVersion });
const apply = (name: string, resourceVersion: string, n = 0): InformerEvent<Thing> => ({
  kind: 'Apply',
  key: objectKey('d', name),
  resourceVersion,
  object: object(name, resourceVersion, n) as Thing,
});
const gone = (name: string, resourceVersion: string): InformerEvent<Thing> => ({
  kind: 'Delete',
  key: objectKey('d', name),
  resourceVersion,
});
const rejected = (name: string, resourceVersion: string): InformerEvent<Thing> => ({
  kind: 'Rejected',
  key: objectKey('d', name),
  resourceVersion,
  paths: ['n'],
});
const disconnected = (
  kind: EffectError['kind'],
  retryInMs: number,
  extra: Partial<EffectError> = {},
): InformerEvent<Thing> => ({ kind: 'Disconnected', error: { kind, message: kind, ...extra }, retryInMs });

type Page = E.Either<EffectError, ListPage>;
type Frame = E.Either<EffectError, WatchFrame>;
type Call = Readonly<{ list: string | undefined }> | Readonly<{ watch: string }>;

/** A port whose n-th list and n-th watch are the given cold streams; a call beyond them is a failed test. */
const port = (
  lists: ReadonlyArray<Observable<Page>>,
  watches: ReadonlyArray<Observable<Frame>>,
): Pick<KubePort, 'list' | 'watch'> & Readonly<{ calls: Call[] }> => {
  const calls: Call[] = [];
  const left = { lists: [...lists], watches: [...watches] };
  return {
    calls,
    list: (_resource, _selection, options) => {
      calls.push({ list: options?.continue });
      const next = left.lists.shift();
      if (next === undefined) throw new Error('one list too many');
      return next;
    },
    watch: (_resource, _selection, { resourceVersion }) => {
      calls.push({ watch: resourceVersion });
      const next = left.watches.shift();
      if (next === undefined) throw new Error('one watch too many');
      return next;
    },
  };
};

/** Backoffs without jitter: 100, 200, 400, ... ms. */
const options: InformerOptions = { random: () => 0 };

const start = (
  kube: Pick<KubePort, 'list' | 'watch'>,
  clock: TestScheduler,
  over: Partial<InformerOptions> = {},
): Observable<InformerEvent<Thing>> =>
  informer(kube, runs, { namespace: 'd' }, Thing, { ...options, clock, ...over });

// A group such as (cid) takes as many milliseconds of a marble line as it has characters, brackets included.
describe('informer', () => {
  it('says nothing while the list does not answer, and leaves it when unsubscribed', () =>
    marbles(({ cold, expectObservable, expectSubscriptions }, clock) => {
      const list = cold<Page>('-');
      expectObservable(start(port([list], []), clock), '^ 9ms !').toBe('-');
      expectSubscriptions(list.subscriptions).toBe('    ^ 9ms !');
    }));

  it('lists nothing and stays in its watch until unsubscribed', () =>
    marbles(({ cold, expectObservable, expectSubscriptions }, clock) => {
      const list = cold<Page>(' 10ms (p|)', { p: page('7', []) });
      const watch = cold<Frame>('-');
      expectObservable(start(port([list], [watch]), clock), '^ 99ms !').toBe('10ms (cid)', {
        c: connected,
        i: init,
        d: initDone('7'),
      });
      expectSubscriptions(list.subscriptions).toBe(' ^ 9ms !');
      expectSubscriptions(watch.subscriptions).toBe('10ms ^ 89ms !');
    }));

  it('lists one object and follows its changes from the list on', () =>
    marbles(({ cold, expectObservable, flush }, clock) => {
      const list = cold<Page>('   10ms (p|)', { p: page('7', [object('a', '3')]) });
      const watch = cold<Frame>(' 20ms m 19ms d', {
        m: frame('MODIFIED', object('a', '8', 1)),
        d: frame('DELETED', object('a', '9', 1)),
      });
      const kube = port([list], [watch]);
      expectObservable(start(kube, clock)).toBe('10ms (ciad) 14ms m 19ms x', {
        c: connected,
        i: init,
        a: apply('a', '3'),
        d: initDone('7'),
        m: apply('a', '8', 1),
        x: gone('a', '9'),
      });
      flush();
      expect(kube.calls).to.deep.equal([{ list: undefined }, { watch: '7' }]);
    }));

  it('asks for one page after the other', () =>
    marbles(({ cold, expectObservable, flush }, clock) => {
      const first = cold<Page>('  10ms (p|)', { p: page('7', [object('a', '3')], 'more') });
      const second = cold<Page>('      10ms (p|)', { p: page('7', [object('b', '4')]) });
      const kube = port([first, second], [cold<Frame>('-')]);
      expectObservable(start(kube, clock)).toBe('10ms (cia) 5ms (bd)', {
        c: connected,
        i: init,
        a: apply('a', '3'),
        b: apply('b', '4'),
        d: initDone('7'),
      });
      flush();
      expect(kube.calls).to.deep.equal([{ list: undefined }, { list: 'more' }, { watch: '7' }]);
    }));

  it('begins the list anew, at once, when its pages are no longer kept', () =>
    marbles(({ cold, expectObservable, flush }, clock) => {
      const first = cold<Page>('  10ms (p|)', { p: page('7', [object('a', '3')], 'more') });
      const second = cold<Page>('      10ms (g|)', { g: failure('Gone') });
      const third = cold<Page>('            10ms (p|)', { p: page('9', []) });
      const kube = port([first, second, third], [cold<Frame>('-')]);
      expectObservable(start(kube, clock)).toBe('10ms (cia) 15ms (id)', {
        c: connected,
        i: init,
        a: apply('a', '3'),
        d: initDone('9'),
      });
      flush();
      expect(kube.calls).to.deep.equal([
        { list: undefined },
        { list: 'more' },
        { list: undefined },
        { watch: '9' },
      ]);
    }));

  it('retries a failed list after growing delays, or later if the server asks for it', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const failed = cold<Page>('(f|)', { f: failure('Unavailable') });
      const busy = cold<Page>('(f|)', { f: failure('Unavailable', { retryAfterMs: 5000 }) });
      const list = cold<Page>('(p|)', { p: page('7', []) });
      const kube = port([failed, failed, failed, busy, list], [cold<Frame>('-')]);
      // Tries at 0, 100, 300, 700 and 5700 ms.
      expectObservable(start(kube, clock)).toBe('a 99ms b 199ms c 399ms e 4999ms (xid)', {
        a: disconnected('Unavailable', 100),
        b: disconnected('Unavailable', 200),
        c: disconnected('Unavailable', 400),
        e: disconnected('Unavailable', 5000, { retryAfterMs: 5000 }),
        x: connected,
        i: init,
        d: initDone('7'),
      });
    }));

  it('resumes a closed watch at once from the last version, which bookmarks advance', () =>
    marbles(({ cold, expectObservable, flush }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', []) });
      const first = cold<Frame>('  b 9ms (a|)', { b: bookmark('7'), a: frame('ADDED', object('a', '8')) });
      const second = cold<Frame>('         b 49ms (k|)', { b: bookmark('8'), k: bookmark('20') });
      const third = cold<Frame>('                      -');
      const kube = port([list], [first, second, third]);
      expectObservable(start(kube, clock)).toBe('(cid) 5ms a', {
        c: connected,
        i: init,
        d: initDone('7'),
        a: apply('a', '8'),
      });
      flush();
      expect(kube.calls).to.deep.equal([
        { list: undefined },
        { watch: '7' },
        { watch: '8' },
        { watch: '20' },
      ]);
    }));

  it('resumes a failed watch after a delay that grows until something good happens', () =>
    marbles(({ cold, expectObservable, expectSubscriptions, flush }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', []) });
      const first = cold<Frame>(' 50ms (f|)', { f: failure('Timeout') });
      const second = cold<Frame>('(f|)', { f: failure('Unavailable') });
      const third = cold<Frame>(' b 9ms a 9ms (f|)', {
        b: bookmark('7'),
        a: frame('ADDED', object('a', '8')),
        f: failure('Unavailable'),
      });
      const fourth = cold<Frame>('b', { b: bookmark('8') });
      const kube = port([list], [first, second, third, fourth]);
      expectObservable(start(kube, clock)).toBe('(cid) 45ms t 99ms u 199ms c 9ms a 9ms v 99ms c', {
        c: connected,
        i: init,
        d: initDone('7'),
        t: disconnected('Timeout', 100),
        u: disconnected('Unavailable', 200),
        a: apply('a', '8'),
        v: disconnected('Unavailable', 100),
      });
      expectSubscriptions(third.subscriptions).toBe('350ms ^ 19ms !');
      expectSubscriptions(fourth.subscriptions).toBe('470ms ^');
      flush();
      expect(kube.calls).to.deep.equal([
        { list: undefined },
        { watch: '7' },
        { watch: '7' },
        { watch: '7' },
        { watch: '8' },
      ]);
    }));

  it('counts a watch that was quiet for 5 s as a good one', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', []) });
      const broken = cold<Frame>('(f|)', { f: failure('Unavailable') });
      const quiet = cold<Frame>('b 4999ms (f|)', { b: bookmark('7'), f: failure('Unavailable') });
      const kube = port([list], [broken, broken, quiet, cold<Frame>('-')]);
      expectObservable(start(kube, clock)).toBe('(cidt) 94ms u 199ms c 4999ms t', {
        c: connected,
        i: init,
        d: initDone('7'),
        t: disconnected('Unavailable', 100),
        u: disconnected('Unavailable', 200),
      });
    }));

  it('counts a bookmark of a newer version as something good', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', []) });
      const broken = cold<Frame>('(f|)', { f: failure('Unavailable') });
      const marked = cold<Frame>('b 9ms k 9ms (f|)', {
        b: bookmark('7'),
        k: bookmark('9'),
        f: failure('Unavailable'),
      });
      expectObservable(start(port([list], [broken, broken, marked, cold<Frame>('-')]), clock)).toBe(
        '(cidt) 94ms u 199ms c 19ms t',
        {
          c: connected,
          i: init,
          d: initDone('7'),
          t: disconnected('Unavailable', 100),
          u: disconnected('Unavailable', 200),
        },
      );
    }));

  it('lists again at once when the watch is told that its version is gone', () =>
    marbles(({ cold, expectObservable, flush }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', [object('a', '3')]) });
      const first = cold<Frame>('100ms (g|)', { g: failure('Gone') });
      const again = cold<Page>('10ms (p|)', { p: page('90', [object('b', '80')]) });
      const kube = port([list, again], [first, cold<Frame>('-')]);
      expectObservable(start(kube, clock)).toBe('(ciad) 104ms (ibe)', {
        c: connected,
        i: init,
        a: apply('a', '3'),
        d: initDone('7'),
        b: apply('b', '80'),
        e: initDone('90'),
      });
      flush();
      expect(kube.calls).to.deep.equal([
        { list: undefined },
        { watch: '7' },
        { list: undefined },
        { watch: '90' },
      ]);
    }));

  it('says that the server went back when a list is at an earlier version than was seen', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', [object('a', '3')]) });
      const first = cold<Frame>('50ms m 49ms (g|)', {
        m: frame('MODIFIED', object('a', '90', 1)),
        g: failure('Gone'),
      });
      const restored = cold<Page>('10ms (p|)', { p: page('40', [object('a', '3')]) });
      const kube = port([list, restored], [first, cold<Frame>('-')]);
      expectObservable(start(kube, clock)).toBe('(ciad) 44ms m 59ms (riae)', {
        c: connected,
        i: init,
        a: apply('a', '3'),
        d: initDone('7'),
        m: apply('a', '90', 1),
        r: { kind: 'Rewound', from: '90', to: '40' },
        e: initDone('40'),
      });
    }));

  it('lists again when a bookmark says that the server is behind where the watch began', () =>
    marbles(({ cold, expectObservable, expectSubscriptions }, clock) => {
      const list = cold<Page>('(p|)', { p: page('70', []) });
      const waiting = cold<Frame>('50ms b', { b: bookmark('40') });
      const restored = cold<Page>('10ms (p|)', { p: page('41', []) });
      const kube = port([list, restored], [waiting, cold<Frame>('-')]);
      expectObservable(start(kube, clock)).toBe('(cid) 55ms (rie)', {
        c: connected,
        i: init,
        d: initDone('70'),
        r: { kind: 'Rewound', from: '70', to: '41' },
        e: initDone('41'),
      });
      expectSubscriptions(waiting.subscriptions).toBe('^ 49ms !');
    }));

  it('waits between lists when every watch is told that its version is gone', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', []) });
      const expired = cold<Frame>('(g|)', { g: failure('Gone') });
      const kube = port([list, list, list, list], [expired, expired, expired, cold<Frame>('-')]);
      expectObservable(start(kube, clock)).toBe('(cidide) 92ms (cidf) 194ms (cid)', {
        c: connected,
        i: init,
        d: initDone('7'),
        e: disconnected('Gone', 100),
        f: disconnected('Gone', 200),
      });
    }));

  it('waits between watches that close as soon as they are open', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', []) });
      const closed = cold<Frame>('(b|)', { b: bookmark('7') });
      const kube = port([list], [closed, closed, closed, cold<Frame>('-')]);
      const error = {
        kind: 'Unavailable',
        message: 'the API server closes the watch as soon as it is open',
      } as const;
      expectObservable(start(kube, clock)).toBe('(cide) 94ms (cf)', {
        c: connected,
        i: init,
        d: initDone('7'),
        e: { kind: 'Disconnected', error, retryInMs: 100 },
        f: { kind: 'Disconnected', error, retryInMs: 200 },
      });
    }));

  it('rejects a bad object once per version, also across lists, while others go on', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', [object('bad', '3', 'x'), object('a', '4')]) });
      const first = cold<Frame>('50ms m 9ms n 9ms (g|)', {
        m: frame('MODIFIED', object('bad', '8', 'x')),
        n: frame('MODIFIED', object('bad', '8', 'x')),
        g: failure('Gone'),
      });
      const again = cold<Page>('(p|)', { p: page('9', [object('bad', '8', 'x'), object('a', '4')]) });
      const second = cold<Frame>('20ms n 29ms g', {
        n: frame('MODIFIED', object('bad', '8', 'x')),
        g: frame('MODIFIED', object('bad', '10', 5)),
      });
      expectObservable(start(port([list, again], [first, second]), clock)).toBe(
        '(ciraD) 43ms s 19ms (iaE) 45ms g',
        {
          c: connected,
          i: init,
          r: rejected('bad', '3'),
          a: apply('a', '4'),
          D: initDone('7'),
          s: rejected('bad', '8'),
          E: initDone('9'),
          g: apply('bad', '10', 5),
        },
      );
    }));

  it('rejects again an object that was away in between', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', [object('bad', '3', 'x')]) });
      const watch = cold<Frame>('50ms d 9ms m', {
        d: frame('DELETED', object('bad', '3', 'x')),
        m: frame('ADDED', object('bad', '3', 'x')),
      });
      expectObservable(start(port([list], [watch]), clock)).toBe('(cird) 44ms x 9ms r', {
        c: connected,
        i: init,
        r: rejected('bad', '3'),
        d: initDone('7'),
        x: gone('bad', '3'),
      });
    }));

  it('stops in the middle of a backoff', () =>
    marbles(({ cold, expectObservable, flush }, clock) => {
      const kube = port([cold<Page>('(f|)', { f: failure('Forbidden') })], []);
      expectObservable(start(kube, clock), '^ 50ms !').toBe('f', { f: disconnected('Forbidden', 100) });
      flush();
      expect(kube.calls).to.deep.equal([{ list: undefined }]);
    }));

  it('stops between two pages', () =>
    marbles(({ cold, expectObservable, expectSubscriptions }, clock) => {
      const first = cold<Page>(' 10ms (p|)', { p: page('7', [], 'more') });
      const second = cold<Page>('-');
      expectObservable(start(port([first, second], []), clock), '^ 49ms !').toBe('10ms (ci)', {
        c: connected,
        i: init,
      });
      expectSubscriptions(second.subscriptions).toBe('10ms ^ 39ms !');
    }));

  it('is a machine of its own for each subscriber', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const list = cold<Page>('(p|)', { p: page('7', [object('bad', '3', 'x')]) });
      const watch = cold<Frame>('-');
      const events$ = start(port([list, list], [watch, watch]), clock);
      const said = { c: connected, i: init, r: rejected('bad', '3'), d: initDone('7') };
      expectObservable(events$).toBe('(cird)', said);
      expectObservable(events$, '20ms ^').toBe('20ms (cird)', said);
    }));

  it('asks for watches of 240 to 480 s, with the limits given', () =>
    marbles(({ cold, expectObservable, flush }, clock) => {
      const asked: unknown[] = [];
      const pages: unknown[] = [];
      const kube: Pick<KubePort, 'list' | 'watch'> = {
        list: (_resource, selection, page) => {
          pages.push({ selection, page });
          return cold<Page>('(p|)', { p: E.right({ resourceVersion: '7', items: [] }) });
        },
        watch: (_resource, _selection, given) => {
          asked.push(given);
          return cold<Frame>('-');
        },
      };
      for (const random of [0, 0.5, 0.9999])
        expectObservable(
          start(kube, clock, { random: () => random, idleMs: 77, pageLimit: 5 }),
          '^ 9ms !',
        ).toBe('(cid)', { c: connected, i: init, d: initDone('7') });
      flush();
      const times = { resourceVersion: '7', idleMs: 77 };
      expect(asked).to.deep.equal([240, 360, 480].map((timeoutSeconds) => ({ ...times, timeoutSeconds })));
      expect(pages[0]).to.deep.equal({ selection: { namespace: 'd' }, page: { limit: 5 } });
    }));
});
