/** Which processes belong to which tree, and how often /proc is read to know it. */
import { expect } from 'chai';

import type { ProcessFact } from '../../../src/io/processes/proc.js';
import { trustMs } from '../../../src/io/processes/proc.js';
import { ProcessTable } from '../../../src/io/processes/process-table.js';
import { leastTreeLimit, type TreeSigns } from '../../../src/io/processes/tree.js';

type Fake = ProcessFact & Readonly<{ entry?: string | undefined; limit?: number; isOver?: boolean }>;

/** A machine of the test's own making, and a table that looks at it. */
const machine = ({ hasClock = true } = {}) => {
  const all = new Map<number, Fake>();
  const reads = { listings: 0, facts: 0, signs: 0 };
  let nowMs = 0;
  let limits = 0;
  const starts: number[] = [];
  const table = new ProcessTable(
    'TREE',
    {
      own: 1,
      ids: () => {
        reads.listings += 1;
        return [...all.keys()];
      },
      ticks: () => (hasClock ? Math.max(0, ...[...all.values()].map(({ start }) => start)) : undefined),
      kin: (pid) => {
        reads.facts += 1;
        return all.get(pid);
      },
      fact: (pid) => {
        reads.facts += 1;
        starts.push(pid);
        return all.get(pid);
      },
      entry: (pid) => {
        reads.signs += 1;
        const fake = all.get(pid);
        return fake && 'entry' in fake ? fake.entry : '';
      },
      limit: (pid) => {
        limits += 1;
        return all.get(pid)?.limit;
      },
      lives: (pid) => all.has(pid) && all.get(pid)?.isOver !== true,
    },
    () => nowMs,
  );
  const put = (fake: Partial<Fake> & Readonly<{ pid: number }>): void => {
    all.set(fake.pid, { parent: 1, group: fake.pid, session: fake.pid, start: fake.pid, ...fake });
  };
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { all, reads, table, put, pass, limitReads: () => limits, starts: () => starts };
};

const signs = (leader: number): TreeSigns => ({
  leader,
  environEntry: `TREE=${leader}`,
  realtimeLimit: 1_000_000 + leader,
});

const pids = (facts: readonly ProcessFact[]): readonly number[] =>
  facts.map(({ pid }) => pid).sort((a, b) => a - b);

