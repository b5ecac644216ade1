/**
 * Properties of a rollout or a scaling, over generated histories (pods become ready, fail, get and lose Runs in any order):
 *
 * - there are never more uncordoned pods than the wanted ones and a quarter (at least one);
 * - cordoning never leaves fewer serving pods than are wanted, unless there were fewer before;
 * - a pod with Runs is not removed before its drain limit is over;
 * - when pods behave, the plan reaches the wanted pods of the wanted revision, and then asks for nothing more.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { type PodsPlan, type PodsView, planPods } from '../../src/decide/plan-pods.js';
import type { PodRecord } from '../../src/model/pod.js';
import { aPod, aRuntime, at } from '../support/builders.js';

type SimPod = { record: PodRecord; ready: boolean; runs: number };

const view = (pods: ReadonlyArray<SimPod>, replicas: number, rest: Partial<PodsView> = {}): PodsView => {
  const byUid = new Map(pods.map((pod) => [pod.record.uid, pod]));
  return {
    runtime: aRuntime({ replicas }),
    revision: 'r2',
    pods: pods.map(({ record }) => record),
    expected: 0,
    busy: ({ uid }) => byUid.get(uid)?.runs ?? 0,
    isReady: ({ uid }) => byUid.get(uid)?.ready ?? false,
    createFromMs: 0,
    ...rest,
  };
};
const pod = (name: string, overrides: Partial<PodRecord> = {}, state: Partial<SimPod> = {}): SimPod => ({
  record: aPod(name, { revision: 'r2', ...overrides }),
  ready: true,
  runs: 0,
  ...state,
});
const names = (list: PodsPlan['cordon']): ReadonlyArray<string> =>
  list.map(({ pod: { name }, reason }) => `${name}: ${reason}`);
/** Well after every settling time, well within the drain limit of 30 s. */
const SOON_MS = 10_000;

