import { expect } from 'chai';
import fc from 'fast-check';

import type { Json, JsonObject } from '../../../src/embedded/api/json.js';
import { sameBut, sameJson, without } from '../../../src/embedded/api/json.js';

describe('sameBut', () => {
  it('is sameJson of the two without the named members', () => {
    const name = fc.constantFrom('a', 'b', 'constructor');
    const value: fc.Arbitrary<Json | undefined> = fc.constantFrom<(Json | undefined)[]>(
      1,
      null,
      undefined,
      {},
      [1],
    );
    const object: fc.Arbitrary<JsonObject> = fc.dictionary(name, value, {
      maxKeys: 3,
      noNullPrototype: true,
    });
    fc.assert(
      fc.property(object, object, fc.subarray(['a', 'b', 'constructor']), (a, b, names) => {
        expect(sameBut(a, b, ...names)).to.equal(sameJson(without(a, ...names), without(b, ...names)));
      }),
      { numRuns: 1_000 },
    );
  });
});
