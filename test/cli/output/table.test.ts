import { expect } from 'chai';

import { formatAge } from '../../../src/cli/output/age.js';
import { cell, table } from '../../../src/cli/output/table.js';

describe('table', () => {
  it('pads every column but the last to its widest cell', () => {
    expect(
      table(
        ['NAME', 'PHASE', 'AGE'],
        [
          ['a', 'Succeeded', '1s'],
          ['longer', 'x', '2m'],
        ],
      ),
    ).to.equal('NAME     PHASE       AGE\na        Succeeded   1s\nlonger   x           2m\n');
  });

  it('counts wide characters as two cells and combining ones as none', () => {
    expect(
      table(undefined, [
        ['日本', 'x'],
        ['e\u0301', 'y'],
        ['🚀', 'z'],
      ]),
    ).to.equal('日本   x\ne\u0301      y\n🚀     z\n');
  });
});

describe('cell', () => {
  for (const [value, text] of [
    [undefined, '<none>'],
    ['', '<none>'],
    [0, '0'],
    [false, 'false'],
    ['a\nb\u001b[2J', 'a b [2J'],
  ] as const)
    it(`${JSON.stringify(value)} → ${JSON.stringify(text)}`, () => {
      expect(cell(value)).to.equal(text);
    });
});

describe('formatAge', () => {
  const minute = 60;
  const hour = 60 * minute;
  const day = 24 * hour;
  for (const [seconds, text] of [
    [-5, '0s'],
    [0, '0s'],
    [119, '119s'],
    [120, '2m'],
    [3 * minute + 20, '3m20s'],
    [25 * minute + 3, '25m'],
    [3 * hour + 5 * minute, '3h5m'],
    [17 * hour + 59 * minute, '17h'],
    [2 * day + 4 * hour, '2d4h'],
    [9 * day + 4 * hour, '9d'],
    [3 * 365 * day + 30 * day, '3y30d'],
  ] as const)
    it(`${seconds} s → ${text}`, () => {
      expect(formatAge(seconds * 1000)).to.equal(text);
    });
});
