/** What a Run left, stored or refused: hostile names, links, special files, files that change, limits, a store that fails. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, readdirSync } from 'node:fs';
import { chmod, link, mkdir, mkdtemp, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

import { expect } from 'chai';
import * as tar from 'tar-stream';

import { type ArtifactLimits, DEFAULT_LIMITS } from '../../../src/decide/artifacts/rules.js';
import { filesystemStore } from '../../../src/io/artifacts/filesystem.js';
import { type KeepOptions, type Kept, keepArtifacts } from '../../../src/io/artifacts/keep.js';
import { Slots } from '../../../src/io/artifacts/slots.js';
import { type ArtifactStore, StoreError } from '../../../src/io/artifacts/store.js';
import { keysOf, textOf } from './contract.js';

const owner = { namespace: 'ns', uid: 'uid', attempt: 1 };

/** Entries of a tar.gz in their order. */
const unpack = async (
  archive: Buffer,
): Promise<ReadonlyArray<Readonly<{ header: tar.Headers; text: string }>>> => {
  const extract = tar.extract();
  extract.end(gunzipSync(archive));
  const entries: Array<Readonly<{ header: tar.Headers; text: string }>> = [];
  for await (const entry of extract) {
    const parts: Buffer[] = [];
    for await (const part of entry) parts.push(part as Buffer);
    entries.push({ header: entry.header, text: Buffer.concat(parts).toString() });
  }
  return entries;
};

