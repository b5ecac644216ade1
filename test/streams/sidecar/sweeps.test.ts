/** What the operator says of the Runs there are, in parts, as one sweep. */
import { expect } from 'chai';

import type { SweepLogs } from '../../../src/proto/gen/session.js';
import { doSweeps, type Sweep } from '../../../streams/sidecar/sweeps.js';
import { marbles } from '../../support/marbles.js';

const part = (runUids: string[], more: boolean, store = 's'): SweepLogs => ({
  store,
  installation: 'i',
  runUids,
  more,
});

describe('doSweeps', () => {
  const sweptOf = (text: string, parts: Readonly<Record<string, SweepLogs>>, takes = '3ms |'): string => {
    const said: string[] = [];
    marbles(({ hot, cold, expectObservable, flush }) => {
      const sweep = ({ store, runs }: Sweep) => {
        said.push(`${store}: ${[...runs].join(' ')}`);
        return cold<never>(takes);
      };
      expectObservable(hot(text, parts).pipe(doSweeps(sweep))).toBe('20ms |');
      flush();
    });
    return said.join('; ');
  };

  it('begins with the last part, and knows what all of them said', () => {
    const parts = { a: part(['1', '2'], true), b: part(['3'], false), c: part([], false) };
    expect(sweptOf(' a 2ms b 9ms c 6ms |', parts)).to.equal('s: 1 2 3; s: ');
    expect(sweptOf(' a 19ms |', parts)).to.equal('');
  });

  it('leaves out what was said of another store and not ended, and never knows less than was said of this one', () => {
    const parts = { a: part(['1'], true, 'other'), b: part(['2'], true), c: part(['3'], false) };
    expect(sweptOf(' a 2ms b 2ms b 2ms c 10ms |', parts)).to.equal('s: 2 3');
  });

  it('breaks off one that is under way for a newer one', () =>
    marbles(({ hot, cold, expectObservable, expectSubscriptions }) => {
      const parts$ = hot(' a 4ms b 20ms |', { a: part([], false), b: part([], false) });
      const pass$ = cold<never>('10ms |');
      expectObservable(parts$.pipe(doSweeps(() => pass$))).toBe('26ms |');
      expectSubscriptions(pass$.subscriptions).toBe(['^ 4ms !', '5ms ^ 9ms !']);
    }));
});
