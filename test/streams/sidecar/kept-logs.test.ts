/** When a pod asks which of the Runs whose logs it keeps are gone. */
import { expect } from 'chai';
import { NEVER, of, Subject } from 'rxjs';

import {
  askForLogs,
  EVERY_ENDED,
  EVERY_MS,
  SETTLED_MS,
  SPREAD_MS,
} from '../../../streams/sidecar/kept-logs.js';
import { marbles } from '../../support/marbles.js';

describe('askForLogs', () => {
  const question = { q: { runUids: ['a', 'b'] } };
  const kept = () => ['a', 'b'];

  it('asks a while after a session has opened, then once an hour, and not while there is none', () =>
    marbles(({ hot, expectObservable }, clock) => {
      const isOpen$ = hot<boolean>('f 9ms t', { f: false, t: true });
      const asked$ = askForLogs({ isOpen$, ended$: NEVER, kept, chance: () => 0.5 }, clock);
      const first = 10 + SETTLED_MS + SPREAD_MS / 2;
      expectObservable(asked$, `^ ${first + EVERY_MS + 1}ms !`).toBe(
        `${first}ms q ${EVERY_MS - 1}ms q`,
        question,
      );
    }));

  it('asks nothing of a session that was closed before, and nothing when no log is kept', () =>
    marbles(({ hot, expectObservable }, clock) => {
      const isOpen$ = hot<boolean>(`t ${SETTLED_MS}ms f`, { f: false, t: true });
      expectObservable(
        askForLogs({ isOpen$, ended$: NEVER, kept, chance: () => 0.5 }, clock),
        `^ ${EVERY_MS * 2}ms !`,
      ).toBe('');
      expectObservable(
        askForLogs({ isOpen$: hot('t', { t: true }), ended$: NEVER, kept: () => [], chance: () => 0 }, clock),
        `^ ${EVERY_MS * 2}ms !`,
      ).toBe('');
    }));

  it('asks whenever so many have ended', () => {
    const endedSubject = new Subject<void>();
    let asked = 0;
    const subscription = askForLogs({
      isOpen$: of(true),
      ended$: endedSubject,
      kept,
      chance: () => 1,
    }).subscribe(() => {
      asked += 1;
    });
    for (let ended = 0; ended < 2 * EVERY_ENDED - 1; ended += 1) endedSubject.next();
    expect(asked).to.equal(1);
    endedSubject.next();
    expect(asked).to.equal(2);
    subscription.unsubscribe();
  });

  it('asks for many in parts that no message limit stops', () => {
    const many = Array.from({ length: 32_768 }, (_, n) => String(n).padStart(36, '0'));
    const parts: (readonly string[])[] = [];
    const endedSubject = new Subject<void>();
    const subscription = askForLogs({
      isOpen$: of(true),
      ended$: endedSubject,
      kept: () => many,
      chance: () => 1,
    }).subscribe(({ runUids }) => parts.push(runUids));
    for (let ended = 0; ended < EVERY_ENDED; ended += 1) endedSubject.next();
    subscription.unsubscribe();
    expect(parts.flat()).to.deep.equal(many);
    expect(Math.max(...parts.map(({ length }) => length)) * 40).to.be.lessThan(4 * 1024 * 1024);
  });
});
