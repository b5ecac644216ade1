/** Ages and JSONPaths of tables. */
import { expect } from 'chai';

import { humanDuration } from '../../../../src/embedded/api/table/age.js';
import { atJsonPath } from '../../../../src/embedded/api/table/json-path.js';

describe('humanDuration', () => {
  for (const [seconds, text] of [
    [-5, '<invalid>'],
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [125, '2m5s'],
    [599, '9m59s'],
    [600, '10m'],
    [10_799, '179m'],
    [10_800, '3h'],
    [11_520, '3h12m'],
    [86_400, '24h'],
    [172_800, '2d'],
    [180_000, '2d2h'],
    [864_000, '10d'],
    [70_000_000, '2y80d'],
  ] as const) {
    it(`shows ${seconds} seconds as ${text}`, () => {
      expect(humanDuration(seconds * 1000)).to.equal(text);
    });
  }
});

describe('atJsonPath', () => {
  const object = {
    a: {
      b: [
        { n: 'x', v: 1 },
        { n: 'y', v: 2 },
      ],
    },
    'c.d': 'e',
  };
  for (const [path, expected] of [
    ['.a.b[0].v', [1]],
    ['.a.b[-1].v', [2]],
    ['.a.b[*].n', ['x', 'y']],
    ['.a.b[?(@.n=="y")].v', [2]],
    ["{.a.b[?(@.n!='y')].v}", [1]],
    ['.a.none', []],
    ["['c.d']", ['e']],
    ['.c\\.d', ['e']],
  ] as const) {
    it(`reads ${path}`, () => {
      expect(atJsonPath(object, path)).to.deep.equal(expected);
    });
  }
});
