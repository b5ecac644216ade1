/** krt as it ships, with the control plane it starts itself: logs, following, cancellation of real processes. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';

import { type Call, endCalls, type Said, start } from './call.js';

describe('krt up, and Runs on it', () => {
  let home: string;
  let dataDir: string;
  const call = (...argv: ReadonlyArray<string>): Call => start(argv, { home });
  const said = (...argv: ReadonlyArray<string>): Promise<Said> => call(...argv).done;

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'krt-home-'));
    dataDir = join(home, '.kruntimes');
    const { code, out, err } = await said('up', '--detach');
    expect(err).to.equal('');
    expect(out).to.include(`export KUBECONFIG=${dataDir}/kubeconfig`);
    expect(code).to.equal(0);
    expect(statSync(join(dataDir, 'kubeconfig')).mode & 0o777).to.equal(0o600);
  });
  after(async () => {
    const { out } = await said('down');
    expect(out).to.equal(`control plane on ${dataDir} stopped\n`);
    expect((await said('status')).code).to.equal(4);
    rmSync(home, { recursive: true, force: true });
  });
  afterEach(endCalls);

  it('streams stdout to stdout, stderr to stderr, live, and exits as the script does', async () => {
    // The script goes on only after its first line was seen here.
    const gate = join(home, 'gate');
    execFileSync('mkfifo', [gate]);
    const script = `echo one; echo two >&2; read -r word < '${gate}'; echo "$word"; exit 7`;
    const follow = call('run', '--name', 'live', '--follow', '--', script);
    await follow.says('out', /^one\n$/);
    await writeFile(gate, 'three\n');
    const { code, out, err } = await follow.done;
    expect(out).to.equal('one\nthree\n');
    expect(err).to.match(
      /^run\.kruntimes\.io\/live created\n(.*\n)*two\n(.*\n)*run live Failed \(RuntimeError\)/,
    );
    expect(code).to.equal(7);
  });

  it('reads the log of an ended Run, by stream and tail', async () => {
    expect((await said('logs', 'live', '--stream', 'stdout')).out).to.equal('one\nthree\n');
    const { out, err } = await said('logs', 'live', '--tail', '1');
    expect(out + err).to.equal('three\n');
  });

  it('follows a Run through its retries', async () => {
    const { code, out } = await said(
      ...['run', '--name', 'retried', '--retry-attempts', '3', '--retry-backoff', '50ms', '--follow'],
      ...['--', 'echo attempt $KRUNTIME_ATTEMPT; exit $((3 - KRUNTIME_ATTEMPT))'],
    );
    expect(out).to.equal('attempt 1\nattempt 2\nattempt 3\n');
    expect(code).to.equal(0);
    expect((await said('logs', 'retried', '--attempt', '2')).out).to.equal('attempt 2\n');
    expect((await said('describe', 'retried')).out).to.match(/Earlier attempts:\n.*\n +1 .*RuntimeError +2 /);
  });

  it('keeps the object apart from the log with -o json', async () => {
    const { out, err } = await said(
      'run',
      '--follow',
      '-o',
      'json',
      '--',
      'echo hi; echo k=v >> "$KRUNTIME_OUTPUTS"',
    );
    expect(JSON.parse(out).status.outputs).to.deep.equal({ k: 'v' });
    expect(err).to.match(/^hi$/m);
  });

  it('cancels at Ctrl-C, shows what the script still says, and exits 130', async () => {
    const follow = call(
      'run',
      '--name',
      'stopped',
      '--follow',
      '--',
      'trap "echo bye; exit 0" TERM; echo up; while :; do read -t 1 <> <(:); done',
    );
    await follow.says('out', /up/);
    follow.child.kill('SIGINT');
    const { code, out, err } = await follow.done;
    expect(out).to.equal('up\nbye\n');
    expect(err).to.match(/run stopped Cancelled/);
    expect(code).to.equal(130);
  });

  it('krt logs -f waits for a Run that has not begun', async () => {
    await said('run', '--name', 'later', '-r', 'not-yet', '--', 'echo here');
    const logs = call('logs', '-f', 'later', '-v');
    await logs.says('err', /watch=1/);
    const manifest = JSON.parse((await said('runtime', 'get', 'bash', '-o', 'json')).out);
    expect(manifest.kind).to.equal('Runtime');
    await said('cancel', 'later');
    const { code, err } = await logs.done;
    expect(err).to.match(/krt: run default\/later has no log: it ended Cancelled without having started/);
    expect(code).to.equal(3);
  });

  it('shows how the control plane is', async () => {
    const status = JSON.parse((await said('status', '-o', 'json')).out);
    expect(status.dataDir).to.equal(dataDir);
    expect(status.components.map(({ name }: { name: string }) => name)).to.include.members([
      'apiserver',
      'kubelet',
    ]);
  });

  it('refuses a second one on the same folder', async () => {
    const { code, err } = await said('up', '--detach');
    expect(err).to.match(/^krt: a control plane already runs on .*krt down.*\n$/);
    expect(code).to.equal(1);
  });

  it('is found by itself, and kubectl gets along with its kubeconfig', function () {
    try {
      execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' });
    } catch {
      return this.skip();
    }
    const env = { PATH: process.env.PATH, HOME: home, KUBECONFIG: join(dataDir, 'kubeconfig') };
    expect(execFileSync('kubectl', ['get', 'run', 'live', '-o', 'name'], { env, encoding: 'utf8' })).to.equal(
      'run.kruntimes.io/live\n',
    );
  });

  it('runs the foreground control plane until Ctrl-C, side by side with the other', async () => {
    const other = join(home, 'other');
    const up = call('up', '--data-dir', other, '--no-runtimes');
    await up.says('out', /Ctrl-C stops it/);
    const listed = start(['runtime', 'list'], { home, kubeconfig: join(other, 'kubeconfig') });
    expect((await listed.done).err).to.equal('no runtimes in namespace default\n');
    up.child.kill('SIGINT');
    const { code, err } = await up.done;
    expect(err).to.match(/stopping the control plane/);
    expect(code).to.equal(0);
    expect((await said('status', '--data-dir', other)).out).to.match(/: stopped\n/);
  });
});
