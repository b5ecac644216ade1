import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { Subject } from 'rxjs';

import { type Source, watchObjects } from '../../../src/cli/api/watch-objects.js';
import type { EffectError } from '../../../src/model/effect-error.js';
import type { WatchFrame } from '../../../src/ports.js';

type Item = Readonly<{ uid: string; resourceVersion: string }>;
type Listed = E.Either<EffectError, Readonly<{ items: ReadonlyArray<Item>; resourceVersion: string }>>;

const item = (uid: string, resourceVersion: string): Item => ({ uid, resourceVersion });
const down: EffectError = { kind: 'Unavailable', message: 'down' };

/** A server whose every answer the test gives by hand; each call waits as a Subject. */
const scripted = () => {
  const lists: Subject<Listed>[] = [];
  const watches: Readonly<{ from: string; frames: Subject<E.Either<EffectError, WatchFrame>> }>[] = [];
  const told: string[] = [];
  const timers: Array<() => void> = [];
  let nowMs = 0;
  const source: Source<Item> = {
    list: () => {
      const answer = new Subject<Listed>();
      lists.push(answer);
      return answer;
    },
    watch: (from) => {
      const frames = new Subject<E.Either<EffectError, WatchFrame>>();
      watches.push({ from, frames });
      return frames;
    },
    read: (object) => object as Item,
    identify: (each) => each,
  };
  const stop = watchObjects(
    source,
    {
      seen: (each) => told.push(`seen ${each.uid}@${each.resourceVersion}`),
      deleted: (each) => told.push(`deleted ${each.uid}`),
      listed: () => told.push('listed'),
      lost: ({ message }) => told.push(`lost ${message}`),
      failed: ({ message }) => told.push(`failed ${message}`),
    },
    {
      nowMs: () => nowMs,
      random: () => 1,
      after: (_ms, then) => {
        timers.push(then);
        return () => {
          timers.splice(timers.indexOf(then), 1);
        };
      },
    },
  );
  return {
    told,
    stop,
    timers,
    watches,
    lists,
    wait: (ms: number) => {
      nowMs += ms;
    },
    tick: () => timers.shift()?.(),
    answer: (items: ReadonlyArray<Item>, resourceVersion: string) =>
      lists.at(-1)?.next(E.right({ items, resourceVersion })),
    refuse: (error: EffectError) => lists.at(-1)?.next(E.left(error)),
    frame: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: Item) =>
      watches.at(-1)?.frames.next(E.right({ type, object })),
    break: (error: EffectError) => watches.at(-1)?.frames.next(E.left(error)),
    close: () => watches.at(-1)?.frames.complete(),
  };
};

describe('watchObjects', () => {
  it('tells the list, then every change', () => {
    const server = scripted();
    server.answer([item('a', '1')], '5');
    server.frame('MODIFIED', item('a', '6'));
    server.frame('DELETED', item('a', '7'));
    expect(server.told).to.deep.equal(['seen a@1', 'listed', 'seen a@6', 'deleted a']);
    expect(server.watches[0]?.from).to.equal('5');
  });

  it('takes a closed watch up where it ended, bookmarks counted', () => {
    const server = scripted();
    server.answer([], '5');
    server.frame('ADDED', item('a', '6'));
    server.watches.at(-1)?.frames.next(E.right({ type: 'BOOKMARK', resourceVersion: '9' }));
    server.close();
    server.tick();
    expect(server.watches.map(({ from }) => from)).to.deep.equal(['5', '9']);
    expect(server.lists).to.have.length(1);
  });

  it('lists again after 410 and tells only what changed and what is gone', () => {
    const server = scripted();
    server.answer([item('a', '1'), item('b', '2'), item('c', '3')], '5');
    server.break({ kind: 'Gone', message: 'too old', status: 410 });
    server.tick();
    server.answer([item('a', '1'), item('c', '8')], '20');
    expect(server.told.slice(4)).to.deep.equal(['deleted b', 'seen c@8', 'listed']);
    expect(server.watches.at(-1)?.from).to.equal('20');
  });

  it('comes back after a lost connection, from the last version', () => {
    const server = scripted();
    server.answer([], '5');
    server.frame('ADDED', item('a', '6'));
    server.break(down);
    server.tick();
    server.break(down);
    server.tick();
    server.frame('MODIFIED', item('a', '7'));
    expect(server.told).to.deep.equal(['listed', 'seen a@6', 'lost down', 'lost down', 'seen a@7']);
    expect(server.watches.map(({ from }) => from)).to.deep.equal(['5', '6', '6']);
  });

  it('fails at once when the first list does', () => {
    const server = scripted();
    server.refuse(down);
    expect(server.told).to.deep.equal(['failed down']);
    expect(server.timers).to.deep.equal([]);
  });

  it('fails for good on what no new attempt cures', () => {
    const server = scripted();
    server.answer([], '5');
    server.break({ kind: 'Forbidden', message: 'no', status: 403 });
    expect(server.told).to.deep.equal(['listed', 'failed no']);
    expect(server.timers).to.deep.equal([]);
  });

  it('gives up on a server that stays away', () => {
    const server = scripted();
    server.answer([], '5');
    server.break(down);
    server.wait(300_001);
    server.tick();
    server.break(down);
    expect(server.told).to.deep.equal(['listed', 'lost down', 'failed down']);
  });

  it('says nothing after it is stopped, and leaves no timer and no connection', () => {
    const server = scripted();
    server.answer([], '5');
    server.break(down);
    server.stop();
    expect(server.timers).to.deep.equal([]);
    const other = scripted();
    other.answer([], '5');
    other.stop();
    expect(other.watches[0]?.frames.observed).to.equal(false);
  });
});
