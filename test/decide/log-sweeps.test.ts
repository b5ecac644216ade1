/** When a store is looked through for logs that Runs which are gone have left, and by whom. */
import { expect } from 'chai';

import { EVERY_MS, LEAST_MS, logSweeps, SECOND_MS } from '../../src/decide/log-sweeps.js';
import type { WorldChange } from '../../src/model/world.js';
import { aWorld } from '../support/a-world.js';
import { aPod } from '../support/builders.js';
import { allTold } from '../support/told.js';

const [p1, p2] = [aPod('p1'), aPod('p2')];
const withStore = { artifactStore: 'claim c' };

const subject = () => {
  const w = aWorld();
  const machine = logSweeps(w.world);
  return {
    w,
    take: (change: WorldChange, nowMs: number) => allTold(machine.apply(change, nowMs)),
    due: () => machine.dueMs?.(),
    wake: (nowMs: number) => allTold(machine.wake?.(nowMs) ?? []),
  };
};
const by = (pod: string): ReadonlyArray<string> => [`SweepLogs in default of claim c by uid-${pod}`];

describe('logSweeps', () => {
  it('asks the first pod that has the store, and no other that comes', () => {
    const { w, take } = subject();
    for (const pod of [p1, p2]) take(w.pod(pod), 0);
    expect(take(w.opened(p1, withStore), 0)).to.deep.equal(by('p1'));
    expect(take(w.opened(p2, withStore), 1)).to.deep.equal([]);
    expect(take(w.changed(p1, { healthy: false }), LEAST_MS * 2)).to.deep.equal([]);
  });

  it('asks nobody without a store, nor a pod of a namespace that is not served', () => {
    const { w, take, due } = subject();
    take(w.pod(p1), 0);
    expect(take(w.opened(p1, { artifactStore: '' }), 0)).to.deep.equal([]);
    expect(take(w.opened(p2, withStore), 0)).to.deep.equal([]);
    expect(due()).to.equal(undefined);
    expect(take(w.pod(p2), 1)).to.deep.equal(by('p2'));
  });

  it('asks again when what was too young is old enough, then once a day, whoever is there', () => {
    const { w, take, due, wake } = subject();
    for (const pod of [p1, p2]) take(w.pod(pod), 0);
    take(w.opened(p1, withStore), 0);
    take(w.opened(p2, withStore), 0);
    expect(due()).to.equal(SECOND_MS);
    take(w.closed(p1), 5);
    expect(wake(SECOND_MS)).to.deep.equal(by('p2'));
    expect(due()).to.equal(SECOND_MS + EVERY_MS);
    expect(wake(SECOND_MS + EVERY_MS)).to.deep.equal(by('p2'));
    expect(due()).to.equal(SECOND_MS + 2 * EVERY_MS);
  });

  it('asks when a pod has the store again after there was none, but not every time one comes and goes', () => {
    const { w, take, due, wake } = subject();
    take(w.pod(p1), 0);
    take(w.opened(p1, withStore), 0);
    take(w.closed(p1), 1000);
    expect(take(w.opened(p1, withStore), 2000)).to.deep.equal([]);
    take(w.closed(p1), 3000);
    take(w.opened(p1, withStore), 4000);
    expect(due()).to.equal(LEAST_MS);
    expect(wake(LEAST_MS)).to.deep.equal(by('p1'));
    expect(due()).to.equal(LEAST_MS + SECOND_MS);
    take(w.closed(p1), LEAST_MS + 1);
    expect(wake(2 * LEAST_MS)).to.deep.equal([]);
    expect(due()).to.equal(undefined);
    expect(take(w.opened(p1, withStore), 3 * LEAST_MS)).to.deep.equal(by('p1'));
  });
});
