import { expect } from 'chai';
import { map, NEVER, type Observable, Subject, throwError } from 'rxjs';

import type { FromOperator, FromRuntimed } from '../../../src/proto/gen/session.js';
import { type Dial, keepSession, redialDelayMs } from '../../../streams/sidecar/session.js';
import { marbles } from '../../support/marbles.js';
import { healthy, quietSession } from '../../support/quiet-session.js';

const welcome: FromOperator = { message: { $case: 'welcome', value: { beatIntervalMillis: 100 } } };
const beat: FromOperator = {
  message: { $case: 'beat', value: healthy },
};
const drain: FromOperator = { message: { $case: 'drain', value: {} } };
const sick = { healthy: false, healthMessage: 'no', draining: false };

/** Which kinds of message go out, as `hello`, `beat`, ... */
const kinds = (outgoing$: Observable<FromRuntimed>): Observable<string> =>
  outgoing$.pipe(map(({ message }) => message?.$case ?? 'none'));

describe('keepSession', () => {
  it('says hello first, and beats only after the welcome, at its interval and at each change', () =>
    marbles(({ hot, cold, expectObservable }, clock) => {
      const outgoing = new Subject<string>();
      const dial: Dial = (outgoing$) => {
        // Its own subscription, as the connection's would be.
        kinds(outgoing$).subscribe((kind) => outgoing.next(kind));
        return cold('   10ms w 89ms b 99ms b 99ms b', { w: welcome, b: beat });
      };
      const beats$ = hot('h 150ms s', { h: healthy, s: sick });
      const session$ = keepSession(dial, { ...quietSession, beats$: beats$.pipe(), clock });
      expectObservable(outgoing, '         ^ 299ms !').toBe('a 150ms b 99ms b', { a: 'hello', b: 'beat' });
      expectObservable(session$, '         ^ 299ms !').toBe('10ms o', { o: { kind: 'Opened' } });
    }));

  it('is lost when three beats stay out, and dials again', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const dial: Dial = () => cold('w 99ms b 400ms b', { w: welcome, b: beat });
      // The session did not last, so the pause before the next dial is that of a refusal.
      expectObservable(keepSession(dial, { ...quietSession, clock }), '^ 520ms !').toBe('o 399ms c 99ms o', {
        o: { kind: 'Opened' },
        c: { kind: 'Closed', message: 'no beat from the operator, 3 in a row' },
      });
    }));

  it('dials at once after a session that lasted, with growing pauses when refused', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const refused = throwError(() => new Error('not the leader'));
      const lasting = cold(
        `w ${Array.from({ length: 11 }, () => '99ms b').join(' ')} #`,
        { w: welcome, b: beat },
        new Error('gone'),
      );
      const calls = [refused, refused, lasting, refused, refused];
      let dials = 0;
      const dial: Dial = () => {
        const call = calls[dials] ?? NEVER;
        dials += 1;
        return call;
      };
      const closed = (message: string) => ({ kind: 'Closed', message });
      expectObservable(keepSession(dial, { ...quietSession, clock }), '^ 3s !').toBe(
        'r 99ms r 199ms o 1100ms (gr) 96ms r',
        {
          r: closed('not the leader'),
          o: { kind: 'Opened' },
          g: closed('gone'),
        },
      );
    }));

  it('does not take for a session what does not begin with a welcome, nor wait for one for ever', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const calls = [cold('d', { d: drain }), cold('-', { d: drain })];
      const dial: Dial = () => calls.shift() ?? NEVER;
      expectObservable(keepSession(dial, { ...quietSession, clock }), '^ 5200ms !').toBe('a 5099ms b', {
        a: { kind: 'Closed', message: 'the operator did not answer hello with a welcome' },
        b: { kind: 'Closed', message: 'Timeout has occurred' },
      });
    }));

  it('waits longer for a welcome each time that none came: the operator may be greeting a thousand others', () =>
    marbles(({ cold, expectObservable }, clock) => {
      const dial: Dial = () => cold('30s |');
      const late = { kind: 'Closed', message: 'Timeout has occurred' };
      expectObservable(keepSession(dial, { ...quietSession, clock }), '^ 60s !').toBe(
        '5s a 10099ms b 20199ms c 20399ms d',
        { a: late, b: late, c: late, d: late },
      );
    }));

  it('hands on what the operator asks, and ends its call when unsubscribed', () =>
    marbles(({ hot, expectObservable, expectSubscriptions }, clock) => {
      const incoming = hot('w 4ms d', { w: welcome, d: drain });
      const session$ = keepSession(() => incoming, { ...quietSession, clock });
      expectObservable(session$, '^ 20ms !').toBe('o 4ms d', { o: { kind: 'Opened' }, d: { kind: 'Drain' } });
      expectSubscriptions(incoming.subscriptions).toBe('^ 20ms !');
    }));
});

describe('redialDelayMs', () => {
  it('is nothing at first, then doubles from 100 ms to 3 s, less up to half by chance', () => {
    expect([0, 1, 2, 3, 6, 50].map((failures) => redialDelayMs(failures, 0))).to.deep.equal([
      0, 100, 200, 400, 3_000, 3_000,
    ]);
    expect(redialDelayMs(6, 0.999)).to.be.within(1_500, 1_503);
  });
});
