import { expect } from 'chai';
import { Subject } from 'rxjs';

import { objectKey } from '../../../src/model/ids.js';
import { type Fed, feedsOf } from '../../../streams/cache/feed.js';
import type { InformerEvent } from '../../../streams/watch/informer-events.js';

type Thing = Readonly<{ key: ReturnType<typeof objectKey> }>;

describe('feedsOf', () => {
  const apply = (namespace: string): InformerEvent<Thing> => {
    const key = objectKey(namespace, 'thing');
    return { kind: 'Apply', key, resourceVersion: '1', object: { key } };
  };
  const init: InformerEvent<Thing> = { kind: 'Init' };
  const done: InformerEvent<Thing> = { kind: 'InitDone', resourceVersion: '1' };

  it('is synced when the last of its informers is, and stays so while one lists again', () => {
    const [one, two] = [new Subject<InformerEvent<Thing>>(), new Subject<InformerEvent<Thing>>()];
    const seen: Fed<Thing>[] = [];
    feedsOf([one, two]).subscribe((fed) => seen.push(fed));
    const isSynced = (): boolean | undefined => seen.at(-1)?.isSynced;
    for (const event of [init, apply('a'), done]) one.next(event);
    expect(isSynced()).to.equal(false);
    for (const event of [init, apply('b')]) two.next(event);
    expect(isSynced()).to.equal(false);
    two.next(done);
    expect(isSynced()).to.equal(true);
    one.next(init);
    expect(isSynced()).to.equal(true);
    expect(seen.flatMap(({ changes }) => changes.map(({ key }) => key))).to.deep.equal([
      objectKey('a', 'thing'),
      objectKey('b', 'thing'),
    ]);
  });

  it("a list of one leaves the other's objects alone", () => {
    const [one, two] = [new Subject<InformerEvent<Thing>>(), new Subject<InformerEvent<Thing>>()];
    const changes: string[] = [];
    feedsOf([one, two]).subscribe((fed) =>
      changes.push(...fed.changes.map(({ key, after }) => `${after === undefined ? '-' : '+'}${key}`)),
    );
    for (const event of [init, apply('a'), done]) one.next(event);
    for (const event of [init, apply('b'), done]) two.next(event);
    for (const event of [init, done]) one.next(event);
    expect(changes).to.deep.equal(['+a/thing', '+b/thing', '-a/thing']);
  });

  it('says that the server went back when a list has an older version of an object than was known', () => {
    const one = new Subject<InformerEvent<Thing>>();
    const news: Fed<Thing>['news'][] = [];
    feedsOf([one]).subscribe((fed) => news.push(fed.news));
    const at = (name: string, resourceVersion: string): InformerEvent<Thing> => {
      const key = objectKey('a', name);
      return { kind: 'Apply', key, resourceVersion, object: { key } };
    };
    const listed = (...objects: ReadonlyArray<InformerEvent<Thing>>): ReadonlyArray<Fed<Thing>['news']> => {
      news.splice(0);
      for (const event of [init, ...objects, done]) one.next(event);
      return news.filter((each) => each !== undefined);
    };
    expect(listed(at('same', '5'), at('newer', '6'), at('gone', '7'), at('older', '9'))).to.deep.equal([]);
    one.next(at('older', '10'));
    expect(listed(at('same', '5'), at('newer', '11'), at('older', '8'), at('made', '3'))).to.deep.equal([
      { kind: 'Rewound', from: '10', to: '8' },
    ]);
  });

  it('is subscribed to twice without one knowing of the other', () => {
    const one = new Subject<InformerEvent<Thing>>();
    const feeds = feedsOf([one]);
    feeds.subscribe();
    for (const event of [init, done]) one.next(event);
    let isSynced: boolean | undefined;
    feeds.subscribe((fed) => {
      isSynced = fed.isSynced;
    });
    one.next(init);
    expect(isSynced).to.equal(false);
  });
});
