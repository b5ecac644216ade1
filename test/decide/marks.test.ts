import { expect } from 'chai';

import { marks } from '../../src/decide/marks.js';
import { ARTIFACT_FINALIZER } from '../../src/model/names.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, runningOn } from '../support/builders.js';
import { allTold } from '../support/told.js';

const p1 = aPod('p1');
const stored = aRun('a', {
  status: runningOn(p1, { artifactStores: [{ driver: 's3', s3: { bucket: 'b' } }] }),
});

describe('marks', () => {
  const table: ReadonlyArray<readonly [string, Partial<RunRecord>, ReadonlyArray<string>]> = [
    ['a Run whose pod is about to store something', {}, ['MarkRun a']],
    ['one that has finalizers of others', { finalizers: ['x.io/a'] }, ['MarkRun a']],
    ['one that is marked', { finalizers: ['x.io/a', ARTIFACT_FINALIZER] }, []],
    ['one that stores nothing', { status: runningOn(p1) }, []],
    ['one that is being deleted, which takes no finalizers', { deleting: true }, []],
  ];
  for (const [name, overrides, expected] of table)
    it(`asks ${expected.length === 0 ? 'nothing' : 'for the finalizer'} of ${name}`, () =>
      expect(allTold(marks(aWorld().run({ ...stored, ...overrides })))).to.deep.equal(expected));
});
