/** Artifacts, end to end: the guide's section, hostile scripts, failed attempts, deletion. */

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { conditionOf } from '../../src/model/conditions.js';
import type { Run } from '../../src/model/run.js';
import { type ControlPlane, startControlPlane } from './control-plane.js';

describe('artifacts', () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane({ replicas: 1 });
  });
  after(() => plane.stop());

  const folder = (): string => join(plane.dataDir, 'volumes/default/kruntimes-artifacts');
  /** What the store has of a Run: `attempt/name`, sorted. */
  const stored = ({ metadata }: Run): ReadonlyArray<string> => {
    const path = join(folder(), 'default', metadata.uid);
    return existsSync(path)
      ? readdirSync(path, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
          .sort()
      : [];
  };
  const ended = async (name: string, inline: string, more: Record<string, unknown> = {}): Promise<Run> => {
    await plane.create(name, { source: { inline }, ...more });
    return plane.end(name);
  };

  it('keeps what the guide writes, on the control plane as it comes', async () => {
    const run = await ended(
      'guide',
      'mkdir -p "$KRUNTIME_ARTIFACTS_DIR"\necho "artifact body" > "$KRUNTIME_ARTIFACTS_DIR/result.txt"',
    );
    expect(run.status?.phase).to.equal('Succeeded');
    const [ref] = run.status?.artifactRefs ?? [];
    expect(ref).to.deep.include({
      name: 'result.txt',
      type: 'file',
      driver: 'filesystem',
      location: `kruntimes-artifacts/default/${run.metadata.uid}/1/result.txt`,
      sizeBytes: 14,
      digest: `sha256:${createHash('sha256').update('artifact body\n').digest('hex')}`,
    });
    expect(readFileSync(join(folder(), 'default', run.metadata.uid, '1/result.txt'), 'utf8')).to.equal(
      'artifact body\n',
    );
  });

  it('gives them out through krt, which needs nothing but the API server', async function () {
    // kube-apiserver dials a kubelet's TCP port for a port-forward; the process kubelet has a socket alone.
    if (process.env.CLUSTER_BINARIES !== undefined) this.skip();
    await ended(
      'given',
      'cd "$KRUNTIME_ARTIFACTS_DIR"; echo a > "a b.txt"; mkdir d; head -c 3000000 /dev/urandom > d/x',
    );
    const target = mkdtempSync(join(tmpdir(), 'krt-download-'));
    const krt = (...argv: ReadonlyArray<string>): string =>
      execFileSync(process.execPath, ['dist/krt.js', '--kubeconfig', plane.kubeconfig, ...argv], {
        encoding: 'utf8',
      });
    try {
      expect(krt('artifact', 'list', 'given', '-o', 'name')).to.equal('a b.txt\nd\n');
      const paths = krt('artifact', 'download', 'given', '-d', target).trim().split('\n');
      expect(paths).to.deep.equal([join(target, 'a b.txt'), join(target, 'd.tar.gz')]);
      expect(readFileSync(join(target, 'a b.txt'), 'utf8')).to.equal('a\n');
      const listed = execFileSync('tar', ['tzvf', join(target, 'd.tar.gz')], { encoding: 'utf8' });
      expect(listed).to.match(/ 3000000 .* d\/x\n/);
      await ended(
        'twice',
        'echo "$KRUNTIME_ATTEMPT" > "$KRUNTIME_ARTIFACTS_DIR/n$KRUNTIME_ATTEMPT"; exit 1',
        {
          retryPolicy: { maxAttempts: 2, backoff: '50ms' },
        },
      );
      expect(krt('artifact', 'list', 'twice', '-o', 'name')).to.equal('n2\n');
      expect(krt('artifact', 'list', 'twice', '--attempt', '1', '-o', 'name')).to.equal('n1\n');
      expect(krt('artifact', 'list', 'twice', '--attempt', 'all')).to.match(
        /^ATTEMPT +NAME +SIZE\n1 +n1 +2 B\n2 +n2 +2 B\n$/,
      );
    } finally {
      rmSync(target, { recursive: true });
    }
  });

  it('keeps a directory as one artifact, and nothing of a Run that has none', async () => {
    const run = await ended(
      'directory',
      'cd "$KRUNTIME_ARTIFACTS_DIR"; mkdir -p r/s; echo a > r/a; echo b > r/s/b; echo c > c.json',
    );
    expect(
      run.status?.artifactRefs?.map(({ name, type, contentType }) => [name, type, contentType]),
    ).to.deep.equal([
      ['c.json', 'file', 'application/json'],
      ['r', 'directory', 'application/gzip'],
    ]);
    const none = await ended('none', ':');
    expect(none.status).to.not.have.any.keys('artifactRefs', 'artifactStores');
  });

  it('fails a Run whose artifacts are links or special files, naming them, and stores nothing of it', async () => {
    const scripts: Readonly<Record<string, readonly [string, RegExp]>> = {
      link: ['echo x > good; ln -s /etc/shadow secret', /^artifact "secret" is a symbolic link/],
      fifo: ['mkdir d; mkfifo d/pipe', /^artifact "d\/pipe" is a FIFO/],
      swapped: [
        'cd ..; rm -rf artifacts; ln -s /etc artifacts',
        /^artifact \$KRUNTIME_ARTIFACTS_DIR is no directory/,
      ],
      newline: ['touch "a\nb"', /^artifact "a\\nb" has a control character/],
      many: ['touch $(seq 33)', /^artifact there are 33 artifacts, at most 32/],
      large: ['truncate -s 2G big', /^artifact "big" is larger than 1 GiB/],
    };
    for (const [name, [script, message]] of Object.entries(scripts)) {
      const run = await ended(`hostile-${name}`, `cd "$KRUNTIME_ARTIFACTS_DIR"; ${script}`);
      expect(run.status, name).to.include({ phase: 'Failed', exitCode: 0 });
      expect(conditionOf(run.status?.conditions, 'Completed')?.reason, name).to.equal('ArtifactInvalid');
      expect(run.status?.message, name).to.match(message);
      expect(stored(run), name).to.deep.equal([]);
    }
  });

  it('stores nothing that a script writes beside the folder', async () => {
    const run = await ended(
      'beside',
      'cd "$KRUNTIME_ARTIFACTS_DIR"; echo x > ../../x; echo x > ../y; mkdir -p ../../../z; echo ok > ok',
    );
    expect(run.status?.phase).to.equal('Succeeded');
    expect(run.status?.artifactRefs?.map(({ name }) => name)).to.deep.equal(['ok']);
    expect(stored(run)).to.deep.equal(['1/ok']);
  });

  it('stores of a file that another Run makes grow meanwhile what it says in status', async () => {
    await plane.create('grower', {
      source: {
        inline:
          'while :; do for f in "$PWD"/../.kruntimes/*/artifacts/big; do [ -f "$f" ] && echo more >> "$f"; done; done',
      },
      timeout: '60s',
    });
    await plane.whenRun('grower', ({ status }) => status?.phase === 'Running');
    const run = await ended('grown', 'head -c 50000000 /dev/zero > "$KRUNTIME_ARTIFACTS_DIR/big"');
    await plane.patchRun('grower', { spec: { cancelRequested: true } });
    expect(run.status?.phase, run.status?.message).to.equal('Succeeded');
    const [ref] = run.status?.artifactRefs ?? [];
    const bytes = readFileSync(join(folder(), 'default', run.metadata.uid, '1/big'));
    expect(ref?.sizeBytes).to.equal(bytes.length);
    expect(ref?.digest).to.equal(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    expect(bytes.length).to.be.at.least(50_000_000);
    await plane.end('grower');
  });

  it('keeps what a failed attempt left, apart from the next one', async () => {
    const inline =
      'echo "of $KRUNTIME_ATTEMPT" > "$KRUNTIME_ARTIFACTS_DIR/log.txt"; [ "$KRUNTIME_ATTEMPT" = 2 ]';
    const run = await ended('retried', inline, { retryPolicy: { maxAttempts: 3, backoff: '50ms' } });
    expect(run.status).to.include({ phase: 'Succeeded', attempt: 2 });
    expect(run.status?.artifactRefs?.map(({ location }) => location)).to.deep.equal([
      `kruntimes-artifacts/default/${run.metadata.uid}/2/log.txt`,
    ]);
    expect(stored(run)).to.deep.equal(['1/log.txt', '2/log.txt']);
    const failed = await ended('failed', 'echo why > "$KRUNTIME_ARTIFACTS_DIR/why"; exit 3');
    expect(failed.status).to.include({ phase: 'Failed', exitCode: 3 });
    expect(failed.status?.artifactRefs?.map(({ name }) => name)).to.deep.equal(['why']);
  });

  it('stores nothing of a cancelled Run', async () => {
    await plane.create('cancelled', {
      source: { inline: 'echo x > "$KRUNTIME_ARTIFACTS_DIR/x"; sleep 60' },
    });
    await plane.whenRun('cancelled', ({ status }) => status?.phase === 'Running');
    await plane.patchRun('cancelled', { spec: { cancelRequested: true } });
    const run = await plane.end('cancelled');
    expect(run.status?.phase).to.equal('Cancelled');
    expect(stored(run)).to.deep.equal([]);
  });

  it('stores the whole again when runtimed is killed in the middle of it', async () => {
    const inline =
      'head -c 200000000 /dev/zero > "$KRUNTIME_ARTIFACTS_DIR/big"; echo done > "$KRUNTIME_OUTPUTS.x"';
    await plane.create('interrupted', { source: { inline } });
    await plane.whenRun('interrupted', ({ status }) => status?.phase === 'Running');
    const [pid] = plane.pidsOf('runtimed.js');
    expect(pid).to.not.equal(undefined);
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    const run = await plane.end('interrupted');
    expect(run.status?.phase).to.equal('Succeeded');
    expect(run.status?.artifactRefs?.[0]?.sizeBytes).to.equal(200_000_000);
    expect(readdirSync(join(folder(), '.uploads'))).to.deep.equal([]);
  });
});
