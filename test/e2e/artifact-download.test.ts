/** `krt artifact`, as it ships, against everything that may go wrong on the way and everybody who may mean harm. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { runs } from '../../src/model/resources.js';
import { answer, type ControlPlane, startControlPlane } from './control-plane.js';

type Said = Readonly<{ code: number | null; out: string; err: string }>;

const LARGE_BYTES = 60_000_000;

describe('krt artifact', () => {
  let plane: ControlPlane;
  let target: string;
  const children = new Set<ChildProcess>();

  before(async function () {
    // kube-apiserver dials a kubelet's TCP port for a port-forward; the process kubelet has a socket alone.
    if (process.env.CLUSTER_BINARIES !== undefined) this.skip();
    plane = await startControlPlane({ replicas: 1 });
    await plane.create('large', {
      source: {
        inline: `head -c ${LARGE_BYTES} /dev/zero | tr '\\0' z > "$KRUNTIME_ARTIFACTS_DIR/big"; echo small > "$KRUNTIME_ARTIFACTS_DIR/small"`,
      },
    });
    expect((await plane.end('large')).status?.phase).to.equal('Succeeded');
  });
  after(() => plane?.stop());
  beforeEach(() => {
    target = mkdtempSync(join(tmpdir(), 'krt-download-'));
  });
  afterEach(() => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
    rmSync(target, { recursive: true, force: true });
  });

  const start = (...argv: ReadonlyArray<string>): Readonly<{ child: ChildProcess; done: Promise<Said> }> => {
    const child = spawn(process.execPath, ['dist/krt.js', '--kubeconfig', plane.kubeconfig, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.add(child);
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString();
    });
    const done = once(child, 'close').then(([code]): Said => {
      children.delete(child);
      return { code, out, err };
    });
    return { child, done };
  };
  const krt = (...argv: ReadonlyArray<string>): Promise<Said> => start(...argv).done;
  const digestOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
  /** Resolves when the file has more than so many bytes. */
  const untilLarger = (path: string, bytes: number): Promise<void> =>
    new Promise((resolve) => {
      const watcher = watch(target, () => {
        if (!existsSync(path) || statSync(path).size <= bytes) return;
        watcher.close();
        resolve();
      });
    });

  it('goes on where a killed download ended', async () => {
    const part = join(target, 'big.part');
    const first = start('artifact', 'download', 'large', 'big', '-d', target);
    await untilLarger(part, 5_000_000);
    first.child.kill('SIGKILL');
    await first.done;
    const had = statSync(part).size;
    expect(had).to.be.within(5_000_000, LARGE_BYTES - 1);
    // Proof that what is there is not fetched again: one byte of it is another now, and that is found out.
    const bytes = readFileSync(part);
    bytes[17] = 0;
    writeFileSync(part, bytes);
    const damaged = await krt('artifact', 'download', 'large', 'big', '-d', target);
    expect(damaged.err).to.match(/^krt: artifact "big" came damaged: 60000000 bytes with digest/);
    expect(damaged.code).to.equal(1);
    expect(readdirSync(target)).to.deep.equal([]);
    bytes[17] = 0x7a;
    writeFileSync(part, bytes);
    const { code, out } = await krt('artifact', 'download', 'large', 'big', '-d', target);
    expect(code).to.equal(0);
    expect(out).to.equal(`${join(target, 'big')}\n`);
    expect(readdirSync(target)).to.deep.equal(['big']);
    const run = await plane.end('large');
    expect(`sha256:${digestOf(join(target, 'big'))}`).to.equal(
      run.status?.artifactRefs?.find(({ name }) => name === 'big')?.digest,
    );
  });

  it('goes on by itself when the API server is killed in the middle', async () => {
    const download = start('artifact', 'download', 'large', 'big', '-d', target);
    await untilLarger(join(target, 'big.part'), 5_000_000);
    for (const pid of plane.pidsOf('apiserver.js')) process.kill(pid, 'SIGKILL');
    const { code, err } = await download.done;
    expect(err).to.equal('');
    expect(code).to.equal(0);
    expect(statSync(join(target, 'big')).size).to.equal(LARGE_BYTES);
  });

  it('says how far it is on a terminal, and nothing where there is none', async function () {
    if (spawnSync('script', ['--version']).error) {
      console.error('      skipped: script(1) is not here, which makes a terminal');
      return this.skip();
    }
    const command = `${process.execPath} dist/krt.js --kubeconfig ${plane.kubeconfig} artifact download large -d ${target}`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] });
    children.add(child);
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    await once(child, 'close');
    children.delete(child);
    expect(said).to.match(/big: [\d.]+ MiB of 57\.2 MiB/);
    expect(said).to.include(`${join(target, 'small')}\r\n`);
    const quiet = await krt('artifact', 'download', 'large', 'small', '-d', join(target, 'other'));
    expect(quiet).to.deep.equal({ code: 0, out: `${join(target, 'other', 'small')}\n`, err: '' });
  });

  it('fetches what a failed attempt left, kept apart from that of the others', async () => {
    await plane.create('tried', {
      source: {
        inline:
          'cd "$KRUNTIME_ARTIFACTS_DIR"; echo "$KRUNTIME_ATTEMPT" > n; [ "$KRUNTIME_ATTEMPT" = 2 ] || { mkdir d; echo x > d/x; exit 1; }',
      },
      retryPolicy: { maxAttempts: 2, backoff: '50ms' },
    });
    expect((await plane.end('tried')).status).to.include({ phase: 'Succeeded', attempt: 2 });
    const download = (...argv: ReadonlyArray<string>): Promise<Said> =>
      krt('artifact', 'download', 'tried', ...argv, '-d', target);
    const n = join(target, 'n');
    expect(await download()).to.deep.equal({ code: 0, out: `${n}\n`, err: '' });
    expect(readFileSync(n, 'utf8')).to.equal('2\n');
    const d = join(target, 'd.tar.gz');
    expect(await download('--attempt', '1')).to.deep.equal({ code: 0, out: `${d}\n${n}\n`, err: '' });
    expect(readFileSync(n, 'utf8')).to.equal('1\n');
    expect(spawnSync('tar', ['tzf', d], { encoding: 'utf8' }).stdout).to.equal('d/\nd/x\n');
    // Of the attempt that the status refers to, its digests are known.
    await plane.create('counted', { source: { inline: 'echo honest > "$KRUNTIME_ARTIFACTS_DIR/a"' } });
    const { metadata } = await plane.end('counted');
    writeFileSync(
      join(plane.dataDir, 'volumes/default/kruntimes-artifacts/default', metadata.uid, '1/a'),
      'forged\n',
    );
    expect((await krt('artifact', 'download', 'counted', '--attempt', '1', '-d', target)).err).to.match(
      /came damaged/,
    );
    expect((await download('--attempt', '3')).err).to.match(/^krt: attempt 3 of run tried has no artifacts/);
    expect((await download('n', 'other', '--attempt', '1')).err).to.match(
      /^krt: attempt 1 of run tried has no artifact other; it has d, n\n$/,
    );
    expect((await download('--attempt', 'x')).code).to.equal(2);
  });

  it('keeps nothing of an artifact that was changed in the store', async () => {
    await plane.create('changed', { source: { inline: 'echo honest > "$KRUNTIME_ARTIFACTS_DIR/a"' } });
    const { metadata } = await plane.end('changed');
    const stored = join(plane.dataDir, 'volumes/default/kruntimes-artifacts/default', metadata.uid, '1/a');
    writeFileSync(stored, 'forged\n');
    const { code, err } = await krt('artifact', 'download', 'changed', '-d', target);
    expect(err).to.match(/^krt: artifact "a" came damaged: 7 bytes with digest sha256:.*; try again\n$/);
    expect(code).to.equal(1);
    expect(readdirSync(target)).to.deep.equal([]);
  });

  it('writes to no path that a name or a link would lead it to', async () => {
    await plane.create('hostile', { source: { inline: 'echo x > "$KRUNTIME_ARTIFACTS_DIR/x"' } });
    const run = await plane.end('hostile');
    const [ref] = run.status?.artifactRefs ?? [];
    const inner = join(target, 'a/b');
    mkdirSync(inner, { recursive: true });
    for (const name of ['../../x', '..', '/etc/x', 'a/b', 'x\u001b[2J', 'x\n', '']) {
      // Whoever may write status writes what they like; the schema refuses some of it already.
      const patched = await answer(
        plane.kube.patch(
          runs,
          { namespace: 'default', name: 'hostile' },
          { type: 'merge', body: { status: { artifactRefs: [{ ...ref, name }] } } },
          { subresource: 'status' },
        ),
      ).then(
        () => true,
        () => false,
      );
      if (!patched) {
        expect(name).to.equal('');
        continue;
      }
      const { code, err } = await krt('artifact', 'download', 'hostile', '-d', inner);
      expect(err, name).to.match(/^krt: artifact ".*" .*; it is not written to a file\n$/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      expect(err.trimEnd(), name).to.not.match(/[\x00-\x1f\x7f-\x9f]/);
      expect(code, name).to.equal(1);
      const listed = await krt('artifact', 'list', 'hostile');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      expect(listed.out.replaceAll('\n', ''), name).to.not.match(/[\x00-\x1f\x7f-\x9f]/);
    }
    expect(readdirSync(target, { recursive: true })).to.have.members(['a', join('a', 'b')]);
    // A link in the target folder is not followed, neither for the part nor for the whole.
    const outside = join(target, 'outside');
    writeFileSync(outside, 'mine\n');
    symlinkSync(outside, join(inner, 'small.part'));
    const refused = await krt('artifact', 'download', 'large', 'small', '-d', inner);
    expect(refused.err).to.match(
      /^krt: cannot write .*small\.part: it is a symbolic link; choose another folder/,
    );
    rmSync(join(inner, 'small.part'));
    symlinkSync(outside, join(inner, 'small'));
    expect((await krt('artifact', 'download', 'large', 'small', '-d', inner)).code).to.equal(0);
    expect(readFileSync(outside, 'utf8')).to.equal('mine\n');
    expect(readFileSync(join(inner, 'small'), 'utf8')).to.equal('small\n');
  });

  it('says where an artifact is when no running pod has its store', async () => {
    await plane.patchRuntime('bash', { spec: { replicas: 0 } });
    await plane.whenNoPods();
    const { code, err } = await krt('artifact', 'download', 'large', 'small', '-d', target);
    expect(err).to.match(/kruntimes-artifacts\/default\/[^ ]+\/1\/small/);
    expect(code).to.equal(1);
  });
});
