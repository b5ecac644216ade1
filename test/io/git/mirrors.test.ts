/**
 * What a pod keeps of repositories, bounded. Invariants, over any users that come, fetch, hold and go side by side:
 * - mirrors, those that are going included, and the fetches under way are never more than `diskBytes` together
 * - everybody comes to an end, also where each holds mirrors that fill the disk
 * - nobody loses a mirror that they hold
 */
import { cpSync, existsSync, mkdtempSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';
import * as fc from 'fast-check';

import { type Lease, Mirrors } from '../../../src/io/git/mirrors.js';
import { makeRepository } from '../../../src/io/git/repository.js';

const MAX = 1000;
const hashOf = (repo: number, commit: number): string => `${repo}${commit}`.padEnd(40, '0');

describe('Mirrors', () => {
  let folder: string;
  let mirrors: Mirrors;
  let reserved = 0;
  let pods = 0;
  let pod: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'krt-mirrors-'));
    reserved = 0;
  });
  // What is going may still be on its way.
  afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }));

  const open = async (diskBytes: number, cacheBytes = diskBytes): Promise<void> => {
    pods += 1;
    pod = join(folder, String(pods));
    mirrors = await Mirrors.open(pod, { cacheBytes, diskBytes });
  };
  const reserve = async (signal = new AbortController().signal): Promise<() => void> => {
    const giveBack = await mirrors.reserve(MAX, signal);
    reserved += MAX;
    return () => {
      reserved -= MAX;
      giveBack();
    };
  };
  /** As a fetch does it, the pack being of that size. */
  const fetch = async (repo: number, commit: number, size: number): Promise<Lease> => {
    const giveBack = await reserve();
    const lease = mirrors.lease(`https://h/${repo}`, 40);
    try {
      const scratch = mirrors.fetchFolder();
      await makeRepository(scratch, 40);
      const name = `pack-${hashOf(repo, commit)}`;
      writeFileSync(join(scratch, 'objects/pack', `${name}.pack`), Buffer.alloc(size));
      await lease.adopt(scratch, hashOf(repo, commit));
      return lease;
    } finally {
      giveBack();
    }
  };
  /**
   * Sizes of all packs, wherever they are at the moment, by inode: one that is moved while it is looked for may be met
   * twice. What goes while it is looked at counts as gone.
   */
  const packsOnDisk = (path = pod, sizes = new Map<number, number>()): Map<number, number> => {
    try {
      for (const entry of readdirSync(path, { withFileTypes: true })) {
        const below = join(path, entry.name);
        if (entry.isDirectory()) packsOnDisk(below, sizes);
        const stats = entry.name.endsWith('.pack') ? statSync(below, { throwIfNoEntry: false }) : undefined;
        if (stats) sizes.set(stats.ino, stats.size);
      }
    } catch {
      // The folder has gone.
    }
    return sizes;
  };
  const bytesOnDisk = (): number => [...packsOnDisk().values()].reduce((sum, size) => sum + size, 0);
  const packsIn = ({ objects }: Lease): number =>
    readdirSync(join(objects, 'pack')).filter((name) => name.endsWith('.pack')).length;

  it('keeps its invariants', () => {
    const user = fc.record({
      repo: fc.nat(2),
      commit: fc.nat(5),
      size: fc.integer({ min: 1, max: MAX }),
      turns: fc.nat(6),
    });
    return fc.assert(
      fc.asyncProperty(
        fc.array(user, { minLength: 1, maxLength: 14 }),
        fc.integer({ min: 500, max: 4 * MAX }),
        async (users, diskBytes) => {
          await open(diskBytes, Math.floor(diskBytes / 2));
          // One fetch alone has room however small the disk.
          const most = Math.max(diskBytes, MAX);
          const check = (): void => {
            expect(mirrors.bytes + reserved).to.be.at.most(most);
            expect(bytesOnDisk()).to.be.at.most(most);
          };
          // All of them, also after one has failed: the next try must not meet the users of this one.
          const ends = await Promise.allSettled(
            users.map(async ({ repo, commit, size, turns }) => {
              const kept = mirrors.lease(`https://h/${repo}`, 40);
              const has = kept.has(hashOf(repo, commit));
              if (!has) kept.release();
              const lease = has ? kept : await fetch(repo, commit, size);
              try {
                check();
                for (let turn = 0; turn < turns; turn += 1) {
                  await new Promise(setImmediate);
                  check();
                  expect(packsIn(lease)).to.be.greaterThan(0);
                }
              } finally {
                lease.release();
              }
              check();
            }),
          );
          for (const end of ends) if (end.status === 'rejected') throw end.reason;
        },
      ),
      { numRuns: 60 },
    );
  });

  it('makes room of what is not in use, the least recently used first', async () => {
    await open(3 * MAX);
    for (const repo of [0, 1]) (await fetch(repo, 0, MAX)).release();
    mirrors.lease('https://h/0', 40).release();
    (await fetch(2, 0, MAX)).release();
    (await fetch(3, 0, MAX)).release();
    const has = (repo: number): boolean => {
      const lease = mirrors.lease(`https://h/${repo}`, 40);
      lease.release();
      return lease.has(hashOf(repo, 0));
    };
    expect([0, 1, 2, 3].map(has)).to.deep.equal([true, false, true, true]);
  });

  it('retires a mirror that is always in use: who comes later begins anew, and who has it keeps it', async () => {
    await open(2 * MAX);
    const first = await fetch(0, 0, MAX);
    const second = await fetch(0, 1, MAX);
    const third = fetch(0, 2, 10);
    await new Promise(setImmediate);
    const late = mirrors.lease('https://h/0', 40);
    expect(late.has(hashOf(0, 0))).to.equal(false);
    late.release();
    first.release();
    expect(packsIn(second)).to.equal(2);
    second.release();
    const lease = await third;
    expect(lease.objects).to.not.equal(second.objects);
    expect([0, 1, 2].map((commit) => lease.has(hashOf(0, commit)))).to.deep.equal([false, false, true]);
    expect(existsSync(second.objects)).to.equal(false);
  });

  it('lets the next go when one that waits for room no longer wants it', async () => {
    await open(MAX);
    const giveBack = await reserve();
    const stop = new AbortController();
    const left = reserve(stop.signal).then(
      () => 'begun',
      () => 'left',
    );
    const next = reserve();
    stop.abort(new Error('cancelled'));
    expect(await left).to.equal('left');
    giveBack();
    (await next)();
  });

  it('takes the younger of two mirrors of one repository that an earlier life left', async () => {
    const root = join(folder, 'pod');
    const bounds = { cacheBytes: 10 * MAX, diskBytes: 10 * MAX };
    mirrors = await Mirrors.open(root, bounds);
    (await fetch(0, 0, 10)).release();
    const [name = ''] = readdirSync(join(root, 'mirrors'));
    // As a retired one that was in use when its runtimed was killed.
    const older = join(root, 'mirrors', name.replace(/\..*/, '.older'));
    cpSync(join(root, 'mirrors', name), older, { recursive: true });
    utimesSync(join(older, 'packed-refs'), 1000, 1000);
    mirrors = await Mirrors.open(root, bounds);
    expect(readdirSync(join(root, 'mirrors'))).to.deep.equal([name]);
    expect(mirrors.lease('https://h/0', 40).has(hashOf(0, 0))).to.equal(true);
  });
});
