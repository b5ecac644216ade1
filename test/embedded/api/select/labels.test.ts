/**
 * Label selectors.
 *
 * Invariant: a selector made from requirements selects exactly what the requirements, read one by one, say.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { matchesLabels, parseLabelSelector } from '../../../../src/embedded/api/select/labels.js';

type Requirement = {
  key: string;
  operator: '=' | '==' | '!=' | 'in' | 'notin' | 'exists' | '!';
  values: string[];
};

const key = fc.constantFrom('a', 'b', 'app.kubernetes.io/name', 'in', 'notin');
const value = fc.constantFrom('', 'x', 'y', 'x-1', 'Z_2', 'in');
const requirement: fc.Arbitrary<Requirement> = fc.record({
  key,
  operator: fc.constantFrom('=', '==', '!=', 'in', 'notin', 'exists', '!'),
  values: fc.array(value, { minLength: 1, maxLength: 3 }),
});

const textOf = ({ key: name, operator, values }: Requirement, space: string): string => {
  switch (operator) {
    case 'exists':
      return name;
    case '!':
      return `!${name}`;
    case 'in':
    case 'notin':
      return `${name} ${operator} (${values.join(`,${space}`)})`;
    default:
      return `${name}${space}${operator}${space}${values[0] ?? ''}`;
  }
};

const holds = ({ key: name, operator, values }: Requirement, labels: Record<string, string>): boolean => {
  const has = Object.hasOwn(labels, name);
  const actual = labels[name] ?? '';
  switch (operator) {
    case 'exists':
      return has;
    case '!':
      return !has;
    case '=':
    case '==':
      return has && actual === values[0];
    case '!=':
      return !has || actual !== values[0];
    case 'in':
      return has && values.includes(actual);
    case 'notin':
      return !has || !values.includes(actual);
  }
};

describe('parseLabelSelector', () => {
  it('selects what each requirement says', () => {
    fc.assert(
      fc.property(
        fc.array(requirement, { maxLength: 4 }),
        fc.dictionary(key, value),
        fc.constantFrom('', ' '),
        (requirements, labels, space) => {
          const text = requirements.map((one) => textOf(one, space)).join(`,${space}`);
          expect(matchesLabels(parseLabelSelector(text), labels)).to.equal(
            requirements.every((one) => holds(one, labels)),
          );
        },
      ),
    );
  });

  it('selects everything when it is empty', () => {
    expect(matchesLabels(parseLabelSelector(''), undefined)).to.equal(true);
  });

  for (const text of [
    'a in',
    'a in (',
    'a in (x',
    'a,',
    '=x',
    'a=b=c',
    'a b',
    '!',
    'a>x',
    'a=b c',
    '-a=b',
    'a=-b',
  ]) {
    it(`refuses ${text}`, () => {
      expect(() => parseLabelSelector(text)).to.throw();
    });
  }
});