describe('keepArtifacts', () => {
  let base: string;
  let root: string;
  let store: ArtifactStore;
  let options: KeepOptions;

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'krt-keep-'));
    root = join(base, 'artifacts');
    await mkdir(root);
    store = filesystemStore({ folder: join(base, 'store'), claim: 'c', owner: 'pod' });
    options = {
      store,
      limits: DEFAULT_LIMITS,
      slots: new Slots(4),
      now: () => '2026-01-01T00:00:00Z',
      mark: () => Promise.resolve(undefined),
      onRetry: () => undefined,
    };
  });
  afterEach(() => rm(base, { recursive: true, force: true }));

  const put = (name: string, text: string | Buffer) => writeFile(join(root, name), text);
  const keep = (more: Partial<KeepOptions> = {}): Promise<Kept> =>
    keepArtifacts({ path: base, steps: ['artifacts'] }, owner, { ...options, ...more });
  const limited = (limits: Partial<ArtifactLimits>) => keep({ limits: { ...DEFAULT_LIMITS, ...limits } });
  /** The message of a refusal, after which nothing may be in the store. */
  const refusal = async (kept: Kept): Promise<string> => {
    expect(await keysOf(store, 'ns/uid/')).to.deep.equal([]);
    if (kept.kind !== 'Invalid') throw new Error(`it is ${kept.kind}`);
    return kept.message;
  };
  const stored = async (name: string): Promise<Buffer> =>
    Buffer.from(await textOf(store, `ns/uid/1/${name}`), 'latin1');

  it('refers to a file with all that is to be known of it', async () => {
    await put('result.txt', 'artifact body\n');
    expect(await keep()).to.deep.equal({
      kind: 'Stored',
      refs: [
        {
          name: 'result.txt',
          type: 'file',
          driver: 'filesystem',
          location: 'c/ns/uid/1/result.txt',
          sizeBytes: 14,
          digest: `sha256:${createHash('sha256').update('artifact body\n').digest('hex')}`,
          contentType: 'text/plain; charset=utf-8',
          createdAt: '2026-01-01T00:00:00Z',
        },
      ],
    });
    expect((await stored('result.txt')).toString()).to.equal('artifact body\n');
  });

  it('has nothing to store of an empty folder, nor of one that was removed', async () => {
    expect(await keep()).to.deep.equal({ kind: 'None' });
    await rm(root, { recursive: true });
    expect(await keep()).to.deep.equal({ kind: 'None' });
  });

  it('stores a directory as one tar.gz, the same bytes whenever and by whomever it was written', async () => {
    const write = async (order: ReadonlyArray<string>, time: number): Promise<Buffer> => {
      await rm(root, { recursive: true });
      await mkdir(join(root, 'report/sub/empty'), { recursive: true });
      for (const name of order) {
        await put(`report/${name}`, `text of ${name}`);
        await utimes(join(root, 'report', name), time, time);
      }
      await chmod(join(root, 'report/run.sh'), 0o700);
      expect((await keep()).kind).to.equal('Stored');
      return stored('report');
    };
    const first = await write(['b.txt', 'a.txt', 'sub/c', 'run.sh'], 1000);
    const second = await write(['run.sh', 'sub/c', 'a.txt', 'b.txt'], 2_000_000);
    expect(second.equals(first)).to.equal(true);
    const entries = await unpack(first);
    expect(
      entries.map(({ header: { name, mode, uid, mtime }, text }) => [
        name,
        mode,
        uid,
        mtime?.getTime(),
        text,
      ]),
    ).to.deep.equal([
      ['report/', 0o755, 0, 0, ''],
      ['report/a.txt', 0o644, 0, 0, 'text of a.txt'],
      ['report/b.txt', 0o644, 0, 0, 'text of b.txt'],
      ['report/run.sh', 0o755, 0, 0, 'text of run.sh'],
      ['report/sub/', 0o755, 0, 0, ''],
      ['report/sub/c', 0o644, 0, 0, 'text of sub/c'],
      ['report/sub/empty/', 0o755, 0, 0, ''],
    ]);
  });

  it('stores a directory of many small files, and paths longer than a tar header', async () => {
    const files = process.env.KRT_LONG_TESTS ? 10_000 : 1_000;
    const deep = join('many', 'x'.repeat(200), 'y'.repeat(200));
    await mkdir(join(root, deep), { recursive: true });
    await put(join(deep, 'z'.repeat(200)), 'deep');
    for (let i = 0; i < files; i += 1) appendFileSync(join(root, 'many', `f${i}`), `${i}\n`);
    const kept = await keep();
    expect(kept.kind).to.equal('Stored');
    const entries = await unpack(await stored('many'));
    expect(entries.length).to.equal(files + 4);
    expect(entries.find(({ header }) => header.name === `${deep}/${'z'.repeat(200)}`)?.text).to.equal('deep');
    expect(entries.find(({ header }) => header.name === 'many/f777')?.text).to.equal('777\n');
  });

  it('refuses links, FIFOs, sockets and devices by name, in directories, too, and stores nothing then', async () => {
    await put('good', 'x');
    await symlink('/etc/shadow', join(root, 'secret'));
    expect(await refusal(await keep())).to.match(/^"secret" is a symbolic link/);
    await rm(join(root, 'secret'));
    await mkdir(join(root, 'dir'));
    await symlink('/etc', join(root, 'dir/etc'));
    expect(await refusal(await keep())).to.match(/^"dir\/etc" is a symbolic link/);
    await rm(join(root, 'dir/etc'));
    execFileSync('mkfifo', [join(root, 'dir/pipe')]);
    expect(await refusal(await keep())).to.match(/^"dir\/pipe" is a FIFO/);
    await rm(join(root, 'dir/pipe'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(root, 'sock'), resolve));
    expect(await refusal(await keep())).to.match(/^"sock" is a socket/);
    await new Promise((resolve) => server.close(resolve));
  });

  it('does not follow a link that took the place of the folder itself', async () => {
    await rm(root, { recursive: true });
    await symlink('/etc', root);
    expect(await refusal(await keep())).to.equal('$KRUNTIME_ARTIFACTS_DIR is no directory any more');
  });

  it('refuses names with control characters or other than UTF-8; "../../x" cannot be one', async () => {
    await put('two\nlines', 'x');
    expect(await refusal(await keep())).to.equal('"two\\nlines" has a control character in its name');
    await rm(join(root, 'two\nlines'));
    await writeFile(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0x61, 0xff])]), 'x');
    expect(await refusal(await keep())).to.match(/not UTF-8/);
    execFileSync('bash', ['-c', 'rm -- *; echo x > "../../x" 2>/dev/null || :; echo y > "..x"'], {
      cwd: root,
    });
    expect(readdirSync(root)).to.deep.equal(['..x']);
    expect((await keep()).kind).to.equal('Stored');
    await rm(join(tmpdir(), 'x'), { force: true });
  });

  it('holds each limit, naming what goes beyond it', async () => {
    await put('a', 'xxxxx');
    await mkdir(join(root, 'd/e/f'), { recursive: true });
    await put('d/1', 'xxx');
    await put('d/e/2', 'xxx');
    expect(await refusal(await limited({ count: 1 }))).to.match(/^there are 2 artifacts, at most 1/);
    expect(await refusal(await limited({ bytesEach: 4 }))).to.equal('"a" is larger than 4 bytes');
    expect(await refusal(await limited({ bytesEach: 5 }))).to.equal('"d" is larger than 5 bytes');
    expect(await refusal(await limited({ bytesInAll: 10 }))).to.equal(
      'the artifacts are larger than 10 bytes together',
    );
    expect(await refusal(await limited({ entries: 3 }))).to.match(/^"d" has more than 3 files/);
    expect(await refusal(await limited({ depth: 2 }))).to.match(/^"d" has more than 2 directories within/);
    expect((await limited({ count: 2, bytesEach: 6, bytesInAll: 11, entries: 4, depth: 3 })).kind).to.equal(
      'Stored',
    );
  });

  it('refuses a sparse file by the size it has, without reading it', async () => {
    await put('huge', '');
    await truncate(join(root, 'huge'), 1024 ** 4);
    expect(await refusal(await keep())).to.equal('"huge" is larger than 1 GiB');
  });

  it('keeps of a file that grows what was there, and refuses one that shrinks', async () => {
    const size = 1_000_000;
    await put('growing', Buffer.alloc(size, 'a'));
    await put('shrinking', Buffer.alloc(size, 'b'));
    const meddling = (name: string, act: () => Promise<void> | void): ArtifactStore => ({
      ...store,
      write: (key, bytes, more) => {
        const meddled = async function* (): AsyncGenerator<Buffer> {
          for await (const chunk of bytes) {
            if (key.endsWith(name)) await act();
            yield chunk;
          }
        };
        return store.write(key, meddled(), more);
      },
    });
    const shrunk = await keep({ store: meddling('shrinking', () => truncate(join(root, 'shrinking'), 10)) });
    expect(await refusal(shrunk)).to.equal('"shrinking" became shorter while it was stored');
    await rm(join(root, 'shrinking'));
    const grown = await keep({
      store: meddling('growing', () => appendFileSync(join(root, 'growing'), 'more')),
    });
    expect(grown.kind === 'Stored' && grown.refs.map(({ sizeBytes }) => sizeBytes)).to.deep.equal([size]);
    expect((await stored('growing')).equals(Buffer.alloc(size, 'a'))).to.equal(true);
  });

  it('is not led astray by what is put in the place of a file or a folder while others are stored', async () => {
    await mkdir(join(root, 'd/sub'), { recursive: true });
    await put('d/sub/file', 'mine');
    const swapped: ArtifactStore = {
      ...store,
      write: async (key, bytes, more) => {
        await rm(join(root, 'd/sub'), { recursive: true });
        await symlink('/etc', join(root, 'd/sub'));
        return store.write(key, bytes, more);
      },
    };
    expect(await refusal(await keep({ store: swapped }))).to.match(/^"d\/sub" is a symbolic link/);
    await rm(join(root, 'd/sub'));
    await put('f', 'mine');
    const replaced: ArtifactStore = {
      ...store,
      write: async (key, bytes, more) => {
        await link(join(root, 'f'), join(base, 'keeps-the-inode'));
        await rm(join(root, 'f'));
        await put('f', 'theirs');
        return store.write(key, bytes, more);
      },
    };
    await rm(join(root, 'd'), { recursive: true });
    expect(await refusal(await keep({ store: replaced }))).to.equal('"f" was replaced while it was stored');
  });

  it('tries again while the store is away, then stores the whole', async () => {
    await put('a', 'aaa');
    await mkdir(join(root, 'd'));
    await put('d/b', 'bbb');
    let failures = 0;
    const retries: string[] = [];
    const flaky: ArtifactStore = {
      ...store,
      write: async (key, bytes, more) => {
        if (failures < 2) {
          failures += 1;
          for await (const _chunk of bytes) break;
          throw new StoreError('Unavailable', 'claim c: reset');
        }
        return store.write(key, bytes, more);
      },
    };
    const kept = await keep({
      store: flaky,
      onRetry: (name, error) => retries.push(`${name}: ${error.message}`),
    });
    expect(kept.kind === 'Stored' && kept.refs.map(({ name }) => name)).to.deep.equal(['a', 'd']);
    expect([...retries].sort()).to.deep.equal(['a: claim c: reset', 'd: claim c: reset']);
    expect((await unpack(await stored('d'))).at(-1)?.text).to.equal('bbb');
  });

  it('gives up when its time is over or the store refuses, names the store, and leaves nothing there', async () => {
    await put('a', 'aaa');
    await put('b', 'bbb');
    const failing = (kind: 'Unavailable' | 'Refused'): ArtifactStore => ({
      ...store,
      write: async (key, bytes, more) => {
        if (key.endsWith('/a')) return store.write(key, bytes, more);
        throw new StoreError(kind, 's3://bucket: no such bucket');
      },
    });
    for (const kind of ['Unavailable', 'Refused'] as const)
      expect(await keep({ store: failing(kind), limitMs: 300 })).to.deep.equal({
        kind: 'Failed',
        message: 'artifacts could not be stored: s3://bucket: no such bucket',
        isTouched: true,
      });
    expect(await keysOf(store, 'ns/uid/')).to.deep.equal([]);
  });

  it('stores nothing of a Run that cannot be marked, and marks none that has nothing to store', async () => {
    let marks = 0;
    const mark = (): Promise<string> => {
      marks += 1;
      return Promise.resolve('the Run is being deleted');
    };
    expect(await keep({ mark })).to.deep.equal({ kind: 'None' });
    expect(marks).to.equal(0);
    await put('a', 'aaa');
    expect(await keep({ mark })).to.deep.equal({
      kind: 'Failed',
      message: 'artifacts were not stored: the Run is being deleted',
      isTouched: false,
    });
    expect(await keysOf(store, 'ns/uid/')).to.deep.equal([]);
  });

  it('sends no more at a time than there are slots, over all attempts', async () => {
    for (let i = 0; i < 8; i += 1) await put(`f${i}`, String(i));
    let [now, most] = [0, 0];
    const counted: ArtifactStore = {
      ...store,
      write: async (key, bytes, more) => {
        now += 1;
        most = Math.max(most, now);
        const location = await store.write(key, bytes, more);
        now -= 1;
        return location;
      },
    };
    const slots = new Slots(2);
    const kept = await Promise.all(
      [1, 2].map((attempt) =>
        keepArtifacts(
          { path: base, steps: ['artifacts'] },
          { ...owner, attempt },
          { ...options, store: counted, slots },
        ),
      ),
    );
    expect(kept.map(({ kind }) => kind)).to.deep.equal(['Stored', 'Stored']);
    expect(most).to.equal(2);
  });

  it('keeps its memory flat for 1 GiB', async function () {
    if (!process.env.KRT_LONG_TESTS) this.skip(); // 1 GiB through the disk: set KRT_LONG_TESTS
    await put('big', '');
    await truncate(join(root, 'big'), 1024 ** 3);
    const before = process.memoryUsage().rss;
    let most = 0;
    const watched: ArtifactStore = {
      ...store,
      write: (key, bytes, more) => {
        const each = async function* (): AsyncGenerator<Buffer> {
          for await (const chunk of bytes) {
            most = Math.max(most, process.memoryUsage().rss);
            yield chunk;
          }
        };
        return store.write(key, each(), more);
      },
    };
    expect((await keep({ store: watched })).kind).to.equal('Stored');
    expect((most - before) / 1024 ** 2, 'MiB of growth').to.be.below(64);
  });
});
