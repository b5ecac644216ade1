/**
 * The cache's indexes. Over any sequence of objects put, put again and removed (invariant): what is kept up to date by
 * changes is what a count of everything would give.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { phaseOf } from '../../../src/decide/lifecycle.js';
import { PHASES } from '../../../src/model/run.js';
import type { RunRecord } from '../../../src/model/run-record.js';
import { aWorld } from '../../support/a-world.js';
import { aPod, aRun, scheduledOn } from '../../support/builders.js';

const pods = ['p1', 'p2', 'p3'].map((name) => aPod(name));

const step = fc.record({
  name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  phase: fc.constantFrom(undefined, ...PHASES),
  pod: fc.constantFrom(...pods),
  isGone: fc.boolean(),
  requests: fc.record({ runs: fc.integer({ min: 0, max: 3 }), gpu: fc.integer({ min: 0, max: 2 }) }),
});

const sums = (runs: ReadonlyArray<RunRecord>): Record<string, number> => {
  const total: Record<string, number> = {};
  for (const { requests } of runs)
    for (const [resource, amount] of Object.entries(requests))
      total[resource] = (total[resource] ?? 0) + amount;
  return total;
};

describe('world', () => {
  it('knows what is on each pod and how many Runs are in each phase', () =>
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const w = aWorld();
        for (const { name, phase, pod, isGone, requests } of steps) {
          const status = phase === undefined ? {} : scheduledOn(pod, { phase });
          const run = aRun(name, { status, requests });
          if (!isGone) w.run(run);
          else if (w.world.runs.has(run.key)) w.runGone(run);
        }
        const all = [...w.world.runs.values()];
        for (const { uid } of pods) {
          const there = all.filter(
            ({ status: { phase, assignedPodUID } }) =>
              assignedPodUID === uid && (phase === 'Scheduled' || phase === 'Running'),
          );
          const { runs, amounts } = w.world.loadOf(uid);
          expect(w.world.runsOn(uid)).to.have.members(there);
          expect(runs).to.equal(there.length);
          expect({ runs: 0, gpu: 0, ...amounts }).to.deep.equal({ runs: 0, gpu: 0, ...sums(there) });
        }
        for (const phase of PHASES)
          expect(w.world.phases.get(phase)).to.equal(
            all.filter(({ status }) => phaseOf(status) === phase).length || undefined,
          );
      }),
    ));
});
