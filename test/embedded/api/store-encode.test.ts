/**
 * A version's text, made in parts.
 *
 * Invariants:
 * - it says what JSON.stringify says of the object, with or without a version before
 * - the range of a long spec is the spec's own text, and without it the rest is whole
 */
import { expect } from 'chai';
import fc from 'fast-check';

import type { JsonObject } from '../../../src/embedded/api/json.js';
import type { KubeObject, ManagedFieldsEntry } from '../../../src/embedded/api/object.js';
import type { Encoded } from '../../../src/embedded/api/store/encode.js';
import { encodeObject, LONG_SPEC } from '../../../src/embedded/api/store/encode.js';

const word = fc.constantFrom('a', 'ä', '"', '\\', '🙂', '', 'spec', 'managedFields', '\ud800');
const fields: fc.Arbitrary<JsonObject> = fc.dictionary(word, fc.constant({}), { maxKeys: 3 });
const entry: fc.Arbitrary<ManagedFieldsEntry> = fc.record(
  { manager: word, time: word, fieldsV1: fields, subresource: word },
  { requiredKeys: [] },
);
const text = fc.oneof(word, fc.constantFrom('x'.repeat(LONG_SPEC), 'ü🙂'.repeat(LONG_SPEC)));
const rest = fc.record(
  {
    status: fc.dictionary(word, word, { maxKeys: 2 }),
    data: word,
    first: fc.boolean(),
    gone: fc.constant(undefined),
  },
  { requiredKeys: ['first'] },
);
const object: fc.Arbitrary<KubeObject> = fc
  .record({
    metadata: fc.record(
      { name: word, managedFields: fc.array(entry, { maxLength: 3 }), labels: fc.dictionary(word, word) },
      { requiredKeys: [] },
    ),
    spec: fc.option(fc.record({ text }), { nil: undefined }),
    rest,
  })
  .map(({ metadata, spec, rest: { first, ...others } }): KubeObject => {
    const head = { apiVersion: 'v1', kind: 'Thing', metadata };
    const own = spec === undefined ? {} : { spec };
    return { ...(first ? { ...own, ...head } : { ...head, ...own }), ...others };
  });

const expectSame = (made: Encoded, of: KubeObject): void => {
  expect(JSON.parse(made.bytes.toString())).to.deep.equal(JSON.parse(JSON.stringify(of)));
  if (made.spec === undefined) return;
  const { from, to } = made.spec;
  expect(made.bytes.subarray(from, to).toString()).to.equal(JSON.stringify(of.spec));
  const without = Buffer.concat([made.bytes.subarray(0, from), Buffer.from('null'), made.bytes.subarray(to)]);
  expect(JSON.parse(without.toString())).to.deep.equal(JSON.parse(JSON.stringify({ ...of, spec: null })));
};

describe('encodeObject', () => {
  it('says what JSON.stringify says', () => {
    fc.assert(
      fc.property(object, object, (first, second) => {
        const before = encodeObject(first);
        expectSame(before, first);
        expect(before.spec !== undefined).to.equal((JSON.stringify(first.spec) ?? '').length >= LONG_SPEC);
        // The next version has the spec of the one before.
        const { spec: _spec, apiVersion, kind, metadata, ...others } = second;
        const next: KubeObject = {
          apiVersion,
          kind,
          metadata,
          ...(first.spec === undefined ? {} : { spec: first.spec }),
          ...others,
        };
        expectSame(encodeObject(next, before), next);
      }),
      { numRuns: 500 },
    );
  });
});