describe('ProcessTable', () => {
  it('finds a member by its group, session, environment entry, limit or parent, and nobody else', async () => {
    const { table, put } = machine();
    put({ pid: 100, entry: 'TREE=100' });
    put({ pid: 101, group: 100, session: 100 });
    put({ pid: 102, session: 100 });
    put({ pid: 103, entry: 'TREE=100' });
    put({ pid: 104, limit: 1_000_100 });
    put({ pid: 105, parent: 104 });
    put({ pid: 200, entry: 'TREE=200' });
    put({ pid: 201, parent: 200 });
    put({ pid: 300 });
    await table.fresh();
    expect(pids(table.members(signs(100)))).to.deep.equal([100, 101, 102, 103, 104, 105]);
    expect(pids(table.members(signs(200)))).to.deep.equal([200, 201]);
  });

  it('knows a member again that has left session, parent and environment since it was first seen', async () => {
    const { all, table, put, pass } = machine();
    put({ pid: 100, entry: 'TREE=100' });
    put({ pid: 101, parent: 100, group: 100, session: 100 });
    await table.fresh();
    all.delete(100);
    put({ pid: 101, parent: 1, entry: '' });
    for (const ms of [0, trustMs + 1]) {
      pass(ms);
      await table.fresh();
      expect(pids(table.members(signs(100)))).to.deep.equal([101]);
    }
  });

  it('a child of a member is one even if both hide all signs and the member is gone', async () => {
    const { all, table, put } = machine();
    put({ pid: 100, entry: 'TREE=100' });
    put({ pid: 101, parent: 100 });
    await table.fresh();
    put({ pid: 102, parent: 101 });
    await table.fresh();
    all.delete(100);
    all.delete(101);
    await table.fresh();
    expect(pids(table.members(signs(100)))).to.deep.equal([102]);
  });

  for (const hasClock of [true, false])
    it(`does not take a process for another that had its id, ${hasClock ? 'by' : 'without'} the kernel's clock`, async () => {
      const { table, put, pass } = machine({ hasClock });
      put({ pid: 100, entry: 'TREE=100' });
      put({ pid: 101, parent: 100 });
      await table.fresh();
      put({ pid: 101, start: 5_000 });
      expect(pids(table.members(signs(100)))).to.deep.equal([100]);
      pass(trustMs + 1);
      await table.fresh();
      expect(pids(table.members(signs(100)))).to.deep.equal([100]);
    });

  it('reads a process again that was in the middle of its exec, and a kernel thread only twice', async () => {
    const { reads, table, put } = machine();
    put({ pid: 2, entry: undefined });
    put({ pid: 101, entry: undefined });
    await table.fresh();
    put({ pid: 101, entry: 'TREE=100' });
    await table.fresh();
    expect(pids(table.members(signs(100)))).to.deep.equal([101]);
    await table.fresh();
    expect(reads.signs).to.equal(4);
  });

  it('one listing serves all who ask in one turn, and each process is read once, however many trees there are', async () => {
    const { reads, table, put } = machine();
    const leaders = Array.from({ length: 500 }, (_, i) => 1_000 + i * 3);
    for (const pid of leaders) {
      put({ pid, entry: `TREE=${pid}` });
      put({ pid: pid + 1, parent: pid, session: pid, group: pid });
      put({ pid: pid + 2, parent: pid });
    }
    const found = await Promise.all(
      leaders.map(async (leader) => {
        await table.fresh();
        return table.members(signs(leader)).length;
      }),
    );
    expect(new Set(found)).to.deep.equal(new Set([3]));
    expect(reads).to.deep.equal({ listings: 1, facts: 1_500 + 1_500, signs: 1_000 });
    await table.fresh();
    expect(reads).to.deep.equal({ listings: 2, facts: 3_000, signs: 1_000 });
  });

  it('takes the signs of a session for those of its leader, whosever it is, and reads no others', async () => {
    const { reads, table, put } = machine();
    put({ pid: 300, entry: 'TREE=100', limit: 1_000_100 });
    put({ pid: 400 });
    for (let pid = 500; pid < 900; pid += 1) put({ pid, group: pid, session: pid < 700 ? 300 : 400 });
    // Seen before its leader, because ids began anew.
    put({ pid: 200, session: 300 });
    await table.fresh();
    expect(table.members(signs(100))).to.have.length(202);
    expect(reads.signs).to.equal(2);
    // What left such a session is a member by its parent, whatever it shows.
    put({ pid: 901, parent: 500 });
    await table.fresh();
    expect(table.members(signs(100))).to.have.length(203);
  });

  it('does not take the leader of a session for known whom it cannot see, or whose exec is under way', async () => {
    const { reads, table, put } = machine();
    put({ pid: 100, entry: undefined });
    put({ pid: 101, session: 100, entry: 'TREE=100' });
    put({ pid: 301, session: 300, entry: 'TREE=100' });
    await table.fresh();
    expect(pids(table.members(signs(100)))).to.deep.equal([100, 101, 301]);
    expect(reads.signs).to.equal(3);
  });

  it('asks only until it finds one that lives, and about none that was told already', async () => {
    const { all, reads, table, put } = machine();
    for (let pid = 100; pid < 600; pid += 1) put({ pid, session: 100 });
    await table.fresh();
    all.delete(100);
    const before = reads.facts;
    expect(table.lives(signs(100))).to.equal(true);
    expect(reads.facts - before).to.equal(2);
    const told = new Set(pids(table.members(signs(100))));
    put({ pid: 600, session: 100 });
    await table.fresh();
    expect(pids(table.members(signs(100), told))).to.deep.equal([600]);
    all.clear();
    expect(table.lives(signs(100))).to.equal(false);
  });

  it('leaves out of its looks what carries a condemned limit, and knows who carries it without a look', async () => {
    const { reads, table, put } = machine();
    put({ pid: 100, limit: 1_000_100 });
    await table.fresh();
    const pardon = table.condemn(signs(100));
    for (const pid of [101, 102]) put({ pid, limit: 1_000_100 });
    put({ pid: 103, limit: 1_000_103 });
    put({ pid: 104 });
    const before = reads.facts;
    await table.fresh();
    expect(reads.facts - before).to.equal(2);
    expect([...table.marked(signs(100))]).to.deep.equal([102, 101, 100]);
    pardon();
    await table.fresh();
    expect(pids(table.members(signs(100)))).to.deep.equal([100, 101, 102]);
  });

  it('does not ask one for its environment, which an exec keeps locked, that carries the limit of a tree, whosever', async () => {
    const { reads, table, put } = machine();
    const marked = { ...signs(100), realtimeLimit: leastTreeLimit + 100 };
    put({ pid: 100, limit: leastTreeLimit + 100 });
    put({ pid: 101, limit: leastTreeLimit + 100, entry: undefined });
    put({ pid: 200, limit: leastTreeLimit + 200, entry: undefined });
    put({ pid: 300, limit: leastTreeLimit - 1, entry: 'TREE=100' });
    // Below a member, with the limit of somebody else's tree.
    put({ pid: 102, limit: leastTreeLimit + 200, parent: 101 });
    await table.fresh();
    await table.fresh();
    expect(reads).to.deep.include({ facts: 5, signs: 1 });
    expect(pids(table.members(marked))).to.deep.equal([100, 101, 102, 300]);
  });

  it('asks one that carries the limit of a tree when it was started only when that is asked', async () => {
    const { pass, starts, table, put } = machine();
    const marked = { ...signs(100), realtimeLimit: leastTreeLimit + 100 };
    for (const pid of [101, 102]) put({ pid, limit: leastTreeLimit + 100 });
    put({ pid: 300 });
    for (const ms of [0, trustMs + 1]) {
      pass(ms);
      await table.fresh();
    }
    expect(starts()).to.deep.equal([300]);
    // One of the same tree has come to an id, and somebody else to another.
    put({ pid: 101, limit: leastTreeLimit + 100, start: 5_000 });
    put({ pid: 102, start: 5_000 });
    pass(trustMs + 1);
    await table.fresh();
    expect(pids(table.members(marked))).to.deep.equal([101]);
  });

  it('counts those that live, no further than is wanted, and asks none that carries the limit when it was started', async () => {
    const { all, limitReads, starts, table, put } = machine();
    for (let pid = 101; pid < 121; pid += 1) put({ pid, limit: 1_000_100 });
    put({ pid: 121, entry: 'TREE=100' });
    await table.fresh();
    all.delete(119);
    expect(table.living(signs(100), 50)).to.equal(20);
    // One that is gone, and one that carries none.
    expect(starts().toSorted()).to.deep.equal([119, 121]);
    const before = limitReads();
    expect(table.living(signs(100), 5)).to.equal(5);
    expect(limitReads() - before).to.be.at.most(8);
  });

  it('tells the suspects of several trees by one listing: whoever was seen is not asked, others if they live, newest first', async () => {
    const { limitReads, reads, table, put } = machine();
    put({ pid: 101, limit: 1_000_100 });
    await table.fresh();
    for (const pid of [102, 103]) put({ pid, limit: 1_000_100 });
    put({ pid: 104, limit: 1_000_100, isOver: true });
    put({ pid: 201, limit: 1_000_200 });
    put({ pid: 301 });
    const before = limitReads();
    const { facts, listings } = reads;
    expect(table.suspects([signs(100), signs(200), signs(300)])).to.deep.equal([
      { seen: [101], carriers: [103, 102] },
      { seen: [], carriers: [201] },
      { seen: [], carriers: [] },
    ]);
    expect([limitReads() - before, reads.facts - facts, reads.listings - listings]).to.deep.equal([5, 0, 1]);
  });

  it('asks one for a condemned limit once, for as long as its id means the same process', async () => {
    const { limitReads, pass, table, put } = machine();
    const pardon = table.condemn(signs(100));
    for (let pid = 101; pid < 201; pid += 1) put({ pid, limit: 1_000_100 });
    for (let look = 0; look < 5; look += 1) await table.fresh();
    expect(limitReads()).to.equal(100);
    pass(trustMs + 1);
    await table.fresh();
    expect(limitReads()).to.equal(200);
    pardon();
    await table.fresh();
    expect(table.members(signs(100))).to.have.length(100);
  });

  it('takes none for one that carries a limit that is over and that nobody has reaped', () => {
    const { table, put } = machine();
    put({ pid: 101, limit: 1_000_100 });
    put({ pid: 102, limit: 1_000_100, isOver: true });
    expect([...table.marked(signs(100))]).to.deep.equal([101]);
    expect([101, 102].map((pid) => table.carries(pid, signs(100)))).to.deep.equal([true, false]);
  });

  it('tells who carries a limit of those that were not told yet', async () => {
    const { limitReads, table, put } = machine();
    for (const pid of [101, 102, 103]) put({ pid, limit: 1_000_100 });
    expect([...table.marked(signs(100), new Set([101, 103]))]).to.deep.equal([102]);
    expect(limitReads()).to.equal(1);
  });

  it('does not ask again about one that was over, and knows it again if it was not', async () => {
    const { all, reads, table, put } = machine();
    for (const pid of [100, 101]) put({ pid, session: 100 });
    await table.fresh();
    const fact = all.get(101);
    all.delete(101);
    expect(pids(table.members(signs(100)))).to.deep.equal([100]);
    const before = reads.facts;
    expect(pids(table.members(signs(100)))).to.deep.equal([100]);
    expect(reads.facts - before).to.equal(1);
    if (fact !== undefined) put(fact);
    await table.fresh();
    expect(pids(table.members(signs(100)))).to.deep.equal([100, 101]);
  });

  it('does not read the signs of a process it was told of, but those of another that came to its id', async () => {
    const { reads, table, put } = machine();
    for (const pid of [100, 200, 300]) table.started(pid, `TREE=${pid}`);
    put({ pid: 100 });
    put({ pid: 200, parent: 7, group: 7, session: 7 });
    put({ pid: 300, group: 7, session: 7 });
    await table.fresh();
    expect(reads.signs).to.equal(2);
    expect([100, 200, 300].map((leader) => table.members(signs(leader)).length)).to.deep.equal([1, 0, 0]);
  });

  it('forgets who it was told of and has gone unseen', async () => {
    const { reads, table, put } = machine();
    table.started(100, 'TREE=100');
    await table.fresh();
    put({ pid: 100 });
    await table.fresh();
    expect(reads.signs).to.equal(1);
  });

  it('keeps the newest 1,024 of those it was told of', async () => {
    const { reads, table, put } = machine();
    for (let pid = 100; pid < 1_200; pid += 1) {
      table.started(pid, `TREE=${pid}`);
      put({ pid });
    }
    await table.fresh();
    expect(reads.signs).to.equal(1_100 - 1_024);
  });

  it('a look begins after it was asked for', async () => {
    const { table, put } = machine();
    const asked = table.fresh();
    put({ pid: 100 });
    await asked;
    expect(pids(table.members(signs(100)))).to.deep.equal([100]);
  });
});
