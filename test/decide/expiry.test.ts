import { expect } from 'chai';

import { expiry, expiryMs, REFUSED_MS } from '../../src/decide/expiry.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, at, runningOn } from '../support/builders.js';
import { allTold, changed, failed } from '../support/told.js';

const ended = aRun('a', { ttlSeconds: 2, status: { phase: 'Failed', completionTime: at(500) } });

describe('expiryMs', () => {
  const table: ReadonlyArray<readonly [string, Partial<RunRecord>, number | undefined]> = [
    ['an ended Run: its time to live after its completion', {}, 2500],
    ['one that is kept for no time', { ttlSeconds: 0 }, 500],
    ['one without a time to live', { ttlSeconds: undefined }, undefined],
    ['one that runs', { status: runningOn(aPod('p1')) }, undefined],
    ['one that is being deleted', { deleting: true }, undefined],
  ];
  for (const [name, overrides, expected] of table)
    it(`is ${expected} for ${name}`, () => expect(expiryMs({ ...ended, ...overrides })).to.equal(expected));
});

describe('expiry', () => {
  it('deletes each Run once, at its time', () => {
    const w = aWorld();
    const machine = expiry(w.world);
    const b = aRun('b', { ttlSeconds: 1, status: { phase: 'Succeeded', completionTime: at(0) } });
    for (const run of [ended, b]) expect([...machine.apply(changed(w.run(run)), 0)]).to.deep.equal([]);
    expect(machine.dueMs?.()).to.equal(1000);
    expect(allTold(machine.wake?.(1000) ?? [])).to.deep.equal(['DeleteRun b']);
    expect(allTold(machine.wake?.(2499) ?? [])).to.deep.equal([]);
    expect(allTold(machine.wake?.(2500) ?? [])).to.deep.equal(['DeleteRun a']);
    expect(machine.dueMs?.()).to.equal(undefined);
  });

  it('follows ttlSecondsAfterFinished when it is changed, and forgets what is gone', () => {
    const w = aWorld();
    const machine = expiry(w.world);
    machine.apply(changed(w.run(ended)), 0);
    machine.apply(changed(w.run({ ...ended, ttlSeconds: 5 })), 0);
    expect(machine.dueMs?.()).to.equal(5500);
    machine.apply(changed(w.run({ ...ended, ttlSeconds: undefined })), 0);
    expect(machine.dueMs?.()).to.equal(undefined);
    machine.apply(changed(w.run(ended)), 0);
    machine.apply(changed(w.runGone(ended)), 0);
    expect(machine.dueMs?.()).to.equal(undefined);
  });

  it('takes the default where the Run says nothing, and never shortens what it says', () => {
    expect(expiryMs({ ...ended, ttlSeconds: undefined }, 60_000)).to.equal(60_500);
    expect(expiryMs(ended, 1)).to.equal(2500);
    expect(expiryMs({ ...ended, ttlSeconds: 0 }, 60_000)).to.equal(500);
  });

  it('asks again for a deletion that was refused, unless there is no reason for it any more', () => {
    const w = aWorld();
    const machine = expiry(w.world);
    machine.apply(changed(w.run(ended)), 0);
    const [command] = [...(machine.wake?.(2500) ?? [])];
    if (!command) throw new Error('no command');
    machine.apply(failed(command, 'Forbidden'), 2600);
    expect(machine.dueMs?.()).to.equal(2600 + REFUSED_MS);
    machine.apply(changed(w.run({ ...ended, deleting: true })), 2700);
    expect(machine.dueMs?.()).to.equal(undefined);
    machine.apply(failed(command, 'Forbidden'), 2800);
    expect(machine.dueMs?.()).to.equal(undefined);
  });
});
