/**
 * Server-side apply on values.
 *
 * Invariants:
 * - applying a configuration twice is the same as once
 * - everything the configuration says is in the result; everything it does not speak of stays
 * - taking away what was applied to nothing leaves nothing
 * - FieldsV1 written and read again is the same set
 */
import { expect } from 'chai';
import fc from 'fast-check';

import {
  appliedFields,
  compareFields,
  difference,
  fromFieldsV1,
  isEmptySet,
  noFields,
  toFieldsV1,
  union,
} from '../../../../src/embedded/api/apply/field-set.js';
import { mergeApplied, removeFields } from '../../../../src/embedded/api/apply/merge.js';
import type { Json } from '../../../../src/embedded/api/json.js';
import type { Schema } from '../../../../src/embedded/api/schema/schema.js';

const schema: Schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    items: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['key'],
      items: {
        type: 'object',
        properties: { key: { type: 'string' }, a: { type: 'integer' }, b: { type: 'integer' } },
      },
    },
    tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    whole: { type: 'array', items: { type: 'integer' } },
  },
};

const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const item = fc.record(
  { key: fc.constantFrom('x', 'y', 'z'), a: fc.nat(3), b: fc.nat(3) },
  { requiredKeys: ['key'] },
);
const value: fc.Arbitrary<Json> = fc
  .record({
    name: optional(fc.constantFrom('n', 'm')),
    labels: optional(
      fc.dictionary(fc.constantFrom('p', 'q', 'r'), fc.constantFrom('1', '2'), { minKeys: 1 }),
    ),
    items: optional(fc.uniqueArray(item, { selector: ({ key }) => key, minLength: 1, maxLength: 3 })),
    tags: optional(fc.uniqueArray(fc.constantFrom('s', 't', 'u'), { minLength: 1 })),
    whole: optional(fc.array(fc.nat(3), { minLength: 1, maxLength: 3 })),
  })
  .map((made) => JSON.parse(JSON.stringify(made)) as Json);

describe('mergeApplied', () => {
  it('is idempotent', () => {
    fc.assert(
      fc.property(value, value, (live, applied) => {
        const once = mergeApplied(schema, live, applied);
        expect(mergeApplied(schema, once, applied)).to.deep.equal(once);
      }),
    );
  });

  it('says all that the configuration says, and loses nothing else', () => {
    fc.assert(
      fc.property(value, value, (live, applied) => {
        const merged = mergeApplied(schema, live, applied);
        const wanted = appliedFields(schema, applied);
        expect(isEmptySet(difference(wanted, union(appliedFields(schema, merged), wanted)))).to.equal(true);
        const again = compareFields(schema, merged, mergeApplied(schema, merged, applied));
        expect(isEmptySet(again.added) && isEmptySet(again.modified) && isEmptySet(again.removed)).to.equal(
          true,
        );
        expect(isEmptySet(compareFields(schema, live, merged).removed)).to.equal(true);
      }),
    );
  });
});

describe('removeFields', () => {
  it('undoes an apply to nothing', () => {
    fc.assert(
      fc.property(value, (applied) => {
        expect(removeFields(schema, applied, appliedFields(schema, applied), noFields)).to.deep.equal({});
      }),
    );
  });

  it('keeps what others want', () => {
    fc.assert(
      fc.property(value, value, (mine, theirs) => {
        const both = mergeApplied(schema, mine, theirs);
        const left = removeFields(schema, both, appliedFields(schema, mine), appliedFields(schema, theirs));
        expect(mergeApplied(schema, left, theirs)).to.deep.equal(left);
      }),
    );
  });
});

describe('FieldsV1', () => {
  it('reads back what it writes', () => {
    fc.assert(
      fc.property(value, (applied) => {
        const set = appliedFields(schema, applied);
        fc.pre(set.below.size > 0);
        const back = fromFieldsV1(JSON.parse(JSON.stringify(toFieldsV1(set))));
        expect(toFieldsV1(back)).to.deep.equal(toFieldsV1(set));
        expect(isEmptySet(difference(set, back)) && isEmptySet(difference(back, set))).to.equal(true);
      }),
    );
  });
});
