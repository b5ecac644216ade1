/** Logs, end to end: the same bytes live, after the end and after the pod is gone, for every way to end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, renameSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { expect } from 'chai';

import { runs } from '../../src/model/resources.js';
import { isTerminal, type Run } from '../../src/model/run.js';
import { answer, type ControlPlane, startControlPlane } from './control-plane.js';
import { type Krt, krtWith } from './krt.js';
import { expectSameLogs, liveLogs, textOf } from './log-cases.js';
import { replacePods } from './replace-pods.js';

describe('logs', () => {
  let plane: ControlPlane;
  let krt: Krt;
  let kill: () => void = () => undefined;
  const children = new Set<ChildProcess>();
  before(async function () {
    // kube-apiserver dials a kubelet's TCP port for a port-forward; the process kubelet has a socket alone.
    if (process.env.CLUSTER_BINARIES !== undefined) this.skip();
    plane = await startControlPlane({ replicas: 1 });
    ({ krt, kill } = krtWith(plane.kubeconfig));
  });
  after(() => plane?.stop());
  afterEach(() => {
    kill();
    for (const child of children) child.kill('SIGKILL');
    children.clear();
  });

  it('are the same bytes live, after the end, and after the pod is gone', async () => {
    const live = await liveLogs(plane, krt);
    await expectSameLogs(live, krt, 'ended');
    await replacePods(plane);
    await expectSameLogs(live, krt, 'pod gone');
    expect(textOf(await krt('logs', 'retried', '--attempt', '1'))).to.equal('attempt 1\n|');
    expect(textOf(await krt('logs', 'retried'))).to.equal('attempt 2\n|');
    expect(textOf(await krt('logs', 'retried', '--attempt', 'all'))).to.equal('attempt 1\nattempt 2\n|');
    expect(textOf(await krt('logs', 'retried', '--attempt', 'all', '-f', '--timestamps'))).to.match(
      /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z attempt [12]\n){2}\|$/,
    );
    expect(textOf(await krt('logs', 'succeeded', '--tail', '1'))).to.equal('end|');
    expect(textOf(await krt('logs', 'failed', '--stream', 'stderr'))).to.equal('|err\n');
  });

  it('have what was shipped when the pod died in the middle of a Run, and krt says that it may not be all', async () => {
    await plane.create('lost', { source: { inline: 'echo first; sleep 600' } });
    await plane.whenRun('lost', ({ status }) => status?.phase === 'Running');
    await replacePods(plane, { gracePeriodSeconds: 1 });
    await plane.whenRun('lost', ({ status }) => isTerminal(status?.phase));
    const { code, out, err } = await krt('logs', 'lost');
    expect(out.toString()).to.equal('first\n');
    expect(err.toString()).to.match(/^krt: log of attempt 1: its pod was lost .* may not be all\n$/);
    expect(code).to.equal(0);
    // No end has said that there is a log, and yet it goes with the Run.
    const run = await plane.end('lost');
    expect(run.status?.logRef).to.equal(undefined);
    const stored = join(plane.dataDir, 'volumes/default/kruntimes-artifacts/default', run.metadata.uid);
    expect(existsSync(stored)).to.equal(true);
    const isGone = new Promise<void>((resolve) => {
      const watcher = watch(dirname(stored), () => {
        if (existsSync(stored)) return;
        watcher.close();
        resolve();
      });
    });
    await answer(plane.kube.delete(runs, { namespace: 'default', name: 'lost' }));
    await isGone;
  });

  it('hold no end back while the store is away, and are stored once it is there', async () => {
    const store = join(plane.dataDir, 'volumes/default/kruntimes-artifacts');
    renameSync(store, `${store}.away`);
    writeFileSync(store, 'in the way');
    await plane.create('unstored', { source: { inline: 'echo kept' } });
    const run = await plane.end('unstored');
    expect(run.status?.phase).to.equal('Succeeded');
    const { location = '' } = run.status?.logRef ?? {};
    const prefix = `kruntimes-artifacts/default/${run.metadata.uid}/log-1-${run.status?.assignedPodUID}.`;
    expect(location.startsWith(prefix), location).to.equal(true);
    expect(textOf(await krt('logs', 'unstored'))).to.equal('kept\n|');
    rmSync(store);
    renameSync(`${store}.away`, store);
    // The pod that goes has time to store what it has.
    await replacePods(plane);
    expect(existsSync(join(dirname(store), location))).to.equal(true);
    expect(textOf(await krt('logs', 'unstored'))).to.equal('kept\n|');
  });

  it('are followed without a gap or a repeat while runtimed and the API server are killed', async () => {
    const lines = 400;
    await plane.create('followed', {
      source: { inline: `for i in $(seq ${lines}); do echo "line $i"; read -t 0.01 <> <(:); done` },
    });
    await plane.whenRun('followed', ({ status }) => status?.phase === 'Running');
    const child = spawn(
      process.execPath,
      ['dist/krt.js', '--kubeconfig', plane.kubeconfig, 'logs', '-f', 'followed'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    children.add(child);
    let out = '';
    const kills = ['runtimed.js', 'apiserver.js', 'runtimed.js'];
    const killed: string[] = [];
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const program = kills[0];
      if (program === undefined || out.split('\n').length < 100 * (killed.length + 1)) return;
      kills.shift();
      killed.push(program);
      for (const pid of plane.pidsOf(program)) process.kill(pid, 'SIGKILL');
    });
    await once(child, 'close');
    children.delete(child);
    expect(killed).to.have.length(3);
    expect(out).to.equal(Array.from({ length: lines }, (_, i) => `line ${i + 1}\n`).join(''));
    const later = await krt('logs', 'followed');
    expect(later.err.toString()).to.equal('');
    expect(later.out.toString()).to.equal(out);
  });

  it('keep the head, the last line and the count of bytes of a flood, and little of it on the disk', async () => {
    const bytes = 50_000_000;
    const script = `head -c ${bytes} <(yes "a line of a flood"); echo; echo last >&2; echo last`;
    await plane.create('flood', { source: { inline: script } });
    const run = await plane.end('flood');
    expect(run.status?.phase).to.equal('Succeeded');
    expect(run.status?.logRef?.sizeBytes).to.equal(bytes + '\nlast\nlast\n'.length);
    const { out, err } = await krt('logs', 'flood');
    const text = out.toString();
    expect(text.startsWith('a line of a flood\n'.repeat(20_000))).to.equal(true);
    expect(text.endsWith('\nlast\n')).to.equal(true);
    expect(err.toString()).to.match(/^(krt: [\d.]+ [KM]iB of stdout were not kept\n)+last\n$/);
    const spools = join(
      plane.dataDir,
      'pods',
      run.status?.assignedPodUID ?? '',
      'volumes/kruntimes-state/logs',
    );
    const files = readdirSync(spools).filter((name) => name.startsWith(run.metadata.uid));
    expect(files.length).to.be.within(2, 12);
    const kept = files.reduce((sum, name) => sum + statSync(join(spools, name)).size, 0);
    expect(kept).to.be.below(12 * 1024 ** 2);
  });

  it('say what the status says of them', async () => {
    const refOf = ({ status }: Run) => status?.logRef;
    const [silent, failed] = await Promise.all(
      ['silent', 'failed'].map((name) => plane.whenRun(name, ({ status }) => isTerminal(status?.phase))),
    );
    expect(silent && refOf(silent)).to.deep.equal({ records: 0, sizeBytes: 0 });
    const { location = '', ...amount } = (failed && refOf(failed)) ?? {};
    expect(amount).to.deep.equal({ records: 2, sizeBytes: 8 });
    expect(location.replace(/\.[0-9a-f-]{36}$/, '')).to.equal(
      `kruntimes-artifacts/default/${failed?.metadata.uid}/log-1-${failed?.status?.assignedPodUID}`,
    );
  });
});
