/**
 * JSON patch.
 *
 * Invariants: the document before is never changed; replacing a value and replacing it back is the identity.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { ApiError } from '../../../../src/embedded/api/errors.js';
import type { Json } from '../../../../src/embedded/api/json.js';
import { jsonPatch } from '../../../../src/embedded/api/patch/json-patch.js';
import { mergePatch } from '../../../../src/embedded/api/patch/merge-patch.js';

const failure = (act: () => unknown): number | undefined => {
  try {
    act();
    return undefined;
  } catch (error) {
    return error instanceof ApiError ? error.code : -1;
  }
};

describe('jsonPatch', () => {
  it('leaves the document before as it was', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('a', 'b'), fc.array(fc.nat(9), { minLength: 1 }), { minKeys: 1 }),
        fc.nat(9),
        (document, value) => {
          const before = JSON.stringify(document);
          const [key = ''] = Object.keys(document);
          const after = jsonPatch(document, [
            { op: 'add', path: `/${key}/-`, value },
            { op: 'add', path: '/c', value: 1 },
            { op: 'remove', path: `/${key}/0` },
          ]);
          expect(JSON.stringify(document)).to.equal(before);
          expect(after).to.deep.equal({
            ...document,
            [key]: [...(document[key] ?? []), value].slice(1),
            c: 1,
          });
        },
      ),
    );
  });

  it('unescapes ~1 and ~0', () => {
    expect(jsonPatch({ 'a/b': { '~': 1 } }, [{ op: 'replace', path: '/a~1b/~0', value: 2 }])).to.deep.equal({
      'a/b': { '~': 2 },
    });
  });

  for (const [patch, code] of [
    [[{ op: 'test', path: '/a', value: 2 }], 422],
    [[{ op: 'test', path: '/b', value: 2 }], 422],
    [[{ op: 'remove', path: '/b' }], 422],
    [[{ op: 'replace', path: '/b', value: 1 }], 422],
    [[{ op: 'add', path: '/x/y', value: 1 }], 422],
    [[{ op: 'add', path: '/l/5', value: 1 }], 422],
    [[{ op: 'jump', path: '/a' }], 400],
    [[{ op: 'add', path: 'a', value: 1 }], 400],
    [{ op: 'add' }, 400],
  ] as const satisfies readonly (readonly [Json, number])[]) {
    it(`refuses ${JSON.stringify(patch)} with ${code}`, () => {
      expect(failure(() => jsonPatch({ a: 1, l: [] }, patch as unknown as Json))).to.equal(code);
    });
  }

  it('a test of null holds for what is absent, as in kube-apiserver', () => {
    expect(jsonPatch({ a: 1 }, [{ op: 'test', path: '/b', value: null }])).to.deep.equal({ a: 1 });
  });
});

describe('mergePatch', () => {
  const json = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.nat(3),
      fc.string({ maxLength: 2 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('value')),
    ) as fc.Arbitrary<Json>,
  })).value;

  it('is idempotent', () => {
    fc.assert(
      fc.property(json, json, (target, patch) => {
        const once = mergePatch(target, patch);
        expect(mergePatch(once, patch)).to.deep.equal(once);
      }),
    );
  });

  it('removes members that are null', () => {
    expect(mergePatch({ a: 1, b: { c: 1, d: 2 } }, { a: null, b: { c: null } })).to.deep.equal({
      b: { d: 2 },
    });
  });
});
