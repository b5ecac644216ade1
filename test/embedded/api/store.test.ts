/**
 * The store.
 *
 * Invariants:
 * - whatever byte the log is cut at, recovery has exactly the changes whose records are whole, in order
 * - a history of puts and removals reads the same after a restart as before it, with and without snapshots
 * - nothing is visible to readers before it is durable
 */

import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';

import type { KubeObject } from '../../../src/embedded/api/object.js';
import { decodeRecords } from '../../../src/embedded/api/store/record.js';
import { Store } from '../../../src/embedded/api/store/store.js';
import { collectGarbage } from '../../support/collect-garbage.js';

const things = '/things';
const thing = (name: string, value: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Thing',
  metadata: { name, namespace: 'n' },
  value,
});
const contents = (store: Store): string[] =>
  [...store.list(things)].map(
    ({ object, revision }) => `${object.metadata.name ?? ''}=${String(object.value)}@${revision}`,
  );

/** How many changes there were: each opening goes on a billion revisions further. */
const written = ({ revision }: Store): number => revision % 1_000_000_000;

describe('Store', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kruntimes-store-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** The folder as a kill would leave it: room behind the records, the lock held by nobody. */
  const killed = (): string => {
    const copy = mkdtempSync(join(tmpdir(), 'kruntimes-killed-'));
    for (const name of readdirSync(folder).filter((entry) => /^(log|snapshot)-[0-9]+$/.test(entry)))
      writeFileSync(join(copy, name), readFileSync(join(folder, name)));
    return copy;
  };

  it('shows a change to readers when it is durable, to writers at once', async () => {
    const store = await Store.open({ folder });
    store.put(things, thing('a', '1'));
    expect(store.get(things, 'n', 'a')).to.equal(undefined);
    expect(store.head(things, 'n', 'a')?.object.value).to.equal('1');
    await store.durable();
    expect(store.get(things, 'n', 'a')?.object.value).to.equal('1');
    expect(store.revision).to.equal(1);
    await store.close();
  });

  it('decides on deletions that are not yet durable', async () => {
    const store = await Store.open({ folder });
    store.put(things, thing('a', '1'));
    store.remove(things, thing('a', '1'));
    expect(store.head(things, 'n', 'a')).to.equal(undefined);
    store.put(things, thing('a', '2'));
    expect(store.head(things, 'n', 'a')?.object.value).to.equal('2');
    await store.durable();
    expect(contents(store)).to.deep.equal(['a=2@3']);
    await store.close();
  });

  it('tells listeners each change once, in order, with what was before', async () => {
    const store = await Store.open({ folder });
    const heard: string[] = [];
    store.subscribe(things, ({ type, revision, entry, previous }) =>
      heard.push(`${type} ${String(previous?.object.value)}→${String(entry.object.value)}@${revision}`),
    );
    store.put(things, thing('a', '1'));
    store.put(things, thing('a', '2'));
    store.remove(things, thing('a', '2'));
    await store.durable();
    expect(heard).to.deep.equal(['ADDED undefined→1@1', 'MODIFIED 1→2@2', 'DELETED 2→2@3']);
    await store.close();
  });

  it('serves watches from before a restart as far as the log reaches', async () => {
    const first = await Store.open({ folder });
    first.put(things, thing('a', '1'));
    first.put(things, thing('b', '1'));
    first.remove(things, thing('a', '1'));
    await first.close();
    const second = await Store.open({ folder });
    expect(second.since(things, 1)?.map(({ type, revision }) => `${type}@${revision}`)).to.deep.equal([
      'ADDED@2',
      'DELETED@3',
    ]);
    expect(written(second)).to.equal(3);
    await second.close();
  });

  it('knows nothing after a revision that it lost, and gives none out again', async () => {
    const put = async (store: Store, name: string): Promise<number> => {
      const { revision } = store.put(things, thing(name, '1'));
      await store.durable();
      return revision;
    };
    const store = await Store.open({ folder });
    const kept = await put(store, 'a');
    const copy = killed();
    const lost = [await put(store, 'b'), await put(store, 'c')];
    await store.close();
    // Put back to what it was, and written at once, past all that is lost.
    const restored = await Store.open({ folder: copy });
    const next = [await put(restored, 'd'), await put(restored, 'e'), await put(restored, 'f')];
    const since = (revision: number) => restored.since(things, revision)?.map((event) => event.revision);
    expect(since(kept)).to.deep.equal(next);
    for (const revision of lost) expect(since(revision)).to.equal(undefined);
    expect(since((next[0] ?? 0) - 1)).to.deep.equal(next);
    expect(next[0]).to.be.greaterThan(lost[1] ?? 0);
    await restored.close();
    // As is said of what a record says was synced: that, and no more.
    const again = await Store.open({ folder: copy });
    expect(contents(again).map((text) => text.replace(/@.*/, ''))).to.deep.equal([
      'a=1',
      'd=1',
      'e=1',
      'f=1',
    ]);
    await again.close();
    rmSync(copy, { recursive: true, force: true });
  });

  it('takes a snapshot when the log is large, and forgets the history before it', async () => {
    const first = await Store.open({ folder, snapshotBytes: 2000 });
    for (let i = 0; i < 100; i += 1) {
      first.put(things, thing('a', String(i)));
      await first.durable();
    }
    first.put(things, thing('b', 'last'));
    const before = contents(first);
    await first.close();
    const names = readdirSync(folder);
    expect(names.filter((name) => name.startsWith('snapshot-'))).to.have.length(1);
    const second = await Store.open({ folder });
    // close() writes the last change before contents() of the first store could show it.
    await second.durable();
    expect(contents(second)).to.deep.equal([...before.filter((text) => text.startsWith('a=')), 'b=last@101']);
    expect(written(second)).to.equal(101);
    expect(second.since(things, 1)).to.equal(undefined);
    await second.close();
  });

  it('forgets changes after five minutes, also of what is written no more, and holds none of them', async () => {
    let nowMs = 1_000_000;
    const store = await Store.open({ folder, nowMs: () => nowMs });
    const put = async (resource: string, name: string): Promise<void> => {
      store.put(resource, thing(name, '1'));
      await store.durable();
    };
    await put(things, 'a');
    nowMs += 60_000;
    await put(things, 'b');
    const old = new WeakRef(store.since(things, 0)?.[0] ?? {});
    nowMs += 239_999;
    await put('/others', 'x');
    expect(store.since(things, 0)).to.have.length(2);
    expect(store.floor(things)).to.equal(0);
    nowMs += 1;
    await put('/others', 'y');
    expect(store.since(things, 0)).to.equal(undefined);
    expect(store.since(things, 1)?.map(({ revision }) => revision)).to.deep.equal([2]);
    nowMs += 60_000;
    await put('/others', 'z');
    expect(store.since(things, 1)).to.equal(undefined);
    expect(store.since(things, 2)).to.deep.equal([]);
    // A WeakRef that was read keeps its target until the turn is over.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(old.deref()).to.equal(undefined);
    await store.close();
  });

  it('forgets changes sooner where it is told so', async () => {
    let nowMs = 1_000_000;
    const store = await Store.open({ folder, nowMs: () => nowMs, historyMs: 5_000 });
    const put = async (value: string): Promise<void> => {
      store.put(things, thing('a', value));
      await store.durable();
    };
    await put('1');
    nowMs += 4_999;
    await put('2');
    expect(store.since(things, 0)).to.have.length(2);
    nowMs += 1;
    await put('3');
    expect(store.since(things, 0)).to.equal(undefined);
    expect(store.since(things, 1)).to.have.length(2);
    await store.close();
  });

  it('refuses a folder that is in use, and takes over one whose holder is gone', async () => {
    const store = await Store.open({ folder });
    const refused = await Store.open({ folder }).then(
      () => 'opened',
      (error: Error) => error.message,
    );
    expect(refused).to.contain('is in use by process');
    await store.close();
    writeFileSync(join(folder, 'lock'), '4194999 12345\n');
    await (await Store.open({ folder })).close();
  });

  it('goes on when a snapshot or a new log cannot be written, reads the same afterwards, and takes one later', async () => {
    const failures: Error[] = [];
    const options = { folder, snapshotBytes: 2000, onFatal: (error: Error) => failures.push(error) };
    const store = await Store.open(options);
    const putSome = async (from: number): Promise<void> => {
      for (let i = from; i < from + 40; i += 1) {
        store.put(things, thing(`p${i % 5}`, String(i)));
        await store.durable();
      }
    };
    // Neither file can be made where there is a folder.
    mkdirSync(join(folder, 'snapshot-2.tmp'));
    mkdirSync(join(folder, 'log-3'));
    await putSome(0);
    expect(readdirSync(folder)).to.include.members(['log-1', 'log-2']);
    rmdirSync(join(folder, 'snapshot-2.tmp'));
    rmdirSync(join(folder, 'log-3'));
    await putSome(40);
    const before = contents(store);
    await store.close();
    expect(failures).to.deep.equal([]);
    const names = readdirSync(folder);
    expect(names.filter((name) => name.startsWith('snapshot-'))).to.have.length(1);
    expect(names).to.not.include('log-1');
    const again = await Store.open(options);
    expect(contents(again)).to.deep.equal(before);
    await again.close();
  });

  it('removes what is left of a snapshot in whose writing it was killed', async () => {
    writeFileSync(join(folder, 'snapshot-2.tmp'), 'half of it');
    const store = await Store.open({ folder });
    expect(readdirSync(folder)).to.not.include('snapshot-2.tmp');
    await store.close();
  });

  it('refuses a snapshot that is damaged instead of losing objects silently', async () => {
    const store = await Store.open({ folder, snapshotBytes: 500 });
    for (let i = 0; i < 50; i += 1) {
      store.put(things, thing('a', String(i)));
      await store.durable();
    }
    await store.close();
    const [snapshot = ''] = readdirSync(folder).filter((name) => name.startsWith('snapshot-'));
    const path = join(folder, snapshot);
    truncateSync(path, readFileSync(path).length - 3);
    const refused = await Store.open({ folder }).then(
      () => 'opened',
      (error: Error) => error.message,
    );
    expect(refused).to.contain('is damaged at byte');
  });

  it('recovers from a log that is cut or garbled at any byte', async () => {
    const store = await Store.open({ folder });
    for (let i = 0; i < 6; i += 1) store.put(things, thing(`t${i % 3}`, String(i)));
    store.remove(things, thing('t0', '3'));
    await store.close();
    const log = readFileSync(join(folder, 'log-1'));
    const ends: number[] = [];
    for (let end = 0; end <= log.length; end += 1)
      if (decodeRecords(log.subarray(0, end)).validBytes === end) ends.push(end);
    // One says that nothing was synced before them.
    expect(ends).to.have.length(9);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: log.length }),
        fc.uint8Array({ maxLength: 20 }),
        async (cut, garbage) => {
          const other = mkdtempSync(join(tmpdir(), 'kruntimes-cut-'));
          try {
            const bytes = Buffer.concat([log.subarray(0, cut), ends.includes(cut) ? Buffer.of() : garbage]);
            writeFileSync(join(other, 'log-1'), bytes);
            // What was drawn may be what was cut off: that is whole, then.
            const difference = bytes.findIndex((byte, at) => byte !== log[at]);
            const intact = difference < 0 ? bytes.length : difference;
            const whole = Math.max(0, ends.filter((end) => end <= intact).length - 2);
            const recovered = await Store.open({ folder: other });
            expect(written(recovered)).to.equal(whole);
            // It goes on from there.
            recovered.put(things, thing('next', 'n'));
            await recovered.close();
            const again = await Store.open({ folder: other });
            expect(written(again)).to.equal(whole + 1);
            expect(again.get(things, 'n', 'next')?.object.value).to.equal('n');
            await again.close();
          } finally {
            rmSync(other, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('refuses a log that is damaged where it had been synced, wherever that is, and cuts off what was torn', async () => {
    const store = await Store.open({ folder });
    for (let i = 0; i < 6; i += 1) {
      store.put(things, thing(`t${i}`, 'v'));
      await store.durable();
    }
    // The last write has several records, which a disk may have written in any order when the power went.
    for (let i = 6; i < 9; i += 1) store.put(things, thing(`t${i}`, 'v'));
    await store.close();
    const log = readFileSync(join(folder, 'log-1'));
    const { records } = decodeRecords(log);
    const lastSynced = records.findLastIndex(({ kind }) => kind === 'S');
    const startOf = (index: number): number => {
      let at = 0;
      for (let n = 0; n < index; n += 1) at += 8 + log.readUInt32LE(at);
      return at;
    };
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: log.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, flipped) => {
          const other = mkdtempSync(join(tmpdir(), 'kruntimes-flip-'));
          try {
            const bytes = Buffer.from(log);
            bytes[at] = (bytes[at] ?? 0) ^ flipped;
            writeFileSync(join(other, 'log-1'), bytes);
            const opened = await Store.open({ folder: other }).catch((error: Error) => error.message);
            if (at < startOf(lastSynced)) {
              expect(opened).to.match(
                /log-1 is damaged at byte \d+, and more was written after it; .*truncate/,
              );
              return;
            }
            expect(opened).to.be.instanceOf(Store);
            if (!(opened instanceof Store)) return;
            expect(written(opened)).to.be.within(6, 9);
            await opened.close();
          } finally {
            rmSync(other, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('refuses a folder that lacks one of its logs', async () => {
    writeFileSync(join(folder, 'log-2'), '');
    const refused = await Store.open({ folder }).catch((error: Error) => error.message);
    expect(refused).to.match(/log-1 is missing; restore the folder/);
  });

  it('reads the same after a restart as before it, with snapshots in between', async () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      isRemoval: fc.boolean(),
      value: fc.string({ maxLength: 30 }),
      waits: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.constantFrom(300, 100_000),
        async (steps, snapshotBytes) => {
          const other = mkdtempSync(join(tmpdir(), 'kruntimes-history-'));
          try {
            const store = await Store.open({ folder: other, snapshotBytes });
            const model = new Map<string, string>();
            let revision = 0;
            for (const { name, isRemoval, value, waits } of steps) {
              if (isRemoval && !model.has(name)) continue;
              revision += 1;
              if (isRemoval) {
                store.remove(things, thing(name, value));
                model.delete(name);
              } else {
                store.put(things, thing(name, value));
                model.set(name, `${name}=${value}@${revision}`);
              }
              if (waits) await store.durable();
            }
            await store.close();
            const again = await Store.open({ folder: other });
            expect(contents(again)).to.deep.equal([...model.keys()].sort().map((name) => model.get(name)));
            expect(written(again)).to.equal(revision);
            await again.close();
          } finally {
            rmSync(other, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  const texts = (store: Store): string[] => [...store.list(things)].map(({ bytes }) => bytes.toString());
  /** A new version with another status, and, if asked, another spec. */
  const next = (store: Store, name: string, status: string, spec?: string): void => {
    const before = store.head(things, 'n', name)?.object;
    store.put(things, {
      ...thing(name, 'v'),
      spec: spec === undefined && before !== undefined ? before.spec : { source: spec ?? 'first' },
      status: { phase: status },
    });
  };

  it('a status costs what a status weighs: the log grows the same whatever the spec', async () => {
    const grown: number[] = [];
    for (const size of [3_000, 200_000]) {
      const other = mkdtempSync(join(tmpdir(), 'kruntimes-grown-'));
      const store = await Store.open({ folder: other });
      next(store, 'a', 'Pending', 'x'.repeat(size));
      await store.durable();
      const bytes = (): number => decodeRecords(readFileSync(join(other, 'log-1'))).validBytes;
      const from = bytes();
      for (const phase of ['Scheduled', 'Succeeded']) {
        next(store, 'a', phase);
        await store.durable();
      }
      grown.push(bytes() - from);
      await store.close();
      rmSync(other, { recursive: true, force: true });
    }
    expect(grown[1]).to.equal(grown[0]);
    expect(grown[0]).to.be.below(600);
  });

  it('reads back byte for byte what was durable before a kill, specs that were logged once included', async () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b'),
      change: fc.constantFrom('status', 'small', 'large', 'removal'),
      waits: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.constantFrom(4_000, 10_000_000),
        async (steps, snapshotBytes) => {
          rmSync(folder, { recursive: true, force: true });
          const store = await Store.open({ folder, snapshotBytes });
          for (const [i, { name, change, waits }] of steps.entries()) {
            const before = store.head(things, 'n', name)?.object;
            if (change !== 'removal')
              next(
                store,
                name,
                `${i}`,
                change === 'status' ? undefined : `${i}`.repeat(change === 'small' ? 1 : 2_000),
              );
            else if (before !== undefined) store.remove(things, before);
            if (waits) await store.durable();
          }
          await store.durable();
          const copy = killed();
          const again = await Store.open({ folder: copy });
          expect(texts(again)).to.deep.equal(texts(store));
          expect(written(again)).to.equal(store.revision);
          await again.close();
          await store.close();
          rmSync(copy, { recursive: true, force: true });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('takes the room behind the records of an older log for nothing, and anything else there for damage', async () => {
    const store = await Store.open({ folder });
    next(store, 'a', 'Pending', 'one');
    await store.durable();
    const copy = killed();
    await store.close();
    writeFileSync(join(copy, 'log-2'), '');
    const opened = await Store.open({ folder: copy });
    expect(texts(opened)).to.have.length(1);
    await opened.close();
    appendFileSync(join(copy, 'log-1'), 'x');
    let message = '';
    await Store.open({ folder: copy }).catch((error: unknown) => {
      message = String(error);
    });
    expect(message).to.match(/log-1 is damaged at byte/);
    rmSync(copy, { recursive: true, force: true });
  });
});
