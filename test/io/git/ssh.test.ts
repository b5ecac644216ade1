/** Git sources over ssh, against a real sshd on loopback. */

import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import bunyan from 'bunyan';
import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';

import {
  type GitSource,
  type GitSources,
  gitSources,
  type NotCheckedOut,
} from '../../../src/io/git/sources.js';
import { processIds } from '../../../src/io/processes/proc.js';
import { DEFAULT_GIT_LIMITS } from '../../../src/model/git.js';
import { skipFor, whyNoGit } from '../../support/git.js';
import { ARepository, mountSecret } from './a-repository.js';
import { SshServer, whyNoSshd } from './ssh-server.js';

const log = bunyan.createLogger({ name: 'test', level: bunyan.FATAL + 1 });

describe('gitSources over ssh', () => {
  let root: string;
  let server: SshServer;
  let repo: ARepository;
  let commitSHA: string;
  let count = 0;

  before(async function () {
    skipFor(this, whyNoGit() ?? whyNoSshd());
    root = mkdtempSync(join(tmpdir(), 'krt-ssh-'));
    server = await SshServer.start(join(root, 'sshd'));
    repo = new ARepository(join(root, 'repo.git'));
    commitSHA = repo.commit({ a: 'over ssh' });
  });
  after(async () => {
    await server?.stop();
    if (root) rmSync(root, { recursive: true });
  });

  const fresh = (what: string): string => {
    count += 1;
    return join(root, `${what}-${count}`);
  };
  const open = (keys: Readonly<Record<string, string>>, host = server.host): Promise<GitSources> =>
    gitSources({
      folder: fresh('pod'),
      credentials: new Map([[host, mountSecret(fresh('secret'), keys)]]),
      limits: DEFAULT_GIT_LIMITS,
      path: process.env.PATH,
      log,
    });
  const keys = (): Record<string, string> => ({
    'ssh-privatekey': server.key('client'),
    known_hosts: server.knownHosts(),
  });
  const checkOut = async (
    sources: GitSources,
    source: GitSource,
    signal = new AbortController().signal,
  ): Promise<Readonly<{ result: E.Either<NotCheckedOut, string>; folder: string }>> => {
    const folder = fresh('workspace');
    mkdirSync(folder);
    return { result: await sources.checkOut(source, folder, signal), folder };
  };
  const failureOf = ({ result }: Readonly<{ result: E.Either<NotCheckedOut, string> }>): NotCheckedOut => {
    if (E.isRight(result)) throw new Error('it was checked out');
    return result.left;
  };

  it('fetches a commit and a branch with the key of the Secret', async () => {
    const sources = await open(keys());
    for (const what of [{ commitSHA }, { ref: 'main' }]) {
      const done = await checkOut(sources, { repoURL: server.url(repo.path), ...what });
      expect(done.result).to.deep.equal(E.right(commitSHA));
      expect(readFileSync(join(done.folder, 'a'), 'utf8')).to.equal('over ssh');
    }
  });

  it('takes a key without a newline at its end, as kubectl may have made it', async () => {
    const { 'ssh-privatekey': key = '', known_hosts: hosts = '' } = keys();
    const sources = await open({ 'ssh-privatekey': key.trimEnd(), known_hosts: hosts.trimEnd() });
    const { result } = await checkOut(sources, { repoURL: server.url(repo.path), commitSHA });
    expect(result).to.deep.equal(E.right(commitSHA));
  });

  it('trusts no host whose key is another one, or is not known', async () => {
    for (const known of [server.knownHosts('other'), '# nothing\n']) {
      const failure = failureOf(
        await checkOut(await open({ ...keys(), known_hosts: known }), {
          repoURL: server.url(repo.path),
          commitSHA,
        }),
      );
      expect(failure.reason).to.equal('PrepareSource');
      expect(failure.message).to.match(/Host key verification failed/);
    }
  });

  it('says that the key is refused, and repeats none of it', async () => {
    const failure = failureOf(
      await checkOut(await open({ ...keys(), 'ssh-privatekey': server.key('other') }), {
        repoURL: server.url(repo.path),
        commitSHA,
      }),
    );
    expect(failure).to.have.property('reason', 'PrepareSource');
    expect(failure.message).to.match(/Permission denied \(publickey\)/);
    expect(failure.message).to.not.contain(root);
    for (const line of server
      .key('other')
      .split('\n')
      .filter((text) => text.length > 16))
      expect(failure.message).to.not.contain(line);
  });

  it('needs both key and known_hosts, and tells where they belong', async () => {
    for (const lacking of ['ssh-privatekey', 'known_hosts']) {
      const { [lacking]: _without, ...rest } = keys();
      expect(
        failureOf(await checkOut(await open(rest), { repoURL: server.url(repo.path), commitSHA })),
      ).to.deep.equal({
        reason: 'PrepareSource',
        message: `there are no credentials for ssh to ${server.host}: name a Secret with ssh-privatekey and known_hosts for this host in spec.git.credentials of the Runtime`,
      });
    }
  });

  it('fetches over the scp form, which has no port', async () => {
    const url = `${userInfo().username}@localhost:${repo.path}`;
    const failure = failureOf(await checkOut(await open(keys(), 'localhost'), { repoURL: url, commitSHA }));
    // Port 22 is not ours; that it was dialled with our known_hosts, or was closed, is all that can be seen here.
    expect(failure.message).to.match(/Connection refused|Host key verification failed/);
  });

  it('ends ssh with the fetch', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    try {
      const controller = new AbortController();
      const dialled = once(silent, 'connection');
      const pod = await open(keys(), `localhost:${port}`);
      const pending = checkOut(
        pod,
        { repoURL: `ssh://git@localhost:${port}/x`, commitSHA },
        controller.signal,
      );
      const [socket] = await dialled;
      const closed = once(socket, 'close');
      socket.resume();
      controller.abort();
      expect(failureOf(await pending).message).to.equal('the fetch was broken off');
      await closed;
      const left = processIds().filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`ssh://git@localhost:${port}/x`);
        } catch {
          return false;
        }
      });
      expect(left).to.deep.equal([]);
    } finally {
      silent.close();
    }
  });

  it('leaves no key behind', () => {
    for (const name of readdirSync(root).filter((entry) => entry.startsWith('pod-'))) {
      expect(readdirSync(join(root, name)).sort()).to.deep.equal(['fetches', 'mirrors']);
      expect(readdirSync(join(root, name, 'fetches'))).to.deep.equal([]);
    }
  });
});
