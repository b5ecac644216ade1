import { expect } from 'chai';

import { type Noted, notedIn, OF_SOAK, type Row, rowsOf } from './verdict.js';

const MINUTES = 40;
const RUNS_A_MINUTE = 100;

/** A soak of 40 minutes, read once in each, of an operator and two pods' runtimed. */
const soak = (what: string, value: (minute: number) => number, also: Record<string, number> = {}) =>
  Array.from({ length: MINUTES }, (_, i): ReadonlyArray<Noted> => {
    const atMs = (i + 1) * 60_000;
    const reading = { [what]: value(i), ...also };
    return [
      { name: OF_SOAK, atMs, reading: { runs: RUNS_A_MINUTE } },
      ...['controller', 'runtimed 1', 'runtimed 2'].map((name) => ({ name, atMs, reading })),
    ];
  }).flat();

const says = (noted: ReadonlyArray<Noted>, warmUpMs = 0): Readonly<Record<string, Row['says']>> =>
  Object.fromEntries(rowsOf(noted, { pods: 2, warmUpMs }).map((row) => [row.name, row.says]));

describe('rowsOf', () => {
  it('allows each process 256 bytes for each Run that it had', () => {
    // 20 KiB a minute: 205 bytes for each of the operator's Runs, 410 for each of a pod's.
    expect(says(soak('heap KiB', (minute) => 20 * minute))).to.deep.equal({
      'controller: heap KiB': 'flat',
      'runtimed 1: heap KiB': 'grows',
      'runtimed 2: heap KiB': 'grows',
    });
  });

  it('allows no growth of what is counted', () => {
    expect(says(soak('timers', (minute) => Math.floor(minute / 4)))['controller: timers']).to.equal('grows');
  });

  it('tells the slope a Run, of all readings after the warm-up', () => {
    const noted = soak('heap KiB', (minute) => (minute < 10 ? 5_000 : 50 * minute));
    const [first] = rowsOf(noted, { pods: 2, warmUpMs: 11 * 60_000 });
    expect(first).to.deep.include({ name: 'controller: heap KiB', samples: 30, first: 500, last: 1_950 });
    expect(first?.perRun).to.be.closeTo(0.5, 0.001);
  });

  it('judges what is resident as a whole only where its parts are not known, and never pages of files', () => {
    const rising = (minute: number): number => 1_000 * minute;
    expect(says(soak('resident KiB', rising))['controller: resident KiB']).to.equal('grows');
    const split = says(soak('resident KiB', rising, { 'resident native KiB': 9, 'resident mapped KiB': 9 }));
    expect(split['controller: resident KiB']).to.equal('only shown');
    expect(split['controller: resident mapped KiB']).to.equal('only shown');
    expect(says(soak('resident native KiB', rising))['controller: resident native KiB']).to.equal('grows');
  });

  it('says where there are too few readings to say anything', () => {
    expect(
      says(
        soak('heap KiB', () => 1),
        35 * 60_000,
      )['controller: heap KiB'],
    ).to.equal('too few');
  });
});

describe('notedIn', () => {
  it('reads what a soak has written, and refuses what it has not', () => {
    const noted = soak('heap KiB', (minute) => minute);
    expect(notedIn(noted.map((each) => `${JSON.stringify(each)}\n`).join(''))).to.deep.equal(noted);
    expect(() => notedIn('{"name":"controller"}')).to.throw('no reading');
  });
});
