/**
 * No execution has more processes than it may for long, however they hide, and nobody is asked about those that cannot.
 * The storms here stop by themselves at some hundred processes.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { expect } from 'chai';

import type { Tree } from '../../../src/io/processes/kill-tree.js';
import type { ProcessFact } from '../../../src/io/processes/proc.js';
import { ProcessTable } from '../../../src/io/processes/process-table.js';
import { EndCause, State } from '../../../src/proto/gen/executor.js';
import { ProcessBound } from '../../../src/runtimes/bash/process-bound.js';
import { commandLinesWith } from '../../e2e/pids.js';
import { type Harness, startHarness } from './harness.js';

const MOST = 50;

describe('an execution with too many processes', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ mostProcesses: MOST });
  });
  after(() => harness.stop());

  const storms = {
    'of its own group': 'for i in {1..200}; do sleep 987305 & done; wait',
    'in sessions of their own':
      'for i in {1..200}; do setsid -f sleep 987305 >/dev/null 2>&1; done; sleep 60',
    'without its environment':
      'for i in {1..200}; do (setsid env -i sleep 987305 >/dev/null 2>&1 &); done; sleep 60',
    'that double and then wait':
      'b() { (($1 > 0)) || exec sleep 987305; b $(($1 - 1)) & b $(($1 - 1)); }; b 8',
    'that double in sessions of their own':
      'set -- "$@" 8; (($1)) || exec sleep 987305; setsid bash script $(($1 - 1)) & exec bash script $(($1 - 1))',
  };
  for (const [kind, storm] of Object.entries(storms))
    it(`is killed with all of them, ${kind}, and its end says why`, async () => {
      const { exited } = await harness.client.run(storm);
      expect(exited).to.deep.include({
        code: 137,
        signal: 9,
        cause: EndCause.END_CAUSE_EXITED,
        errorMessage: `it had more than ${MOST} processes at once`,
      });
      expect(commandLinesWith('987305')).to.deep.equal([]);
    });

  it('is not one that leaves many behind that are over, whether somebody reaps them or not', async () => {
    const { exited } = await harness.client.run(
      `for i in {1..${3 * MOST}}; do (true &); done; sleep 0.3; echo done`,
    );
    expect([exited.code, exited.errorMessage]).to.deep.equal([0, '']);
  });

  it('is not one that had many one after the other, nor one of several that have many together', async () => {
    const some = `for i in {1..${MOST - 10}}; do sleep 60 & done; read -r _ < gate`;
    const { client } = harness;
    const many = await Promise.all(Array.from({ length: 3 }, () => client.script(`mkfifo gate\n${some}`)));
    const { exited } = await client.run(`for i in {1..${3 * MOST}}; do /bin/true; done; sleep 0.3`);
    expect([exited.code, exited.errorMessage]).to.deep.equal([0, '']);
    await Promise.all(
      many.map(async (id) => {
        await client.run(`echo > ../${id}/gate`);
        expect((await client.finish(id)).exited).to.include({ code: 0, errorMessage: '' });
      }),
    );
  });
});

describe('an execution that was killed for its processes', function () {
  this.timeout(30_000);
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ mostProcesses: MOST, stormRestMillis: 3_600_000 });
  });
  after(() => harness.stop());

  it('has not ended yet though nothing of it is left, until it is cancelled, and says why it was killed then, too', async () => {
    const { client } = harness;
    const storm = client.newId();
    execFileSync('mkfifo', [join(client.workDir, storm, 'held')]);
    await client.script(`exec 3>held; for i in {1..${4 * MOST}}; do sleep 987306 & done; wait`, {
      id: storm,
    });
    // Told when nobody holds it open any more.
    await client.run(`cat ../${storm}/held`);
    expect(commandLinesWith('987306')).to.deep.equal([]);
    expect((await client.status(storm)).state).to.equal(State.STATE_RUNNING);
    await client.cancel(storm);
    expect((await client.finish(storm)).exited).to.deep.include({
      code: 137,
      cause: EndCause.END_CAUSE_EXITED,
      errorMessage: `it had more than ${MOST} processes at once`,
    });
  });
});

/** A machine with one tree, led by process 100, and a clock that is turned by hand. Its members may carry its limit. */
const machine = (most: number, limit?: number) => {
  const all = new Map<number, ProcessFact>();
  let facts = 0;
  let starts = 0;
  let listings = 0;
  let lastPid = 100;
  const processes = new ProcessTable('TREE', {
    own: 1,
    ids: () => {
      listings += 1;
      return [...all.keys()];
    },
    ticks: () => lastPid,
    kin: (pid) => {
      facts += 1;
      return all.get(pid);
    },
    fact: (pid) => {
      starts += 1;
      return all.get(pid);
    },
    entry: () => '',
    limit: () => limit,
    lives: (pid) => all.has(pid),
  });
  let tick: (() => void) | undefined;
  const pauses: number[] = [];
  const bound = new ProcessBound(most, processes, {
    lastPid: () => lastPid,
    after: (ms, call) => {
      pauses.push(ms);
      tick = call;
      return () => {
        tick = undefined;
      };
    },
  });
  const fork = (count: number): void => {
    for (let i = 0; i < count; i += 1) {
      lastPid += 1;
      all.set(lastPid, { pid: lastPid, parent: 100, group: 100, session: 100, start: lastPid });
    }
  };
  const tree: Tree = {
    signs: { leader: 100, environEntry: 'TREE=100', realtimeLimit: 1 },
    since: { lastPid: 99, atMs: 0 },
    processes,
  };
  all.set(100, { pid: 100, parent: 1, group: 100, session: 100, start: 100 });
  return {
    all,
    bound,
    fork,
    tree,
    facts: () => facts,
    starts: () => starts,
    listings: () => listings,
    asks: () => tick !== undefined,
    /** Before each question, milliseconds. */
    pauses,
    /** One question, and all that follows from it. */
    ask: async () => {
      tick?.();
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    },
  };
};

