/** Whether Runs of a deleted pod are placed again in time, on histories made by hand. */
import { expect } from 'chai';

import type { Run, RunStatus } from '../../src/model/run.js';
import { micros } from '../../src/model/time.js';
import { lateRedispatches } from './redispatch.js';

/** The pod `lost` is gone at this time, ms. */
const GONE_AT = 1000;

const run = (born: number, statuses: ReadonlyArray<RunStatus>): ReadonlyArray<Run> =>
  statuses.map((status, i) => ({
    metadata: {
      name: 'r',
      uid: `u${born}`,
      namespace: 'default',
      resourceVersion: String(born + i * 100),
      creationTimestamp: '',
    },
    spec: { runtime: 'bash' },
    status,
  }));
const on = (assignedPodUID: string, at: number): RunStatus => ({
  phase: 'Scheduled',
  attempt: 1,
  assignedPodUID,
  scheduledTime: micros(at * 1000),
});
const back = (at: number, more: RunStatus = {}): RunStatus => ({
  phase: 'Pending',
  attempt: 1,
  attemptHistory: [{ attempt: 1, podUID: 'lost', reason: 'PodGone', completionTime: micros(at * 1000) }],
  ...more,
});
const ended = (assignedPodUID: string, at: number): RunStatus => ({
  phase: 'Succeeded',
  assignedPodUID,
  completionTime: micros(at * 1000),
});
/** Takes one of two places of the pod that stays. */
const neighbour = run(1, [{}, on('stays', 100), ended('stays', 9000)]);

const late = (runs: ReadonlyArray<ReadonlyArray<Run>>): ReadonlyArray<string> =>
  lateRedispatches(
    new Map(runs.map((versions, i) => [`run-${i}`, versions])),
    [{ podUid: 'lost', at: GONE_AT }],
    { capacity: 2, withinMs: 2000 },
  );

describe('lateRedispatches', () => {
  it('finds nothing where the Run was placed soon', () => {
    expect(
      late([neighbour, run(2, [{}, on('lost', 200), back(1050), on('stays', 1100), ended('stays', 1500)])]),
    ).to.deep.equal([]);
  });

  it('finds a Run that was given back late', () => {
    expect(
      late([neighbour, run(2, [{}, on('lost', 200), back(3100), on('stays', 3101), ended('stays', 4000)])]),
    ).to.deep.equal(['given back 2100 ms after its pod was gone: run-1']);
  });

  it('finds a Run that waited although there was room', () => {
    expect(
      late([neighbour, run(2, [{}, on('lost', 200), back(1050), on('stays', 3100), ended('stays', 4000)])]),
    ).to.deep.equal(['placed 2100 ms after there was room: run-1']);
  });

  it('counts from when the retry is due, and from when there is room', () => {
    const busy = run(3, [{}, on('stays', 150), ended('stays', 4000)]);
    expect(
      late([
        neighbour,
        busy,
        run(2, [{}, on('lost', 200), back(1050), on('stays', 5900), ended('stays', 6000)]),
      ]),
    ).to.deep.equal([]);
    const due = micros(5_000_000);
    expect(
      late([
        neighbour,
        run(2, [
          {},
          on('lost', 200),
          back(1050, { nextAttemptTime: due }),
          on('stays', 6900),
          ended('stays', 7000),
        ]),
      ]),
    ).to.deep.equal([]);
  });

  it('gives the first room to the oldest, the second to the next', () => {
    const busy = run(9, [{}, on('stays', 150), ended('stays', 4000)]);
    const older = run(2, [{}, on('lost', 200), back(1050), on('stays', 4010), ended('stays', 7000)]);
    const younger = run(3, [{}, on('lost', 210), back(1051), on('stays', 7010), ended('stays', 8000)]);
    expect(late([neighbour, busy, older, younger])).to.deep.equal([]);
  });

  it('does not look at what ended on the pod, or left it before', () => {
    expect(
      late([
        run(2, [{}, on('lost', 200), ended('lost', 900)]),
        run(3, [{}, on('lost', 200), { phase: 'Pending' }, on('stays', 4000), ended('stays', 4100)]),
      ]),
    ).to.deep.equal([]);
  });
});