describe('planPods', () => {
  it('creates what lacks, counting what was created and is not seen yet', () => {
    expect(planPods(view([], 3), 0)).to.deep.include({ create: 3, cordon: [], remove: [] });
    expect(planPods(view([pod('a')], 3, { expected: 1 }), 0).create).to.equal(1);
    expect(planPods(view([pod('a'), pod('b')], 3, { expected: 1 }), 0).create).to.equal(0);
  });

  it('counts neither a pod that is leaving nor one that has ended', () => {
    const leaving = [
      pod('a', { terminating: true }),
      pod('b', { finished: true }),
      pod('c', { cordonedSince: at(0) }),
    ];
    expect(planPods(view(leaving, 1), 0).create).to.equal(1);
  });

  it('creates nothing before the time for it, and says when that is', () => {
    expect(planPods(view([], 2, { createFromMs: 700 }), 699)).to.deep.include({ create: 0, againMs: 700 });
    expect(planPods(view([], 2, { createFromMs: 700 }), 700).create).to.equal(2);
    expect(planPods(view([], 2, { createFromMs: Infinity }), 0)).to.deep.include({
      create: 0,
      againMs: undefined,
    });
  });

  it('takes away pods that are not ready first, then idle ones, then the youngest', () => {
    const pods = [
      pod('old', { createdAt: at(1) }),
      pod('young', { createdAt: at(2) }),
      pod('busy', { createdAt: at(3) }, { runs: 1 }),
      pod('broken', { createdAt: at(0) }, { ready: false, runs: 2 }),
    ];
    const order = (wanted: number) => names(planPods(view(pods, wanted), 0).cordon);
    expect(order(3)).to.deep.equal(['broken: ScaledDown']);
    expect(order(2)).to.deep.equal(['broken: ScaledDown', 'young: ScaledDown']);
    expect(order(1)).to.deep.equal(['broken: ScaledDown', 'young: ScaledDown', 'old: ScaledDown']);
    expect(order(0)).to.have.length(4);
  });

  it('brings a new pod up before it cordons an old one', () => {
    const old = [pod('a', { revision: 'r1' }), pod('b', { revision: 'r1' })];
    expect(planPods(view(old, 2), 0)).to.deep.include({ create: 1, cordon: [] });
    const coming = [...old, pod('n', {}, { ready: false })];
    expect(planPods(view(coming, 2), 0)).to.deep.include({ create: 0, cordon: [] });
    const arrived = [...old, pod('n')];
    expect(names(planPods(view(arrived, 2), 0).cordon)).to.have.length(1);
  });

  it('does not wait for old pods that do not serve', () => {
    const old = [
      pod('a', { revision: 'r1' }, { ready: false }),
      pod('b', { revision: 'r1' }, { ready: false }),
    ];
    const plan = planPods(view(old, 2), 0);
    expect(plan.create).to.equal(2);
    expect(names(plan.cordon)).to.deep.equal(['a: Outdated', 'b: Outdated']);
  });

  it('removes an idle cordoned pod once it has settled, a busy one when its drain limit is over', () => {
    const cordoned = (runs: number) => [pod('c', { cordonedSince: at(1000) }, { runs })];
    expect(planPods(view(cordoned(0), 0), 1499)).to.deep.include({ remove: [], againMs: 1500 });
    expect(names(planPods(view(cordoned(0), 0), 1500).remove)).to.deep.equal(['c: Drained']);
    expect(planPods(view(cordoned(1), 0), 30_999)).to.deep.include({ remove: [], againMs: 31_000 });
    expect(names(planPods(view(cordoned(1), 0), 31_000).remove)).to.deep.equal(['c: Drained']);
  });

  it('takes the drain limit from the template', () => {
    const runtime = aRuntime({
      replicas: 0,
      spec: { template: { spec: { containers: [], terminationGracePeriodSeconds: 3600 } } },
    });
    const pods = [pod('c', { cordonedSince: at(0) }, { runs: 1 })];
    expect(planPods(view(pods, 0, { runtime }), 3_599_999)).to.deep.include({
      remove: [],
      againMs: 3_600_000,
    });
  });

  it('removes a pod that ended as a whole, once', () => {
    expect(names(planPods(view([pod('e', { finished: true })], 1), 0).remove)).to.deep.equal(['e: Ended']);
    expect(planPods(view([pod('e', { finished: true, terminating: true })], 1), 0).remove).to.deep.equal([]);
  });

  it('keeps its promises over any history', () => {
    const start = fc.array(
      fc.record({ old: fc.boolean(), ready: fc.boolean(), runs: fc.integer({ min: 0, max: 2 }) }),
      { maxLength: 6 },
    );
    const moves = fc.array(
      fc.record({
        which: fc.nat(20),
        move: fc.constantFrom('ready', 'unready', 'busy', 'idle', 'fail', 'plan'),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(start, moves, fc.integer({ min: 0, max: 5 }), (first, history, wanted) => {
        let counter = 0;
        let nowMs = 0;
        let pods: SimPod[] = first.map(({ old, ready, runs }) => {
          counter += 1;
          return pod(`p${counter}`, { revision: old ? 'r1' : 'r2', createdAt: at(counter) }, { ready, runs });
        });
        const staying = () =>
          pods.filter(
            ({ record }) => !record.finished && !record.terminating && record.cordonedSince === undefined,
          );
        const serving = () => staying().filter(({ ready }) => ready).length;
        const most = Math.max(wanted + Math.max(1, Math.ceil(wanted * 0.25)), pods.length);

        const act = (): boolean => {
          const plan = planPods(view(pods, wanted), nowMs);
          const before = serving();
          for (const { pod: removed } of plan.remove) {
            const sim = pods.find(({ record }) => record.uid === removed.uid);
            const early =
              removed.cordonedSince !== undefined && nowMs * 1000 < removed.cordonedSince + 30_000_000;
            expect(
              sim !== undefined && sim.runs > 0 && early && !removed.finished,
              'removed with Runs',
            ).to.equal(false);
          }
          const removed = new Set(plan.remove.map(({ pod: { uid } }) => uid));
          const cordoned = new Set(plan.cordon.map(({ pod: { uid } }) => uid));
          pods = pods
            .filter(({ record }) => !removed.has(record.uid))
            .map((sim) =>
              cordoned.has(sim.record.uid)
                ? { ...sim, record: { ...sim.record, cordonedSince: at(nowMs) } }
                : sim,
            );
          expect(serving(), 'serving pods').to.be.at.least(Math.min(wanted, before));
          for (let n = 0; n < plan.create; n += 1) {
            counter += 1;
            pods.push(pod(`p${counter}`, { createdAt: at(counter) }, { ready: false }));
          }
          expect(staying().length, 'pods').to.be.at.most(most);
          return plan.create + removed.size + cordoned.size > 0;
        };

        for (const { which, move } of history) {
          nowMs += 300;
          if (move === 'plan') {
            act();
            continue;
          }
          const index = pods.length === 0 ? -1 : which % pods.length;
          pods = pods.map((sim, n) => {
            if (n !== index) return sim;
            switch (move) {
              case 'ready':
                return { ...sim, ready: !sim.record.finished };
              case 'unready':
                return { ...sim, ready: false };
              case 'busy':
                return { ...sim, runs: sim.record.cordonedSince === undefined ? sim.runs + 1 : sim.runs };
              case 'idle':
                return { ...sim, runs: 0 };
              default:
                return { record: { ...sim.record, finished: true }, ready: false, runs: 0 };
            }
          });
        }
        // From here on pods behave.
        for (let round = 0; round < 40; round += 1) {
          nowMs += SOON_MS;
          pods = pods.map((sim) => ({ ...sim, ready: !sim.record.finished, runs: 0 }));
          act();
        }
        expect(act(), 'asks for more').to.equal(false);
        expect(pods.map(({ record }) => record.revision)).to.deep.equal(
          Array.from({ length: wanted }, () => 'r2'),
        );
      }),
      { numRuns: 400 },
    );
  });
});
