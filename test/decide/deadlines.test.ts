/**
 * Deadlines against a plain Map, over generated calls. Invariants:
 * - takeDue gives exactly the keys due by then, each once, earliest first, and in order of setting at one time;
 * - nextMs is the least deadline; get and size say what was set and neither removed nor taken.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { deadlines } from '../../src/decide/deadlines.js';

describe('deadlines', () => {
  it('takes what is due, at the very millisecond and not before it', () => {
    const due = deadlines<string>();
    due.set('a', 10);
    expect(due.takeDue(9)).to.deep.equal([]);
    expect(due.takeDue(10)).to.deep.equal(['a']);
    expect(due.takeDue(10), 'taken for good').to.deep.equal([]);
  });

  it('moves a key instead of keeping it twice', () => {
    const due = deadlines<string>();
    due.set('a', 10);
    due.set('a', 20);
    expect(due.takeDue(15)).to.deep.equal([]);
    expect(due.takeDue(20)).to.deep.equal(['a']);
  });

  it('keeps the place of a key that is set to the same time again', () => {
    const due = deadlines<string>();
    due.set('a', 10);
    due.set('b', 10);
    due.set('a', 10);
    expect(due.takeDue(10)).to.deep.equal(['a', 'b']);
  });

  type Act =
    | Readonly<{ act: 'set'; key: string; ms: number }>
    | Readonly<{ act: 'remove'; key: string }>
    | Readonly<{ act: 'take'; ms: number }>;
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const act: fc.Arbitrary<Act> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ act: fc.constant('set' as const), key, ms: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('remove' as const), key }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('take' as const), ms: fc.nat(20) }) },
  );

  it('agrees with a map that is searched', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 50 }), (acts) => {
        const due = deadlines<string>();
        const model = new Map<string, Readonly<{ ms: number; order: number }>>();
        acts.forEach((a, order) => {
          if (a.act === 'set') {
            due.set(a.key, a.ms);
            if (model.get(a.key)?.ms !== a.ms) model.set(a.key, { ms: a.ms, order });
          } else if (a.act === 'remove') {
            due.remove(a.key);
            model.delete(a.key);
          } else {
            const expected = [...model]
              .filter(([, { ms }]) => ms <= a.ms)
              .sort(([, x], [, y]) => x.ms - y.ms || x.order - y.order)
              .map(([k]) => k);
            expect(due.takeDue(a.ms)).to.deep.equal(expected);
            for (const k of expected) model.delete(k);
          }
          const times = [...model.values()].map(({ ms }) => ms);
          expect(due.nextMs()).to.equal(times.length === 0 ? undefined : Math.min(...times));
          expect(due.size()).to.equal(model.size);
          for (const k of ['a', 'b', 'c', 'd', 'e']) expect(due.get(k)).to.equal(model.get(k)?.ms);
        });
      }),
    );
  });
});
