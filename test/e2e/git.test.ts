/** Git sources on a whole control plane: the Secret of a Runtime, krt and, where it is there, kubectl. */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';

import { processIds } from '../../src/io/processes/proc.js';
import { createAuthority } from '../../src/io/session/certificates.js';
import { runs, runtimes, secrets } from '../../src/model/resources.js';
import { ARepository } from '../io/git/a-repository.js';
import { basicAuth, GitHttpServer } from '../io/git/http-server.js';
import { SshServer, whyNoSshd } from '../io/git/ssh-server.js';
import { skipFor, whyNoGit } from '../support/git.js';
import { answer, type ControlPlane, START_LIMIT_MS, startControlPlane } from './control-plane.js';

const PASSWORD = 'correct-horse-battery';

type Said = Readonly<{ code: number | null; stdout: string; stderr: string }>;

/** Runs a program; not spawnSync, because the repository's server is in this process. */
const run = (program: string, argv: ReadonlyArray<string>, input = ''): Promise<Said> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, argv, { stdio: 'pipe' });
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => {
      said.stdout += String(chunk);
    });
    child.stderr.on('data', (chunk) => {
      said.stderr += String(chunk);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...said }));
    // Whoever ends without reading it has a reason, which its code tells.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });

/** Processes that have this text in their command line. */
const pidsNaming = (text: string): ReadonlyArray<number> =>
  processIds().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false;
    }
  });