describe('ProcessBound', () => {
  it('looks only when the ids given out since the last look could make too many', async () => {
    const { all, ask, bound, fork, listings, tree } = machine(10);
    const faults: string[] = [];
    bound.watch(tree, (fault) => faults.push(fault));
    fork(8);
    await ask();
    expect(listings()).to.equal(0);
    // Ids first, by their limits, which they do not have here; then the look.
    fork(1);
    await ask();
    expect(listings()).to.equal(2);
    // Eight of them end: two and eight may follow before there can be too many again.
    for (const pid of [...all.keys()].slice(2)) all.delete(pid);
    fork(1);
    await ask();
    fork(7);
    await ask();
    expect([listings(), faults]).to.deep.equal([4, []]);
    fork(2);
    await ask();
    expect(faults).to.deep.equal(['it had more than 10 processes at once']);
  });

  it('asks less and less often while few ids are given out, and soon again after a beginning or many', async () => {
    const { ask, bound, fork, pauses, tree } = machine(100);
    bound.watch(tree, () => undefined);
    for (let i = 0; i < 6; i += 1) await ask();
    expect(pauses.splice(0)).to.deep.equal([100, 200, 400, 800, 1000, 1000, 1000]);
    fork(12);
    await ask();
    fork(13);
    await ask();
    expect(pauses.splice(0)).to.deep.equal([1000, 100]);
    await ask();
    const unwatch = bound.watch(tree, () => undefined);
    expect(pauses.splice(0)).to.deep.equal([200, 100]);
    unwatch();
  });

  it('counts those that carry the limit without a read that could wait for one of them, and says who they are', async () => {
    const { ask, bound, facts, fork, starts, tree } = machine(10, 1);
    const faults: string[] = [];
    const told: number[] = [];
    bound.watch(tree, (fault, found) => {
      faults.push(fault);
      told.push(...found);
    });
    fork(10);
    await ask();
    expect([facts() + starts(), faults]).to.deep.equal([0, ['it had more than 10 processes at once']]);
    expect(told).to.deep.equal([110, 109, 108, 107, 106, 105, 104, 103, 102, 101, 100]);
  });

  it('counts those that a look has shown without such a read either', async () => {
    const { ask, bound, fork, starts, tree } = machine(10, 1);
    const faults: string[] = [];
    bound.watch(tree, (fault) => faults.push(fault));
    fork(9);
    const asked = ask();
    fork(5);
    await asked;
    expect([starts(), faults]).to.deep.equal([0, ['it had more than 10 processes at once']]);
  });

  it('lists the processes as often for five hundred trees as for one', async () => {
    const { ask, bound, fork, listings, tree } = machine(10);
    for (let i = 0; i < 500; i += 1)
      bound.watch(
        { ...tree, signs: { leader: 100 + i, environEntry: `TREE=${i}`, realtimeLimit: i } },
        () => {
          throw new Error('none of them has too many');
        },
      );
    fork(9);
    await ask();
    expect(listings()).to.equal(2);
  });

  it('asks nothing when nothing is watched', async () => {
    const { asks, bound, tree } = machine(10);
    expect(asks()).to.equal(false);
    const stop = bound.watch(tree, () => undefined);
    expect(asks()).to.equal(true);
    stop();
    expect(asks()).to.equal(false);
  });
});
