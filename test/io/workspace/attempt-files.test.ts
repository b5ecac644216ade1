/**
 * The files of attempts, with a stock of those of attempts that are over.
 *
 * Whatever an attempt did to its folders, the next one finds what a first one finds: an empty folder of the same
 * rights with its own script in it, and nothing of another's.
 */
import fs, {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import type { AttemptRef } from '../../../src/decide/sidecar/attempt.js';
import { type Folders, placesOf } from '../../../src/decide/sidecar/environment.js';
import { AttemptFiles } from '../../../src/io/workspace/attempt-files.js';
import { cleanWorkspace } from '../../../src/io/workspace/clean.js';
import type { RunUid } from '../../../src/model/ids.js';
import { mountSmallDisk } from '../../faults/small-disk.js';

const refOf = (uid: string): AttemptRef => ({ namespace: 'n', name: uid, uid: uid as RunUid, attempt: 1 });

/** How often each call of the file system is made meanwhile. */
const countCalls = async (act: () => Promise<unknown>): Promise<Readonly<Record<string, number>>> => {
  const real = { ...fs };
  const counts: Record<string, number> = {};
  const names = Object.keys(real).filter((name) => name.endsWith('Sync'));
  for (const name of names) {
    const call = Reflect.get(real, name) as (...args: unknown[]) => unknown;
    Reflect.set(fs, name, (...args: unknown[]) => {
      counts[name] = (counts[name] ?? 0) + 1;
      return call(...args);
    });
  }
  syncBuiltinESMExports();
  try {
    await act();
  } finally {
    for (const name of names) Reflect.set(fs, name, Reflect.get(real, name));
    syncBuiltinESMExports();
  }
  return counts;
};

describe('AttemptFiles', () => {
  let folder: string;
  let folders: Folders;
  let files: AttemptFiles;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'krt-files-'));
    folders = { work: join(folder, 'work'), state: join(folder, 'state') };
    files = await AttemptFiles.open(folders, 'pod');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const begin = async (uid: string, script: string | undefined): Promise<ReturnType<typeof placesOf>> => {
    const places = placesOf(folders, refOf(uid));
    files.writeRecord(refOf(uid), JSON.stringify({ uid }));
    await files.makeOwn(refOf(uid));
    await files.makeWorkspace(refOf(uid), script);
    return places;
  };
  const end = (uid: string): Promise<void> => cleanWorkspace(refOf(uid), files);
  const inodesOf = ({ workspace, own, artifacts, record }: ReturnType<typeof placesOf>): readonly number[] =>
    [workspace, join(workspace, 'script'), own, artifacts, record].map((path) => lstatSync(path).ino);
  /** What an attempt finds. */
  const found = ({ workspace, own, artifacts, record }: ReturnType<typeof placesOf>): unknown => ({
    workspace: readdirSync(workspace),
    own: readdirSync(own),
    artifacts: readdirSync(artifacts),
    record: readFileSync(record, 'utf8'),
    modes: [workspace, own, artifacts].map((path) => lstatSync(path).mode.toString(8)),
  });

  it('makes no new file or folder for an attempt that comes after one like it', async () => {
    const first = await begin('a', 'echo one');
    const inodes = inodesOf(first);
    writeFileSync(first.outputs, 'k=v\n');
    writeFileSync(join(first.workspace, 'left'), 'x');
    await end('a');
    for (const path of [first.workspace, first.own, first.record])
      expect(existsSync(path), path).to.equal(false);
    const second = await begin('b', 'two');
    expect(inodesOf(second)).to.deep.equal(inodes);
    expect(readFileSync(join(second.workspace, 'script'), 'utf8')).to.equal('two');
    expect(found(second)).to.deep.include({
      workspace: ['script'],
      own: ['artifacts'],
      artifacts: [],
      record: '{"uid":"b"}',
    });
  });

  it('asks little of the file system for an attempt that comes after one like it and leaves nothing', async () => {
    await begin('a', 'echo one');
    await end('a');
    const counts = await countCalls(async () => {
      await begin('b', 'two');
      await end('b');
    });
    // Each of record, workspace and what is beside it is moved into place, and back.
    expect(counts).to.deep.include({ renameSync: 6, openSync: 8, readdirSync: 3 });
    expect(Object.values(counts).reduce((sum, count) => sum + count)).to.be.at.most(42);
  });

  const tricks: Readonly<Record<string, (places: ReturnType<typeof placesOf>) => void>> = {
    'left much behind': ({ workspace }) => {
      for (let i = 0; i < 40; i += 1) writeFileSync(join(workspace, `f${i}`), 'x');
    },
    'left folders within folders': ({ workspace, artifacts }) => {
      for (const path of [workspace, artifacts]) mkdirSync(join(path, 'a/b/c'), { recursive: true });
    },
    'left names that are no UTF-8': ({ workspace, artifacts }) => {
      for (const path of [workspace, artifacts]) {
        const inner = Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xe4, 0xff])]);
        mkdirSync(inner);
        writeFileSync(Buffer.concat([inner, Buffer.from('/'), Buffer.from([0xfe])]), 'x');
        writeFileSync(Buffer.concat([Buffer.from(`${path}/f`), Buffer.from([0xff])]), 'x');
      }
    },
    'changed the rights of its folders': ({ workspace, own, artifacts }) => {
      for (const path of [artifacts, own, workspace]) chmodSync(path, 0o500);
    },
    'changed the rights of its script': ({ workspace }) => chmodSync(join(workspace, 'script'), 0o777),
    'removed its script': ({ workspace }) => unlinkSync(join(workspace, 'script')),
    'made its script a link': ({ workspace }) => {
      unlinkSync(join(workspace, 'script'));
      symlinkSync(join(folder, 'elsewhere'), join(workspace, 'script'));
    },
    'made its script a folder': ({ workspace }) => {
      unlinkSync(join(workspace, 'script'));
      mkdirSync(join(workspace, 'script'));
    },
    'removed its folders': ({ workspace, own }) => {
      for (const path of [workspace, own]) rmSync(path, { recursive: true });
    },
    'made links of its folders': ({ workspace, artifacts }) => {
      for (const path of [artifacts, workspace]) {
        rmSync(path, { recursive: true });
        symlinkSync(folder, path);
      }
    },
  };
  for (const [what, act] of Object.entries(tricks))
    it(`gives a fresh place to whoever comes after an attempt that ${what}`, async () => {
      writeFileSync(join(folder, 'elsewhere'), 'untouched');
      const fresh = found(await begin('zero', 'other'));
      await end('zero');
      const places = await begin('a', 'echo one');
      act(places);
      await end('a');
      for (const path of [places.workspace, places.own]) expect(existsSync(path), path).to.equal(false);
      const next = await begin('b', 'two');
      expect(found(next)).to.deep.equal({ ...(fresh as object), record: '{"uid":"b"}' });
      expect(lstatSync(join(next.workspace, 'script')).isFile()).to.equal(true);
      expect(readFileSync(join(next.workspace, 'script'), 'utf8')).to.equal('two');
      expect(readFileSync(join(folder, 'elsewhere'), 'utf8')).to.equal('untouched');
    });

  it('leaves a second name of the script what was in it', async () => {
    const { workspace } = await begin('a', 'echo one');
    linkSync(join(workspace, 'script'), join(folder, 'kept'));
    await end('a');
    await begin('b', 'two');
    expect(readFileSync(join(folder, 'kept'), 'utf8')).to.equal('echo one');
  });

  it('gives nothing out that was touched in the stock, and keeps no script there', async () => {
    await begin('a', 'echo secret');
    await end('a');
    const stock = join(folders.work, '.kruntimes', 'stock-pod-workspaces');
    const [name = ''] = readdirSync(stock);
    expect(readFileSync(join(stock, name, 'script'), 'utf8')).to.equal('\n');
    writeFileSync(join(stock, name, 'planted'), 'x');
    const { workspace } = await begin('b', 'two');
    expect(readdirSync(workspace)).to.deep.equal(['script']);
  });

  it('has no script for an attempt without one, and another for the attempt after that', async () => {
    await begin('a', 'echo one');
    await end('a');
    const { workspace } = await begin('b', undefined);
    expect(readdirSync(workspace)).to.deep.equal([]);
    await end('b');
    const last = await begin('c', 'three');
    expect(readFileSync(join(last.workspace, 'script'), 'utf8')).to.equal('three');
  });

  it('leaves nothing of a longer script behind a shorter one, of an empty one neither', async () => {
    for (const script of ['echo one; echo two; echo three', 'ls', '', 'echo größer']) {
      const { workspace } = await begin('a', script);
      expect(readFileSync(join(workspace, 'script'), 'utf8')).to.equal(script);
      await end('a');
    }
  });

  it('takes a place over that something was left in', async () => {
    await begin('a', 'one');
    await end('a');
    for (const path of [placesOf(folders, refOf('b')).workspace, placesOf(folders, refOf('b')).own]) {
      mkdirSync(path);
      writeFileSync(join(path, 'old'), 'x');
    }
    const places = await begin('b', 'two');
    expect(found(places)).to.deep.include({ workspace: ['script'], own: ['artifacts'], artifacts: [] });
  });

  it('tries out whether an attempt could be made, and leaves nothing of that', () => {
    const everything = (): ReadonlyArray<string> =>
      [folders.work, folders.state].flatMap((path) => readdirSync(path, { recursive: true }).map(String));
    const before = everything();
    expect(files.tryOut()).to.equal('');
    expect(everything()).to.deep.equal(before);
  });

  it('says why no attempt can be made on a full disk, and that it can when there is room', async function () {
    const work = join(folder, 'small');
    const disk = mountSmallDisk(work, 1);
    if (typeof disk === 'string') this.skip();
    try {
      const small = await AttemptFiles.open({ ...folders, work }, 'pod');
      disk.fill();
      expect(small.tryOut()).to.equal('ENOSPC');
      disk.free();
      expect(small.tryOut()).to.equal('');
    } finally {
      disk.unmount();
    }
  });

  it('wants a new beginning when its folder is gone', () => {
    rmSync(folders.work, { recursive: true });
    expect(() => files.tryOut()).to.throw('made anew');
  });
});
