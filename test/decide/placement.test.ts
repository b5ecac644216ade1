/**
 * Placement over generated worlds. Invariants:
 * - no pod is ever given more than its capacity, in any resource;
 * - no Run is placed twice while its first placement is neither confirmed nor released;
 * - a Run that stays has a reason: its shape is short on every schedulable pod, or an older Run is short of the same;
 * - a freed slot is used by the oldest Run that fits;
 * - the index fed with a sequence equals the index fed with its end state (restart equals continue).
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { type PlacementIndex, placementIndex, type Slot } from '../../src/decide/placement.js';
import { objectKey, type PodUid, type RunUid } from '../../src/model/ids.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { aPod, aRun, at, BASH, scheduledOn } from '../support/builders.js';

const slot = (name: string, overrides: Partial<Slot> = {}): Slot => ({
  uid: `uid-${name}` as PodUid,
  name,
  runtime: BASH,
  capacity: { runs: 4 },
  schedulable: true,
  ...overrides,
});

const indexWith = (...slots: ReadonlyArray<Slot>): PlacementIndex => {
  const index = placementIndex();
  index.setRuntime(BASH, true);
  for (const one of slots) index.setPod(one.uid, one);
  return index;
};

const placed = (index: PlacementIndex): ReadonlyArray<string> =>
  index.place().map(({ run, pod }) => `${run.name}→${pod.name}`);

describe('placementIndex', () => {
  it('places oldest first, in order of first sight within one second', () => {
    const index = indexWith(slot('p1', { capacity: { runs: 2 } }));
    for (const [name, ms] of [
      ['c', 2000],
      ['a', 1000],
      ['b', 1000],
    ] as const)
      index.setRun(aRun(name).key, aRun(name, { createdAt: at(ms) }), 0);
    expect(placed(index)).to.deep.equal(['a→p1', 'b→p1']);
    index.setRun(aRun('a').key, undefined, 0);
    expect(placed(index)).to.deep.equal(['c→p1']);
  });

  it('spreads over pods by free runs', () => {
    const index = indexWith(slot('p1'), slot('p2'));
    for (const name of ['a', 'b', 'c', 'd']) index.setRun(aRun(name).key, aRun(name), 0);
    const pods = placed(index).map((text) => text.split('→')[1]);
    expect(pods.filter((pod) => pod === 'p1')).to.have.length(2);
  });

  it('holds the capacity of an assumed placement until it is released', () => {
    const index = indexWith(slot('p1', { capacity: { runs: 1 } }));
    index.setRun(aRun('a').key, aRun('a'), 0);
    index.setRun(aRun('b').key, aRun('b'), 0);
    expect(placed(index)).to.deep.equal(['a→p1']);
    index.setRun(aRun('a').key, aRun('a', { resourceVersion: '2' }), 0);
    expect(placed(index)).to.deep.equal([]);
    index.release(aRun('a').key, aRun('a', { resourceVersion: '2' }), 0);
    expect(placed(index)).to.deep.equal(['a→p1']);
  });

  it('keeps the age of a Run that is parked', () => {
    const index = indexWith(slot('p1', { capacity: { runs: 1 } }));
    for (const name of ['a', 'b']) index.setRun(aRun(name).key, aRun(name), 0);
    expect(placed(index)).to.deep.equal(['a→p1']);
    index.park(aRun('a').key);
    expect(index.isWaiting(aRun('a').key)).to.equal(false);
    index.setRun(aRun('a').key, aRun('a'), 0);
    expect(placed(index), 'before b, which is as old').to.deep.equal(['a→p1']);
  });

  it('takes a Run that was deleted and made anew for another, younger one', () => {
    const index = indexWith(slot('p1', { capacity: { runs: 1 }, schedulable: false }));
    for (const name of ['a', 'b']) index.setRun(aRun(name).key, aRun(name), 0);
    const anew = aRun('a', { uid: 'uid-anew' as RunUid, createdAt: at(5000), requests: { runs: 1, gpu: 1 } });
    index.setRun(anew.key, anew, 0);
    index.setPod(slot('p1').uid, slot('p1', { capacity: { runs: 2, gpu: 1 } }));
    expect(placed(index)).to.deep.equal(['b→p1', 'a→p1']);
    expect(index.usedOf(slot('p1').uid)).to.deep.equal({ runs: 2, gpu: 1 });
  });

  it('places nothing for a Runtime that is gone, though its pods are still there', () => {
    const index = indexWith(slot('p1'));
    index.setRuntime(BASH, false);
    index.setRun(aRun('a').key, aRun('a'), 0);
    expect(placed(index)).to.deep.equal([]);
    index.setRuntime(BASH, true);
    expect(placed(index)).to.deep.equal(['a→p1']);
  });

  it('says when what a Run waits for may have turned: reason and capacities', () => {
    const index = indexWith(slot('p1', { schedulable: false }));
    const states = [index.poolState(BASH)];
    const see = (changes: boolean, what: string): void => {
      const state = index.poolState(BASH);
      expect(state !== states.at(-1), what).to.equal(changes);
      states.push(state);
    };
    index.setPod(slot('p1').uid, slot('p1'));
    see(true, 'ready');
    index.setPod(slot('p2').uid, slot('p2'));
    see(false, 'another of the kind');
    index.setPod(slot('p3').uid, slot('p3', { capacity: { runs: 8 } }));
    see(true, 'a larger one');
    index.setPod(slot('p2').uid, undefined);
    see(false, 'one of two gone');
    index.setPod(slot('p3').uid, undefined);
    see(true, 'the only large one gone');
  });

  it('does not take the old version of a confirmed placement for a return', () => {
    const index = indexWith(slot('p1', { capacity: { runs: 1 } }));
    index.setRun(aRun('a').key, aRun('a'), 0);
    expect(placed(index)).to.deep.equal(['a→p1']);
    index.confirm(aRun('a').key);
    index.setRun(aRun('a').key, aRun('a'), 0);
    expect(placed(index)).to.deep.equal([]);
    index.setRun(aRun('a').key, aRun('a', { resourceVersion: '3' }), 0);
    expect(placed(index), 'returned in a newer version').to.deep.equal(['a→p1']);
  });

  it('lets no younger Run pass that asks for what an older one is short of, but others pass', () => {
    const index = indexWith(slot('p1', { capacity: { runs: 4, gpu: 1 } }));
    index.setRun(objectKey('default', 'hog'), aRun('hog', { requests: { runs: 1, gpu: 1 } }), 0);
    expect(placed(index)).to.deep.equal(['hog→p1']);
    index.setRun(
      objectKey('default', 'gpu'),
      aRun('gpu', { createdAt: at(1000), requests: { runs: 1, gpu: 1 } }),
      0,
    );
    index.setRun(objectKey('default', 'cpu'), aRun('cpu', { createdAt: at(2000) }), 0);
    expect(placed(index), 'runs are not short').to.deep.equal(['cpu→p1']);
    index.setRun(objectKey('default', 'big'), aRun('big', { createdAt: at(3000), requests: { runs: 4 } }), 0);
    index.setRun(objectKey('default', 'small'), aRun('small', { createdAt: at(4000) }), 0);
    expect(placed(index), 'small must not starve big').to.deep.equal([]);
  });

  it('sets aside what no pod can ever hold', () => {
    const index = indexWith(slot('p1'));
    index.setRun(objectKey('default', 'huge'), aRun('huge', { requests: { runs: 5 } }), 0);
    index.setRun(objectKey('default', 'small'), aRun('small', { createdAt: at(1000) }), 0);
    expect(placed(index)).to.deep.equal(['small→p1']);
    expect(index.explain([objectKey('default', 'huge')])[0]).to.include({ reason: 'Unsatisfiable' });
  });

  it('explains with numbers', () => {
    const index = indexWith(slot('p1', { capacity: { runs: 1 } }));
    for (const name of ['a', 'b', 'c']) index.setRun(aRun(name).key, aRun(name), 0);
    index.place();
    expect(index.explain([aRun('c').key])[0]).to.include({
      reason: 'AtCapacity',
      message: '1/1 runs busy, 1 ahead',
    });
    expect(placementIndex().explain([aRun('c').key])).to.deep.equal([]);
  });

  it('says NoRuntime and NoReadyPods before anything of capacity', () => {
    const index = placementIndex();
    index.setRun(aRun('a').key, aRun('a'), 0);
    expect(index.explain([aRun('a').key])[0]?.reason).to.equal('NoRuntime');
    index.setRuntime(BASH, true);
    index.setPod(slot('p1').uid, slot('p1', { schedulable: false }));
    expect(index.explain([aRun('a').key])[0]?.reason).to.equal('NoReadyPods');
    expect(placed(index)).to.deep.equal([]);
  });

  it('keeps a retry out of the queue until its time', () => {
    const index = indexWith(slot('p1'));
    const retry = aRun('a', { status: { phase: 'Pending', attempt: 1, nextAttemptTime: at(5000) } });
    index.setRun(retry.key, retry, 4999);
    expect(placed(index)).to.deep.equal([]);
    index.setRun(retry.key, retry, 5000);
    expect(placed(index)).to.deep.equal(['a→p1']);
  });
});

type Act =
  | Readonly<{ act: 'create'; runs: number; gpu: number }>
  | Readonly<{ act: 'end' | 'confirm' | 'release'; which: number }>
  | Readonly<{ act: 'pod'; which: number; runs: number; gpu: number; schedulable: boolean; gone: boolean }>;

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant('create' as const),
      runs: fc.integer({ min: 1, max: 3 }),
      gpu: fc.integer({ min: 0, max: 2 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom('end', 'confirm', 'release' as const),
      which: fc.nat(50),
    }) as fc.Arbitrary<Act>,
  },
  {
    weight: 2,
    arbitrary: fc.record({
      act: fc.constant('pod' as const),
      which: fc.nat(3),
      runs: fc.integer({ min: 0, max: 6 }),
      gpu: fc.integer({ min: 0, max: 2 }),
      schedulable: fc.boolean(),
      gone: fc.boolean(),
    }),
  },
);

describe('placement', () => {
  it('keeps its invariants over any sequence of events', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const index = placementIndex();
        index.setRuntime(BASH, true);
        const slots = new Map<PodUid, Slot>();
        const runs = new Map<string, RunRecord>();
        const on = new Map<string, PodUid>();
        const assumed = new Set<string>();
        let version = 1;
        acts.forEach((a, i) => {
          const names = [...runs.keys()];
          const name =
            'which' in a && a.act !== 'pod' ? names[a.which % Math.max(1, names.length)] : undefined;
          const run = name === undefined ? undefined : runs.get(name);
          if (a.act === 'create') {
            const fresh = aRun(`r${i}`, {
              createdAt: at(i * 1000),
              requests: { runs: a.runs, ...(a.gpu > 0 ? { gpu: a.gpu } : {}) },
            });
            runs.set(fresh.name, fresh);
            index.setRun(fresh.key, fresh, 0);
          } else if (a.act === 'pod') {
            const one = slot(`p${a.which}`, {
              capacity: { runs: a.runs, gpu: a.gpu },
              schedulable: a.schedulable,
            });
            if (a.gone) slots.delete(one.uid);
            else slots.set(one.uid, one);
            index.setPod(one.uid, a.gone ? undefined : one);
          } else if (name !== undefined && run) {
            const pod = on.get(name);
            if (a.act === 'end') {
              runs.delete(name);
              on.delete(name);
              assumed.delete(name);
              index.setRun(run.key, undefined, 0);
            } else if (a.act === 'confirm' && pod !== undefined && assumed.has(name)) {
              version += 1;
              assumed.delete(name);
              index.confirm(run.key);
              const podName = pod.replace('uid-', '');
              index.setRun(
                run.key,
                { ...run, resourceVersion: String(version), status: scheduledOn(aPod(podName)) },
                0,
              );
            } else if (a.act === 'release' && assumed.has(name)) {
              assumed.delete(name);
              on.delete(name);
              index.release(run.key, run, 0);
            }
          }
          const before = new Map([...slots.keys()].map((uid) => [uid, index.usedOf(uid)]));
          for (const { run: r, pod } of index.place()) {
            expect(on.has(r.name), `${r.name} is placed already`).to.equal(false);
            on.set(r.name, pod.uid);
            assumed.add(r.name);
            expect(slots.get(pod.uid)?.schedulable, 'placed on a pod that takes no Runs').to.equal(true);
          }
          for (const [uid, one] of slots) {
            const used = index.usedOf(uid);
            const held = [...on].filter(([, pod]) => pod === uid).map(([n]) => runs.get(n));
            for (const resource of ['runs', 'gpu']) {
              const sum = held.reduce((total, r) => total + (r?.requests[resource] ?? 0), 0);
              expect(used[resource] ?? 0, `${resource} counted on ${one.name}`).to.equal(sum);
              const grew = (used[resource] ?? 0) > (before.get(uid)?.[resource] ?? 0);
              if (grew) expect(sum, `${resource} on ${one.name}`).to.be.at.most(one.capacity[resource] ?? 0);
            }
          }
          // Whoever still waits cannot be placed without passing an older Run that is short of the same.
          const open = [...slots.values()].filter(({ schedulable }) => schedulable);
          const free = (one: Slot, resource: string) =>
            (one.capacity[resource] ?? 0) - (index.usedOf(one.uid)[resource] ?? 0);
          const blocked = new Set<string>();
          for (const r of [...runs.values()].filter(({ key }) => index.isWaiting(key))) {
            const asks = Object.entries(r.requests);
            if ([...slots.values()].every((one) => asks.some(([res, n]) => (one.capacity[res] ?? 0) < n)))
              continue;
            const fits = open.some((one) => asks.every(([res, n]) => free(one, res) >= n));
            if (fits)
              expect(
                asks.some(([res]) => blocked.has(res)),
                `${r.name} fits and waits for nobody`,
              ).to.equal(true);
            else {
              const short = asks.filter(([res, n]) => !open.some((one) => free(one, res) >= n));
              for (const [res] of short.length > 0 ? short : asks) blocked.add(res);
            }
          }
        });
      }),
      { numRuns: 400 },
    );
  });
});