describe('Git sources on a control plane', () => {
  let root: string;
  let server: GitHttpServer;
  let plane: ControlPlane;
  let repo: ARepository;
  let repoURL: string;
  let commitSHA: string;

  const krt = (...argv: ReadonlyArray<string>): Promise<Said> =>
    run(process.execPath, ['dist/krt.js', '--kubeconfig', plane.kubeconfig, ...argv]);
  const createSecret = (name: string, stringData: Readonly<Record<string, string>>): Promise<unknown> =>
    answer(
      plane.kube.create(secrets, 'default', {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name },
        data: Object.fromEntries(
          Object.entries(stringData).map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
        ),
      }),
    );
  const createRuntime = (name: string, git: unknown): Promise<unknown> =>
    answer(
      plane.kube.create(
        runtimes,
        'default',
        {
          apiVersion: 'kruntimes.io/v1alpha1',
          kind: 'Runtime',
          metadata: { name },
          spec: {
            replicas: 1,
            git,
            template: {
              spec: { containers: [{ name: 'runtime', image: 'kruntimes-bash-runtime:latest' }] },
            },
          },
        },
        { fieldValidation: 'Strict' },
      ),
    );

  before(async function () {
    skipFor(this, whyNoGit());
    root = mkdtempSync(join(tmpdir(), 'krt-git-'));
    server = await GitHttpServer.start(root, await createAuthority());
    server.before = basicAuth('robot', PASSWORD);
    repo = new ARepository(join(root, 'repo.git'));
    commitSHA = repo.commit({
      'ci/data': '',
      'run.sh':
        'echo "$1 in $(ls)"; echo "tested=$1" >> "$KRUNTIME_OUTPUTS"; grep -rs battery /proc/self/environ; true',
    });
    repoURL = server.url('repo.git');
    plane = await startControlPlane({ replicas: 1 });
    await createSecret('robot', { username: 'robot', password: PASSWORD, 'ca.crt': server.ca });
    await createRuntime('git', {
      credentials: [{ host: server.host, secretName: 'robot' }],
      timeout: '30s',
      maxBytes: 10_000_000,
    });
    await plane.whenReady('git', 1, START_LIMIT_MS);
  });
  after(async () => {
    await plane?.stop();
    await server?.stop();
    if (root) rmSync(root, { recursive: true });
  });

  it('runs a commit with krt, and shows which one', async () => {
    const said = await krt(
      ...['run', '-r', 'git', '--name', 'by-krt', '--repo-url', repoURL, '--commit-sha', commitSHA],
      ...['--entrypoint', 'run.sh', '--follow', '--', 'all'],
    );
    expect(said.code, said.stderr).to.equal(0);
    // Logs of pods come through a kubelet, which kube-apiserver has none of here.
    if (process.env.CLUSTER_BINARIES === undefined) expect(said.stdout).to.equal('all in ci\nrun.sh\n');
    expect((await krt('outputs', 'by-krt', 'tested')).stdout).to.equal('all\n');
    expect((await krt('get', 'by-krt', '-o', 'jsonpath={.status.source.commitSHA}')).stdout.trim()).to.equal(
      commitSHA,
    );
  });

  it('runs a branch, and again what it is by then', async () => {
    const flags = ['--repo-url', repoURL, '--ref', 'main', '--entrypoint', 'run.sh'];
    const first = await krt('run', '-r', 'git', '--name', 'branch', ...flags, '--wait');
    expect(first.code, first.stderr).to.equal(0);
    expect((await krt('describe', 'branch')).stdout).to.contain(`${repoURL} at main, which was ${commitSHA}`);
    const next = repo.commit({ 'run.sh': 'exit 5' });
    expect((await krt('rerun', 'branch', '--name', 'branch-2', '--wait')).code).to.equal(5);
    expect((await plane.end('branch-2')).status?.source).to.deep.equal({ commitSHA: next });
  });

  it('runs one that kubectl has made', async function () {
    if (spawnSync('kubectl', ['version', '--client']).status !== 0) {
      console.log('      skipped: kubectl is not installed');
      this.skip();
    }
    const kubectl = (argv: ReadonlyArray<string>, input?: string): Promise<Said> =>
      run('kubectl', ['--kubeconfig', plane.kubeconfig, ...argv], input);
    const manifest = `apiVersion: kruntimes.io/v1alpha1
kind: Run
metadata: {name: by-kubectl}
spec:
  runtime: git
  source: {repoURL: "${repoURL}", commitSHA: ${commitSHA}}
  entrypoint: run.sh
  args: [some]
`;
    const created = await kubectl(['create', '-f', '-'], manifest);
    expect(created.code, created.stderr).to.equal(0);
    const waited = await kubectl(['wait', '--for=condition=Finished', 'run/by-kubectl', '--timeout=60s']);
    expect(waited.code, waited.stderr).to.equal(0);
    const shown = await kubectl([
      'get',
      'run',
      'by-kubectl',
      '-o',
      'jsonpath={.status.phase} {.status.source.commitSHA} {.status.outputs.tested}',
    ]);
    expect(shown.stdout).to.equal(`Succeeded ${commitSHA} some`);
    expect((await kubectl(['explain', 'runtime.spec.git.credentials'])).stdout).to.match(/secretName/);
  });

  it('shows the password nowhere, also not where it is refused', async () => {
    server.before = basicAuth('robot', 'another');
    const failed = await krt(
      ...['run', '-r', 'git', '--name', 'refused', '--repo-url', repoURL, '--ref', 'main'],
      ...['--entrypoint', 'run.sh', '--wait'],
    );
    server.before = basicAuth('robot', PASSWORD);
    expect(failed.code).to.equal(125);
    expect(failed.stderr).to.match(/ref main cannot be looked up from localhost:\d+/);
    const objects = await Promise.all(
      ['by-krt', 'refused'].map((name) => answer(plane.kube.get(runs, { namespace: 'default', name }))),
    );
    const logs = (await krt('logs', 'by-krt')).stdout;
    const all = JSON.stringify([failed, objects, logs]);
    expect(all).to.not.contain(PASSWORD);
    expect(all).to.not.contain(Buffer.from(`robot:${PASSWORD}`).toString('base64'));
    const inLogs = await run('grep', ['-rl', PASSWORD, join(plane.dataDir, 'pods'), '--include=*.log']);
    expect(inLogs.stdout).to.equal('');
  });

  it('refuses what cannot be a Git source', async () => {
    const source = { repoURL, commitSHA };
    const bad: ReadonlyArray<readonly [Record<string, unknown>, RegExp]> = [
      [{ source: { ...source, ref: 'main' } }, /needs one of commitSHA and ref/],
      [{ source: { ref: 'main' } }, /spec\.source/],
      [{ source: { repoURL, ref: commitSHA } }, /is a commit hash/],
      [{ source: { repoURL, ref: '--upload-pack=x' } }, /spec\.source\.ref/],
      [{ source: { ...source, repoURL: 'https://me:secret@h/r' } }, /must not hold credentials/],
      [{ source: { ...source, repoURL: 'ext::sh -c id' } }, /spec\.source\.repoURL/],
      [{ source: { ...source, repoURL: 'http://h/r' } }, /spec\.source\.repoURL/],
      [{ source: { ...source, commitSHA: commitSHA.slice(0, 12) } }, /spec\.source\.commitSHA/],
    ];
    for (const [spec, message] of bad) {
      const error = await plane.refusal('refused-by-the-api', { entrypoint: 'x', ...spec });
      expect(error.message, JSON.stringify(spec)).to.match(message);
    }
  });

  it('leaves no git process behind when runtimed is killed in mid-fetch, and fetches again', async () => {
    const url = server.url('killed.git');
    const killed = new ARepository(join(root, 'killed.git'));
    const sha = killed.commit({ 'run.sh': 'echo again' });
    const asked = new Promise<void>((resolve) => {
      server.before = (request) => {
        if (request.url?.startsWith('/killed.git')) resolve();
        return true;
      };
    });
    await plane.create('killed', {
      runtime: 'git',
      source: { repoURL: url, commitSHA: sha },
      entrypoint: 'run.sh',
    });
    await asked;
    const fetching = (): ReadonlyArray<number> => pidsNaming(url);
    expect(fetching()).to.not.deep.equal([]);
    for (const pid of plane.pidsOf('runtimed.js')) process.kill(pid, 'SIGKILL');
    server.before = basicAuth('robot', PASSWORD);
    const { status } = await plane.end('killed', START_LIMIT_MS);
    expect(status).to.include({ phase: 'Succeeded', attempt: 1 });
    expect(fetching()).to.deep.equal([]);
  });

  it('fetches over ssh, and names the Runtime’s field where there is no key', async function () {
    skipFor(this, whyNoSshd());
    const sshd = await SshServer.start(join(root, 'sshd'));
    try {
      const source = { repoURL: sshd.url(repo.path), commitSHA };
      await plane.create('no-key', { runtime: 'git', source, entrypoint: 'run.sh' });
      expect((await plane.end('no-key')).status?.message).to.match(/spec\.git\.credentials of the Runtime/);
      await createSecret('deploy', { 'ssh-privatekey': sshd.key('client'), known_hosts: sshd.knownHosts() });
      await createRuntime('git-ssh', { credentials: [{ host: sshd.host, secretName: 'deploy' }] });
      await plane.create('by-ssh', { runtime: 'git-ssh', source, entrypoint: 'run.sh', args: ['ssh'] });
      const { status } = await plane.end('by-ssh', START_LIMIT_MS);
      expect(status?.message).to.equal('exit code 0');
      expect(status?.outputs).to.deep.equal({ tested: 'ssh' });
    } finally {
      await sshd.stop();
    }
  });
});
