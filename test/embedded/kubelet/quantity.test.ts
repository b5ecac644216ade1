/** Quantities as Kubernetes writes them: any number with any suffix is that number, any other text is none. */
import { expect } from 'chai';
import fc from 'fast-check';

import { quantity } from '../../../src/embedded/kubelet/downward.js';

const FACTORS: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

describe('quantity', () => {
  it('reads any number with any suffix', () => {
    fc.assert(
      fc.property(
        fc.nat(99_999),
        fc.nat(999),
        fc.constantFrom(...Object.keys(FACTORS)),
        (whole, part, suffix) => {
          const factor = FACTORS[suffix] ?? Number.NaN;
          expect(quantity(`${whole}${suffix}`)).to.equal(whole * factor);
          expect(quantity(`${whole}.${part}${suffix}`)).to.equal(Number(`${whole}.${part}`) * factor);
          expect(quantity(`-.${part}${suffix}`)).to.equal(Number(`-.${part}`) * factor);
        },
      ),
    );
    expect(quantity('12e3')).to.equal(12_000);
    expect(quantity('5E-1')).to.equal(0.5);
  });

  it('takes nothing else for one, and no number that there is not', () => {
    for (const text of [
      '',
      ' ',
      '.',
      '-',
      '1 Gi',
      '1ki',
      '1Kib',
      '1KI',
      'Gi',
      '1e',
      '0x10',
      '1,5',
      'NaN',
      'Infinity',
      '1e999',
      '1to',
      '--1',
    ])
      expect(quantity(text), text).to.be.NaN;
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 8 }), (text) => {
        const value = quantity(text);
        expect(Number.isNaN(value) || Number.isFinite(value)).to.equal(true);
      }),
    );
  });
});
