/**
 * Invariants, over any order of ends, deletions and changes:
 * - of each Runtime at most `limit` finished Runs without a time to live of their own are left, and they are the newest;
 * - nothing else is ever deleted, and nothing twice.
 */
import { expect } from 'chai';
import * as fc from 'fast-check';

import { history, REFUSED_MS } from '../../src/decide/history.js';
import type { Command } from '../../src/model/command.js';
import { objectKey } from '../../src/model/ids.js';
import type { RunRecord } from '../../src/model/run-record.js';
import { aWorld } from '../support/a-world.js';
import { aRun, at } from '../support/builders.js';
import { allTold, changed, failed } from '../support/told.js';

const ended = (name: string, ms: number, overrides: Partial<RunRecord> = {}): RunRecord =>
  aRun(name, { status: { phase: 'Succeeded', completionTime: at(ms) }, ...overrides });

const step = fc.record({
  kind: fc.constantFrom('end', 'end', 'end', 'gone', 'ttl'),
  name: fc.nat(15).map((n) => `r${n}`),
  ms: fc.nat(50),
  runtime: fc.constantFrom('x', 'y'),
});

describe('history', () => {
  it('deletes the oldest when there are more than the limit', () => {
    const w = aWorld();
    const machine = history(w.world, 2);
    const end = (run: RunRecord) => allTold(machine.apply(changed(w.run(run)), 0));
    expect(end(ended('b', 20))).to.deep.equal([]);
    expect(end(ended('a', 10))).to.deep.equal([]);
    expect(end(aRun('waiting'))).to.deep.equal([]);
    expect(end(ended('c', 30))).to.deep.equal(['DeleteRun a']);
    expect(end(ended('a', 10, { deleting: true }))).to.deep.equal([]);
    expect(end(ended('d', 5))).to.deep.equal(['DeleteRun d']);
  });

  it('leaves Runs alone that say themselves how long they stay, and counts each Runtime by itself', () => {
    const w = aWorld();
    const machine = history(w.world, 1);
    const end = (run: RunRecord) => allTold(machine.apply(changed(w.run(run)), 0));
    expect(end(ended('a', 1))).to.deep.equal([]);
    expect(end(ended('b', 2, { ttlSeconds: 9 }))).to.deep.equal([]);
    expect(end(ended('c', 3, { runtime: objectKey('default', 'other') }))).to.deep.equal([]);
    expect(end(ended('b', 2))).to.deep.equal(['DeleteRun a']);
  });

  it('asks again for a deletion that was refused', () => {
    const w = aWorld();
    const machine = history(w.world, 0);
    const [command] = [...machine.apply(changed(w.run(ended('a', 1))), 0)];
    if (!command) throw new Error('no command');
    machine.apply(failed(command, 'Forbidden'), 10);
    expect(machine.dueMs?.()).to.equal(10 + REFUSED_MS);
    expect(allTold(machine.wake?.(10 + REFUSED_MS) ?? [])).to.deep.equal(['DeleteRun a']);
  });

  it('keeps the newest of each Runtime, whatever happens', () =>
    fc.assert(
      fc.property(fc.nat(4), fc.array(step, { maxLength: 80 }), (limit, steps) => {
        const w = aWorld();
        const machine = history(w.world, limit);
        const there = new Map<string, RunRecord>();
        const enact = (commands: Iterable<Command>): void => {
          for (const command of commands) {
            if (command.kind !== 'DeleteRun') throw new Error(command.kind);
            const victim = there.get(command.run.name);
            expect(victim?.uid, 'deleted twice').to.equal(command.run.uid);
            expect(victim?.ttlSeconds).to.equal(undefined);
            for (const other of there.values())
              if (other.runtime === victim?.runtime && other.ttlSeconds === undefined)
                expect(victim.status.completionTime).to.be.at.most(other.status.completionTime ?? 0);
            there.delete(command.run.name);
            enact(machine.apply(changed(w.runGone(command.run)), 0));
          }
        };
        for (const { kind, name, ms, runtime } of steps) {
          const known = there.get(name);
          if (kind === 'end' && !known) {
            const made = ended(name, ms, { runtime: objectKey('default', runtime) });
            there.set(name, made);
            enact(machine.apply(changed(w.run(made)), 0));
          } else if (kind === 'gone' && known) {
            there.delete(name);
            enact(machine.apply(changed(w.runGone(known)), 0));
          } else if (kind === 'ttl' && known) {
            const kept = { ...known, ttlSeconds: 9 };
            there.set(name, kept);
            enact(machine.apply(changed(w.run(kept)), 0));
          }
          for (const each of ['x', 'y']) {
            const counted = [...there.values()].filter(
              (one) => one.runtime === objectKey('default', each) && one.ttlSeconds === undefined,
            );
            expect(counted.length).to.be.at.most(limit);
          }
        }
      }),
    ));
});
