/** Git sources in a Runtime Pod: what runs, what is recorded, and what ends a fetch. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createAuthority } from '../../src/io/session/certificates.js';
import { conditionOf } from '../../src/model/conditions.js';
import type { RunStatus } from '../../src/model/run.js';
import { ARepository, mountSecret } from '../io/git/a-repository.js';
import { GitHttpServer } from '../io/git/http-server.js';
import { skipFor, whyNoGit } from '../support/git.js';
import { Api, type Spec } from './api.js';
import { Pod } from './pod.js';

const reasonOf = ({ conditions }: RunStatus): string | undefined =>
  conditionOf(conditions, 'Completed')?.reason;

describe('runtimed with Git sources', () => {
  let root: string;
  let server: GitHttpServer;
  let api: Api;
  let pod: Pod;
  let env: Record<string, string>;

  before(async function () {
    skipFor(this, whyNoGit());
    root = mkdtempSync(join(tmpdir(), 'krt-git-'));
    server = await GitHttpServer.start(root, await createAuthority());
    mountSecret(join(root, 'secrets/0'), { 'ca.crt': server.ca });
    env = {
      KRUNTIME_GIT: JSON.stringify({ hosts: [server.host] }),
      KRUNTIME_GIT_CREDENTIALS_DIR: join(root, 'secrets'),
    };
    api = await Api.start();
    pod = await Pod.start(api, { capacity: 16, env });
    await pod.ready();
  });
  after(async () => {
    await pod?.stop();
    await api?.stop();
    await server?.stop();
    if (root) rmSync(root, { recursive: true });
  });
  beforeEach(() => {
    server.before = () => false;
  });

  let repositories = 0;
  const repository = (): Readonly<{ repo: ARepository; repoURL: string }> => {
    repositories += 1;
    const name = `r${repositories}.git`;
    return { repo: new ARepository(join(root, name)), repoURL: server.url(name) };
  };
  const spec = (source: Spec, more: Spec = {}): Spec => ({
    runtime: 'bash',
    source,
    entrypoint: 'bin/run.sh',
    ...more,
  });
  /** Answers no request any more; resolves when one has come. */
  const hang = (): Promise<void> =>
    new Promise((resolve) => {
      server.before = () => {
        resolve();
        return true;
      };
    });

  it('runs the entrypoint with its args in the tree of the commit, and records the commit', async () => {
    const { repo, repoURL } = repository();
    const commitSHA = repo.commit({ 'bin/run.sh': 'echo "$1 $2"; cat data; ls -A', data: 'of one\n' });
    repo.commit({ 'bin/run.sh': 'exit 9' });
    const status = await pod.run('commit', spec({ repoURL, commitSHA }, { args: ['a b', 'c'] }));
    expect(status).to.include({ phase: 'Succeeded' });
    expect(status.source).to.deep.equal({ commitSHA });
    expect(pod.output('commit')).to.deep.equal(['a b c', 'of one', 'bin', 'data']);
    const { uid } = (await api.read('commit')).metadata;
    await pod.untilIdle();
    expect(existsSync(join(pod.workDir, uid))).to.equal(false);
  });

  it('runs one commit of a branch in all attempts, however it moves', async () => {
    const { repo, repoURL } = repository();
    const first = repo.commit({ 'bin/run.sh': 'echo first; exit 1' });
    await pod.assign(
      'branch',
      spec({ repoURL, ref: 'main' }, { retryPolicy: { maxAttempts: 2, backoff: '1ms' } }),
    );
    const waiting = await api.until('branch', ({ phase }) => phase === 'Pending');
    expect(waiting.source).to.deep.equal({ commitSHA: first });
    repo.commit({ 'bin/run.sh': 'echo second' });
    pod.operator.assign(await pod.reschedule('branch', 2));
    const status = await api.until('branch', ({ phase }) => phase === 'Failed');
    expect(status).to.include({ attempt: 2, exitCode: 1 });
    expect(status.source).to.deep.equal({ commitSHA: first });
    expect(pod.output('branch')).to.deep.equal(['first', 'first']);
    // Another Run gets what the branch is now.
    expect((await pod.run('branch-again', spec({ repoURL, ref: 'main' }))).phase).to.equal('Succeeded');
  });

  it('writes the commit with Running, too', async () => {
    const { repo, repoURL } = repository();
    const commitSHA = repo.commit({ 'bin/run.sh': 'echo up; sleep 60' });
    await pod.assign('long', spec({ repoURL, ref: 'main' }));
    const running = await api.until('long', ({ phase }) => phase === 'Running');
    expect(running.source).to.deep.equal({ commitSHA });
    await api.requestCancel('long');
    pod.operator.cancel(await api.read('long'));
    expect(await pod.ended('long')).to.include({ phase: 'Cancelled' });
  });

  it('fails for ever what the commit can never have, and lets be tried again what may come', async () => {
    const { repo, repoURL } = repository();
    const commitSHA = repo.commit({ 'bin/other.sh': '', 'bin/run.sh': '-> /etc/passwd' });
    const expected: ReadonlyArray<readonly [string, Spec, string, RegExp]> = [
      ['leads-out', spec({ repoURL, commitSHA }), 'InvalidSpec', /leads out of the workspace/],
      [
        'not-there',
        spec({ repoURL, commitSHA }, { entrypoint: 'x' }),
        'InvalidSpec',
        /entrypoint x is not there/,
      ],
      [
        'no-commit',
        spec({ repoURL, commitSHA: 'd'.repeat(40) }),
        'PrepareSource',
        /is not in the repository/,
      ],
      ['no-branch', spec({ repoURL, ref: 'gone' }), 'PrepareSource', /neither a tag nor a branch named gone/],
      ['no-repo', spec({ repoURL: server.url('none.git'), commitSHA }), 'PrepareSource', /not found/i],
    ];
    for (const [name, of, reason, message] of expected) {
      const status = await pod.run(name, of);
      expect(status.phase, name).to.equal('Failed');
      expect(reasonOf(status), name).to.equal(reason);
      expect(status.message, name).to.match(message);
    }
    expect((await api.read('leads-out')).status?.source).to.deep.equal({ commitSHA });
  });

  it('ends a fetch at once when the Run is cancelled, and others run meanwhile', async () => {
    const { repo, repoURL } = repository();
    const commitSHA = repo.commit({ 'bin/run.sh': 'echo hi' });
    const asked = hang();
    await pod.assign('cancelled', spec({ repoURL, commitSHA }));
    await asked;
    expect(await pod.run('beside', { runtime: 'bash', source: { inline: 'echo beside' } })).to.include({
      phase: 'Succeeded',
    });
    await api.requestCancel('cancelled');
    pod.operator.cancel(await api.read('cancelled'));
    const status = await pod.ended('cancelled');
    expect(status).to.include({ phase: 'Cancelled', message: 'cancelled before it started' });
    await pod.untilIdle();
    expect(readdirSync(join(pod.stateDir, 'attempts'))).to.deep.equal([]);
  });

  it("ends a fetch that takes longer than the Run's timeout, with Timeout", async () => {
    const { repo, repoURL } = repository();
    const commitSHA = repo.commit({ 'bin/run.sh': 'echo hi' });
    void hang();
    const status = await pod.run('slow', spec({ repoURL, commitSHA }, { timeout: '300ms' }));
    expect(status).to.include({ phase: 'Timeout', message: 'timed out after 300ms, before it started' });
  });

  it('fetches again, within the same attempt, when runtimed was killed in mid-fetch', async () => {
    const { repo, repoURL } = repository();
    const commitSHA = repo.commit({ 'bin/run.sh': 'echo up again' });
    const other = await Pod.start(api, { isProcess: true, env });
    try {
      await other.ready();
      const asked = hang();
      await other.assign('killed', spec({ repoURL, commitSHA }));
      await asked;
      await other.killRuntimed();
      server.dropAll();
      server.before = () => false;
      await other.startRuntimed();
      const status = await other.ended('killed');
      expect(status).to.include({ phase: 'Succeeded', attempt: 1 });
      expect(other.output('killed')).to.deep.equal(['up again']);
      expect(readdirSync(join(other.stateDir, 'git/fetches'))).to.deep.equal([]);
    } finally {
      await other.stop();
    }
  });
});
