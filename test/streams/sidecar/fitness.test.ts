/** When is it tried whether the pod can make workspaces again? */
import { of } from 'rxjs';

import { fitness } from '../../../streams/sidecar/fitness.js';
import { marbles } from '../../support/marbles.js';

/** Answers these, one after the other, the last one for ever. */
const answers = (...texts: ReadonlyArray<string>) => {
  let asked = 0;
  return () => {
    asked += 1;
    return of(texts[Math.min(asked, texts.length) - 1] ?? '');
  };
};

describe('fitness', () => {
  it('says nothing and tries nothing while workspaces can be made', () =>
    marbles(({ cold, expectObservable }) => {
      const none$ = cold<string>('1s |');
      expectObservable(
        fitness(none$, () => {
          throw new Error('it was tried');
        }),
      ).toBe('1s |');
    }));

  it('says why, tries ever more slowly, and says when it can again', () =>
    marbles(({ cold, expectObservable }) => {
      const troubles$ = cold('a 19s |', { a: 'full' });
      // After 500 ms, 1 s, 2 s, 4 s.
      expectObservable(fitness(troubles$, answers('full', 'gone', 'gone', ''))).toBe(
        'a 1499ms b 5999ms c 11500ms |',
        { a: 'full', b: 'gone', c: '' },
      );
    }));

  it('lets troubles that come meanwhile be', () =>
    marbles(({ cold, expectObservable }) => {
      const troubles$ = cold('a 99ms a 99ms a 9s |', { a: 'full' });
      expectObservable(fitness(troubles$, answers(''))).toBe('a 499ms b 8700ms |', { a: 'full', b: '' });
    }));

  it('begins again with the next trouble', () =>
    marbles(({ cold, expectObservable }) => {
      const troubles$ = cold('a 999ms a 9s |', { a: 'full' });
      expectObservable(fitness(troubles$, answers(''))).toBe('a 499ms b 499ms a 499ms b 8500ms |', {
        a: 'full',
        b: '',
      });
    }));
});
