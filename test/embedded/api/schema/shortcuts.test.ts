/**
 * What is not checked again.
 *
 * Invariants:
 * - rules that were found to hold before say the same as rules that are evaluated now
 * - of a valid object's next version, only what changed is validated, and all that is wrong with it is found
 */
import { expect } from 'chai';
import fc from 'fast-check';

import type { FieldError } from '../../../../src/embedded/api/errors.js';
import type { Json } from '../../../../src/embedded/api/json.js';
import { mergePatch } from '../../../../src/embedded/api/patch/merge-patch.js';
import { validateRules } from '../../../../src/embedded/api/schema/cel.js';
import type { Schema } from '../../../../src/embedded/api/schema/schema.js';
import { validate } from '../../../../src/embedded/api/schema/validate.js';
import { canCountWork, countWork } from '../../../support/work.js';

const rule = (text: string): { rule: string } => ({ rule: text });

const schema: Schema = {
  type: 'object',
  'x-kubernetes-validations': [
    rule('!has(self.a) || self.a > 1'),
    rule('!has(self.any) || self.any.length != 3'),
    rule('!has(self.a) || !has(oldSelf.a) || self.a >= oldSelf.a'),
    rule("!has(self.inner) || !has(self.inner.name) || self.inner.name != 'bad'"),
    rule('has(self.inner) == has(oldSelf.inner) && (!has(self.inner) || self.inner == oldSelf.inner)'),
  ],
  properties: {
    a: { type: 'integer', minimum: 0 },
    any: { 'x-kubernetes-preserve-unknown-fields': true },
    text: {
      type: 'string',
      minLength: 1,
      pattern: '^[^x]*$',
      'x-kubernetes-validations': [rule("!self.startsWith('y')"), rule("self != 'z' || oldSelf == 'z'")],
    },
    list: {
      type: 'array',
      maxItems: 3,
      items: { type: 'integer' },
      'x-kubernetes-validations': [rule('self.all(self, self > 0)'), rule('size(self) > size(oldSelf)')],
    },
    inner: {
      type: 'object',
      nullable: true,
      required: ['name'],
      'x-kubernetes-validations': [
        rule("self.name in ['bad', 'good'] || self['name'] == 'n'"),
        rule('!has(self.deep) || self.deep.b + 1 > 2'),
        rule('self.?deep.?b.orValue(5) > 1'),
      ],
      properties: {
        name: { type: 'string', enum: ['bad', 'good', 'n', 'm'] },
        deep: { type: 'object', nullable: true, properties: { b: { type: 'integer' } } },
      },
    },
    map: { type: 'object', additionalProperties: { type: 'string', maxLength: 2 }, maxProperties: 2 },
    either: { anyOf: [{ type: 'integer' }, { type: 'string' }], 'x-kubernetes-int-or-string': true },
  },
};

const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const int: fc.Arbitrary<Json> = fc.oneof(
  { weight: 6, arbitrary: fc.nat(3) },
  fc.constantFrom('1', null, 1.5),
);
const value: fc.Arbitrary<Json> = fc
  .record({
    a: some(int),
    any: some(fc.constantFrom<Json>([1, 2, 3], [1], 'abc', 'a', { length: 2 }, { length: 3 })),
    text: some(fc.constantFrom('', 'u', 'x', 'y', 'z', 'a'.repeat(200), 'y'.repeat(200), null, 3)),
    list: some(fc.array(int, { maxLength: 4 })),
    inner: some(
      fc.option(
        fc.record({
          name: some(fc.constantFrom('bad', 'good', 'n', 'm', 'o')),
          deep: some(fc.option(fc.record({ b: some(int) }))),
        }),
      ),
    ),
    map: some(fc.dictionary(fc.constantFrom('constructor', 'p', 'q'), fc.constantFrom('1', '123'))),
    either: some(fc.constantFrom(1, '1', 'x', true)),
  })
  .map((made) => JSON.parse(JSON.stringify(made)) as Json);

describe('validateRules', () => {
  const errorsOf = (of: Schema, now: Json, old: Json | undefined): FieldError[] => {
    const errors: FieldError[] = [];
    validateRules(of, now, old, '', errors);
    return errors;
  };

  it('says of what it remembers the same as of what it evaluates', () => {
    const versions = fc.array(fc.tuple(value, some(value)), { minLength: 10, maxLength: 10 });
    fc.assert(
      fc.property(versions, (all) => {
        for (const [now, old] of all)
          expect(errorsOf(schema, now, old), JSON.stringify([now, old])).to.deep.equal(
            // A schema that was never seen: nothing is known of it.
            errorsOf(structuredClone(schema), structuredClone(now), structuredClone(old)),
          );
      }),
      { numRuns: 60 },
    );
  });

  it('looks, the second time, only at what the rules look at', function () {
    if (!canCountWork) this.skip();
    const long: Schema = {
      type: 'object',
      properties: { a: { type: 'integer' }, list: { type: 'array', items: { type: 'integer' } } },
      'x-kubernetes-validations': [rule('self.a > 1')],
    };
    const list = Array.from({ length: 1_000 }, (_, i) => i);
    const steps = (a: number, errors: number): number =>
      countWork(() => expect(errorsOf(long, { a, list: [...list] }, undefined)).to.have.length(errors));
    expect(steps(2, 0)).to.be.above(1_000);
    expect(steps(2, 0)).to.be.below(1_000);
    expect(steps(3, 0)).to.be.above(1_000);
    for (const _ of [1, 2]) expect(steps(1, 1), 'what fails is never remembered').to.be.above(1_000);
  });
});

describe('validate', () => {
  const errorsOf = (now: Json, old?: Json): FieldError[] => {
    const errors: FieldError[] = [];
    validate(schema, now, '', errors, old);
    return errors;
  };

  it('finds in the next version of a valid object all that is wrong', () => {
    const valid = value.filter((made) => errorsOf(made).length === 0);
    fc.assert(
      fc.property(valid, value, (old, patch) => {
        const now = mergePatch(old, patch);
        expect(errorsOf(now, old)).to.deep.equal(errorsOf(now));
        // Parts that came in again are not the very same, and equal.
        const again = JSON.parse(JSON.stringify(now)) as Json;
        expect(errorsOf(again, old)).to.deep.equal(errorsOf(again));
      }),
      { numRuns: 300 },
    );
  });

  it('leaves alone what was wrong before and did not change', () => {
    expect(errorsOf({ a: -1, text: 'u' }, { a: -1 })).to.deep.equal([]);
    expect(errorsOf({ a: -2 }, { a: -1 })).to.have.length(1);
  });
});
