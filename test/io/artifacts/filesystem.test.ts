/** The filesystem driver: the contract, and what only a folder can show. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { filesystemStore } from '../../../src/io/artifacts/filesystem.js';
import { isWorthRetrying, putArtifact, StoreError } from '../../../src/io/artifacts/store.js';
import { chunks, describeStore, failureOf, keysOf } from './contract.js';

const plain = { contentType: 'text/plain' };

describe('filesystemStore', () => {
  let folder: string;
  const open = () => filesystemStore({ folder, claim: 'results', owner: 'pod-1' });
  before(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'krt-store-')), 'store');
  });
  after(() => rm(join(folder, '..'), { recursive: true, force: true }));

  describeStore(async () => open());

  it('keeps folders and files for its owner alone, and leaves no unfinished write', async () => {
    await putArtifact(open(), 'ns/modes/1/a', chunks('a'), plain);
    const mode = async (path: string): Promise<number> => (await stat(join(folder, path))).mode & 0o777;
    expect(await mode('ns/modes/1/a')).to.equal(0o600);
    expect(await Promise.all(['ns', 'ns/modes', 'ns/modes/1', '.uploads'].map(mode))).to.deep.equal(
      Array(4).fill(0o700),
    );
    expect(await readdir(join(folder, '.uploads'))).to.deep.equal([]);
  });

  it('sweeps the unfinished writes of its own pod and of those long gone, and no others', async () => {
    const uploads = join(folder, '.uploads');
    await mkdir(uploads, { recursive: true });
    for (const name of ['pod-1.x', 'pod-2.x', 'pod-3.x']) await writeFile(join(uploads, name), 'half');
    await utimes(join(uploads, 'pod-3.x'), 0, 0);
    await open().sweep();
    expect(await readdir(uploads)).to.deep.equal(['pod-2.x']);
    await rm(join(uploads, 'pod-2.x'));
  });

  it('says that the store is full, keeps nothing of it, and takes it when there is room', async function () {
    const small = await mkdtemp(join(tmpdir(), 'krt-small-'));
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'none', small], { stdio: 'ignore' });
    } catch {
      await rm(small, { recursive: true });
      this.skip(); // nobody but root may make a full disk
    }
    try {
      const full = filesystemStore({ folder: join(small, 'store'), claim: 'results', owner: 'pod-1' });
      const bytes = Buffer.alloc(300_000);
      const error = await failureOf(putArtifact(full, 'ns/uid/1/a', chunks(bytes, 65_536), plain));
      expect(error).to.be.instanceOf(StoreError).and.include({ kind: 'Full' });
      expect(String(error)).to.include('claim results').and.include('no room');
      expect(await keysOf(full, 'ns/uid/')).to.deep.equal([]);
      await putArtifact(full, 'ns/uid/1/a', chunks(bytes.subarray(0, 100_000), 65_536), plain);
      expect(await keysOf(full, 'ns/uid/')).to.deep.equal(['ns/uid/1/a']);
    } finally {
      execFileSync('umount', [small]);
      await rm(small, { recursive: true });
    }
  });

  it('says that a file system is read-only, as something that passes, and takes it afterwards', async function () {
    const disk = await mkdtemp(join(tmpdir(), 'krt-read-only-'));
    const mount = (...args: ReadonlyArray<string>): void =>
      void execFileSync('mount', [...args, disk], { stdio: 'ignore' });
    try {
      mount('-t', 'tmpfs', 'none');
    } catch {
      await rm(disk, { recursive: true });
      this.skip(); // nobody but root may mount
    }
    try {
      const store = filesystemStore({ folder: join(disk, 'store'), claim: 'results', owner: 'pod-1' });
      await putArtifact(store, 'ns/uid/1/a', chunks('a'), plain);
      mount('-o', 'remount,ro');
      const error = await failureOf(putArtifact(store, 'ns/uid/1/b', chunks('b'), plain));
      expect(isWorthRetrying(error)).to.equal(true);
      expect(String(error)).to.include('claim results').and.include('read-only');
      mount('-o', 'remount,rw');
      await putArtifact(store, 'ns/uid/1/b', chunks('b'), plain);
      expect(await keysOf(store, 'ns/uid/')).to.deep.equal(['ns/uid/1/a', 'ns/uid/1/b']);
    } finally {
      execFileSync('umount', [disk]);
      await rm(disk, { recursive: true });
    }
  });

  it('lists nothing where there is nothing', async () => {
    expect(await keysOf(open(), 'nobody/nothing/')).to.deep.equal([]);
  });
});
