/** Whose turn is it when? */
import { expect } from 'chai';
import { map, mergeMap, tap, timer } from 'rxjs';

import { turns } from '../../../streams/sidecar/turns.js';
import { marbles } from '../../support/marbles.js';

describe('turns', () => {
  it('come in their order, as many at once as may, the next when one has ended', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const { take, end } = turns({ most: 2, longestMs: 100 }, clock);
      const taken = cold('(abcde|)').pipe(
        mergeMap((id) =>
          take(id).pipe(
            mergeMap(() =>
              timer(5).pipe(
                tap(() => end(id)),
                map(() => id),
              ),
            ),
          ),
        ),
      );
      expectObservable(taken).toBe('5ms (ab) 1ms (cd) 1ms (e|)');
    }));

  it('come after the bound when nobody ends theirs', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const { take } = turns({ most: 1, longestMs: 5 }, clock);
      const taken = cold('ab-(c|)').pipe(mergeMap((id) => take(id).pipe(mergeMap(() => id))));
      expectObservable(taken).toBe('a-----b-(c|)');
    }));

  it('are not called for who has gone', () =>
    marbles(({ cold, expectObservable, flush }, clock) => {
      const { take, end } = turns({ most: 1, longestMs: 100 }, clock);
      const called: string[] = [];
      expectObservable(cold('a').pipe(mergeMap(take)));
      const waits = cold('-b').pipe(mergeMap((id) => take(id).pipe(tap(() => called.push(id)))));
      expectObservable(waits, '---!');
      clock.schedule(() => end('a'), 5);
      flush();
      expect(called).to.deep.equal([]);
    }));
});
