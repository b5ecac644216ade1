// The cache is a fold:
// - after any sequence of events it holds what a list of the end state would put there;
// - its changes, replayed, lead from the cache before to the cache after;
// - events of different keys commute;
// - repeating an event changes nothing, and a list repairs whatever was dropped before it.
import { expect } from 'chai';
import fc from 'fast-check';

import { type ObjectKey, objectKey } from '../../../src/model/ids.js';
import {
  applyEvent,
  type Cache,
  type Change,
  cached,
  cachedObjects,
  cacheSize,
  emptyCache,
} from '../../../streams/cache/apply-event.js';
import type { InformerEvent } from '../../../streams/watch/informer-events.js';

type Thing = Readonly<{ name: string; version: number }>;
type Event = InformerEvent<Thing>;

const names = ['a', 'b', 'c', 'd', 'e'];
const thing = (name: string, version: number): Thing => ({ name, version });
const apply = (name: string, version: number): Event => ({
  kind: 'Apply',
  key: objectKey('n', name),
  resourceVersion: String(version),
  object: thing(name, version),
});
const drop = (name: string, version: number): Event => ({
  kind: 'Delete',
  key: objectKey('n', name),
  resourceVersion: String(version),
});
const reject = (name: string, version: number): Event => ({
  kind: 'Rejected',
  key: objectKey('n', name),
  resourceVersion: String(version),
  paths: ['x'],
});
const listing = (things: Iterable<Thing>): ReadonlyArray<Event> => [
  { kind: 'Init' },
  ...[...things].map(({ name, version }) => apply(name, version)),
  { kind: 'InitDone', resourceVersion: '1' },
];

const fold = (
  events: ReadonlyArray<Event>,
  from: Cache<Thing> = emptyCache<Thing>(),
): Readonly<{ cache: Cache<Thing>; changes: ReadonlyArray<Change<Thing>> }> => {
  let cache = from;
  const changes: Change<Thing>[] = [];
  for (const event of events) {
    const applied = applyEvent(cache, event);
    cache = applied.cache;
    changes.push(...applied.changes);
  }
  return { cache, changes };
};
const contents = (cache: Cache<Thing>): ReadonlyArray<Thing> => [...cachedObjects(cache)];
const synced = fold(listing([])).cache;

/** What a server holds, and the events of it that a watch would tell: versions only grow. */
const history = fc
  .array(fc.record({ name: fc.constantFrom(...names), what: fc.constantFrom('put', 'remove', 'spoil') }), {
    maxLength: 40,
  })
  .map((steps) => {
    const there = new Map<string, Thing>();
    const events = steps.map(({ name, what }, i): Event => {
      const version = i + 1;
      if (what === 'put') {
        there.set(name, thing(name, version));
        return apply(name, version);
      }
      there.delete(name);
      return what === 'remove' ? drop(name, version) : reject(name, version);
    });
    const end = [...there.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return { events, end };
  });

describe('applyEvent', () => {
  it('leads to what a list of the end state would give', () => {
    fc.assert(
      fc.property(history, ({ events, end }) => {
        expect(contents(fold(events, synced).cache)).to.deep.equal(contents(fold(listing(end)).cache));
        expect(contents(fold(events, synced).cache)).to.deep.equal(end);
      }),
    );
  });

  it('yields changes that lead from the cache before to the cache after', () => {
    fc.assert(
      fc.property(history, history, (first, second) => {
        const before = fold(first.events, synced).cache;
        const { cache, changes } = fold(
          [...second.events, ...listing(first.end), ...listing(second.end)],
          before,
        );
        const replayed = new Map<ObjectKey, Thing>(
          contents(before).map((object) => [objectKey('n', object.name), object]),
        );
        for (const change of changes) {
          expect(replayed.get(change.key)).to.deep.equal(change.before);
          expect(change.before === undefined && change.after === undefined).to.equal(false);
          if (change.after === undefined) replayed.delete(change.key);
          else replayed.set(change.key, change.after);
        }
        expect([...replayed.values()].sort((a, b) => (a.name < b.name ? -1 : 1))).to.deep.equal(
          contents(cache),
        );
      }),
    );
  });

  it('does not care in which order events of different keys come', () => {
    fc.assert(
      fc.property(history, fc.func(fc.nat()), ({ events, end }, weight) => {
        // Grouped by key: the order within one key stays, the keys are interleaved anew.
        const grouped = [...events].sort((a, b) => {
          const [x, y] = [keyOf(a), keyOf(b)];
          return x === y ? 0 : weight(x) - weight(y) || (x < y ? -1 : 1);
        });
        expect(contents(fold(grouped, synced).cache)).to.deep.equal(end);
      }),
    );
  });

  it('is not moved by an event that comes twice', () => {
    fc.assert(
      fc.property(history, ({ events }) => {
        const once = fold(events, synced);
        const twice = fold(
          events.flatMap((event) => [event, event]),
          synced,
        );
        expect(contents(twice.cache)).to.deep.equal(contents(once.cache));
        expect(twice.changes).to.deep.equal(once.changes);
      }),
    );
  });

  it('is repaired by a list, whatever was dropped before it', () => {
    fc.assert(
      fc.property(history, fc.array(fc.boolean(), { maxLength: 40 }), ({ events, end }, kept) => {
        const heard = events.filter((_event, i) => kept[i] === true);
        expect(contents(fold([...heard, ...listing(end)], synced).cache)).to.deep.equal(end);
      }),
    );
  });

  it('changes nothing for a list that says what is known', () => {
    fc.assert(
      fc.property(history, ({ events, end }) => {
        const known = fold(events, synced).cache;
        expect(fold(listing(end), known).changes).to.deep.equal([]);
      }),
    );
  });

  it('leaves the cache it was given as it was', () => {
    fc.assert(
      fc.property(history, history, (first, second) => {
        const before = fold(first.events, synced).cache;
        fold([...second.events, ...listing(second.end)], before);
        expect(contents(before)).to.deep.equal(first.end);
      }),
    );
  });

  it('shows the old objects until the list is complete', () => {
    const known = fold(listing([thing('a', 1), thing('b', 2)])).cache;
    const [init, ...rest] = listing([thing('b', 3)]);
    const half = fold([...(init ? [init] : []), ...rest.slice(0, 1)], known);
    expect(contents(half.cache)).to.deep.equal([thing('a', 1), thing('b', 2)]);
    expect(half.changes).to.deep.equal([]);
    const whole = fold(rest.slice(1), half.cache);
    expect(whole.changes).to.deep.equal([
      { key: 'n/a', before: thing('a', 1), after: undefined },
      { key: 'n/b', before: thing('b', 2), after: thing('b', 3) },
    ]);
  });

  it('forgets a list that was begun anew', () => {
    const { cache } = fold([{ kind: 'Init' }, apply('a', 1), ...listing([thing('b', 2)])]);
    expect(contents(cache)).to.deep.equal([thing('b', 2)]);
  });

  it('is synced by the first complete list and stays so', () => {
    const started = fold([{ kind: 'Connected' }, { kind: 'Init' }, apply('a', 1)]).cache;
    expect(started.isSynced).to.equal(false);
    const done = fold([{ kind: 'InitDone', resourceVersion: '1' }], started).cache;
    expect(done.isSynced).to.equal(true);
    expect(fold([{ kind: 'Init' }], done).cache.isSynced).to.equal(true);
    expect(cached(done, objectKey('n', 'a'))).to.deep.equal(thing('a', 1));
    expect(cacheSize(done)).to.equal(1);
  });
});

const keyOf = (event: Event): string => ('key' in event ? event.key : '');
