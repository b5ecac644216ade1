/** The checker of histories, on histories made by hand: each broken promise is seen, and a good one is let be. */
import { expect } from 'chai';

import type { Run, RunStatus } from '../../src/model/run.js';
import { brokenPromises, type Line, parseLines } from './history.js';

const version = (status: RunStatus): Run => ({
  metadata: { name: 'r', uid: 'u', namespace: 'default', resourceVersion: '1', creationTimestamp: '' },
  spec: { runtime: 'bash' },
  status,
});
const line = (what: Line['what'], token: string, at: number, more: Partial<Line> = {}): Line => ({
  what,
  uid: 'u',
  attempt: 1,
  podUid: 'p',
  token,
  at,
  ...more,
});
const on = (phase: 'Scheduled' | 'Running', attempt = 1, assignedPodUID = 'p'): RunStatus => ({
  phase,
  attempt,
  assignedPodUID,
});
const succeeded = (attempt = 1, more: RunStatus = {}): RunStatus => ({
  ...on('Running', attempt),
  phase: 'Succeeded',
  outputs: { token: 't' },
  ...more,
});
const whole = [line('begin', 't', 10), line('end', 't', 90)];
const good = [{}, on('Scheduled'), on('Running'), succeeded()];
const lost = (podUID: string, reason = 'PodGone') => ({
  attemptHistory: [{ attempt: 1, podUID, reason }],
});

const broken = (statuses: ReadonlyArray<RunStatus>, lines: ReadonlyArray<Line>, capacity = 1) =>
  brokenPromises({ versions: new Map([['r', statuses.map(version)]]), lines, capacity });

describe('brokenPromises', () => {
  it('finds nothing in a Run that went well', () => {
    expect(broken(good, whole)).to.deep.equal([]);
  });

  it('finds nothing in an attempt that was lost, noted, and executed anew', () => {
    const again = [line('begin', 'x', 5, { podUid: 'q' }), ...whole];
    expect(
      broken([{}, on('Scheduled'), { attempt: 1 }, on('Scheduled'), succeeded(1, lost('q'))], again),
    ).to.deep.equal([]);
  });

  it('lets versions be missing that were not watched, and an end be for ever all the same', () => {
    const seen = (statuses: ReadonlyArray<RunStatus>) =>
      brokenPromises({
        versions: new Map([['r', statuses.map(version)]]),
        lines: whole,
        capacity: 1,
        hasGaps: true,
      });
    expect(seen([{}, succeeded()])).to.deep.equal([]);
    expect(seen([{}, succeeded(), on('Running')]).join()).to.contain('a phase steps where it may not');
  });

  const table: ReadonlyArray<readonly [string, ReadonlyArray<RunStatus>, ReadonlyArray<Line>]> = [
    ['a phase steps where it may not', [{}, on('Running'), succeeded()], whole],
    ['an end changes', [...good, succeeded(1, { exitCode: 3 })], whole],
    ['the attempt decreases', [{}, on('Scheduled', 2), on('Running', 1), succeeded()], whole],
    ['the attempt grows by more than one', [{}, on('Scheduled', 3), succeeded(3)], whole],
    ['does not end', [{}, on('Scheduled'), on('Running')], whole],
    ['executed, but not in the status', good, [...whole, line('begin', 'x', 95, { attempt: 2 })]],
    ['executed twice unnoticed', good, [line('begin', 'x', 5), ...whole]],
    [
      'executed twice unnoticed',
      [...good.slice(0, 3), succeeded(1, lost('elsewhere'))],
      [line('begin', 'x', 5), ...whole],
    ],
    [
      'two attempts live at one time',
      [
        {},
        on('Scheduled'),
        on('Running'),
        { phase: 'Pending', attempt: 1 },
        on('Scheduled', 2),
        succeeded(2),
      ],
      [
        line('begin', 'x', 5),
        line('end', 'x', 60),
        line('begin', 't', 20, { attempt: 2 }),
        line('end', 't', 50, { attempt: 2 }),
      ],
    ],
    ['a result that did not happen', good, [line('begin', 't', 10)]],
    ['a result that did not happen', good, [line('begin', 'x', 10), line('end', 'x', 90)]],
    ['executed, but there is no such Run', good, [...whole, line('begin', 'x', 5, { uid: 'other' })]],
    [
      'a pod executes 2 Runs and may 1',
      good,
      [...whole, line('begin', 'x', 20, { attempt: 1, uid: 'v' }), line('end', 'x', 70, { uid: 'v' })],
    ],
  ];
  for (const [claim, statuses, lines] of table)
    it(`sees that ${claim}`, () => {
      expect(broken(statuses, lines).map((text) => text.slice(0, claim.length))).to.include(claim);
    });
});

describe('parseLines', () => {
  it('reads what scripts write, and leaves out a line that was cut off', () => {
    expect(parseLines('begin u 2 p 7-1.5 12.25\nend u 2 p 7-1.5 13,5\nbegin u 2 p')).to.deep.equal([
      line('begin', '7-1.5', 12_250, { attempt: 2 }),
      line('end', '7-1.5', 13_500, { attempt: 2 }),
    ]);
  });
});
