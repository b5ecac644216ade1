/** Git sources over https, against git's own server on loopback. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
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
import { createAuthority, type KeyPair } from '../../../src/io/session/certificates.js';
import { DEFAULT_GIT_LIMITS, type GitLimits } from '../../../src/model/git.js';
import { skipFor, whyNoGit } from '../../support/git.js';
import { ARepository, mountSecret } from './a-repository.js';
import { basicAuth, GitHttpServer } from './http-server.js';

const log = bunyan.createLogger({ name: 'test', level: bunyan.FATAL + 1 });

describe('gitSources over https', () => {
  let root: string;
  let authority: KeyPair;
  let server: GitHttpServer;
  let count = 0;

  before(async function () {
    skipFor(this, whyNoGit());
    root = mkdtempSync(join(tmpdir(), 'krt-git-'));
    authority = await createAuthority();
    server = await GitHttpServer.start(root, authority);
  });
  after(async () => {
    await server?.stop();
    if (root) rmSync(root, { recursive: true });
  });
  beforeEach(() => {
    server.before = () => false;
    server.isOld = false;
    server.requests.length = 0;
    server.authorizations.length = 0;
  });

  const fresh = (what: string): string => {
    count += 1;
    return join(root, `${what}-${count}`);
  };
  const repository = (): Readonly<{ repo: ARepository; url: string }> => {
    const path = `${fresh('repo')}.git`;
    return { repo: new ARepository(path), url: server.url(path.slice(root.length + 1)) };
  };
  /** Sources of a pod of its own, which trust the server and have these keys for it. */
  const open = (
    keys: Readonly<Record<string, string>> = {},
    limits: Partial<GitLimits> = {},
    folder = fresh('pod'),
    path = process.env.PATH,
  ): Promise<GitSources> => {
    const secret = mountSecret(fresh('secret'), { 'ca.crt': server.ca, ...keys });
    return gitSources({
      folder,
      credentials: new Map([[server.host, secret]]),
      limits: { ...DEFAULT_GIT_LIMITS, ...limits },
      path,
      log,
    });
  };
  type CheckedOut = Readonly<{ result: E.Either<NotCheckedOut, string>; folder: string }>;
  const checkOut = async (
    sources: GitSources,
    source: GitSource,
    signal = new AbortController().signal,
  ): Promise<CheckedOut> => {
    const folder = fresh('workspace');
    mkdirSync(folder);
    return { result: await sources.checkOut(source, folder, signal), folder };
  };
  const commitOf = ({ result }: CheckedOut): string => {
    if (E.isLeft(result)) throw new Error(`${result.left.reason}: ${result.left.message}`);
    return result.right;
  };
  const failureOf = ({ result }: CheckedOut): NotCheckedOut => {
    if (E.isRight(result)) throw new Error('it was checked out');
    return result.left;
  };
  const fetches = (): number => server.requests.filter((url) => url.endsWith('/git-upload-pack')).length;

  it('puts the files of a commit into the folder, as they are and without a .git', async () => {
    const { repo, url } = repository();
    const commitSHA = repo.commit({
      'a/run.sh': '#!/bin/bash\necho hi\r\n',
      link: '-> a/run.sh',
      'ä b': 'x',
    });
    repo.commit({ other: 'later' });
    const done = await checkOut(await open(), { repoURL: url, commitSHA });
    expect(commitOf(done)).to.equal(commitSHA);
    expect(readdirSync(done.folder).sort()).to.deep.equal(['a', 'link', 'ä b']);
    expect(readFileSync(join(done.folder, 'a/run.sh'), 'utf8')).to.equal('#!/bin/bash\necho hi\r\n');
    expect(statSync(join(done.folder, 'a/run.sh')).mode & 0o100).to.equal(0o100);
    expect(readlinkSync(join(done.folder, 'link'))).to.equal('a/run.sh');
  });

  it('asks the server once for a commit, and only for what is new in the next', async () => {
    const { repo, url } = repository();
    const big = execFileSync('head', ['-c', '2000000', '/dev/urandom'], { maxBuffer: 1e9 });
    const first = repo.commit({ big, a: '1' });
    const second = repo.commit({ big, a: '2' });
    const pod = fresh('pod');
    const sources = await open({}, {}, pod);
    commitOf(await checkOut(sources, { repoURL: url, commitSHA: first }));
    const asked = server.requests.length;
    const again = await checkOut(sources, { repoURL: url, commitSHA: first });
    expect(readFileSync(join(again.folder, 'a'), 'utf8')).to.equal('1');
    expect(server.requests.length).to.equal(asked);
    const size = (): number =>
      Number(execFileSync('du', ['-sk', join(pod, 'mirrors')], { encoding: 'utf8' }).split('\t')[0]);
    const before = size();
    const next = await checkOut(sources, { repoURL: url, commitSHA: second });
    expect(readFileSync(join(next.folder, 'a'), 'utf8')).to.equal('2');
    expect(statSync(join(next.folder, 'big')).size).to.equal(2_000_000);
    expect(size() - before).to.be.below(100);
    // And after a restart of the pod's runtimed.
    server.requests.length = 0;
    const restarted = await open({}, {}, pod);
    commitOf(await checkOut(restarted, { repoURL: url, commitSHA: second }));
    expect(server.requests).to.deep.equal([]);
  });

  it('looks up branches and tags, tags first, and says what they mean', async () => {
    const { repo, url } = repository();
    const one = repo.commit({ a: '1' });
    const two = repo.commit({ a: '2' });
    const side = repo.commit({ a: '3' }, 'feature/x');
    repo.git(['tag', 'v1', one]);
    repo.git(['-c', 'user.name=a', '-c', 'user.email=a@example.com', 'tag', '-a', '-m', 'm', 'v2', two]);
    repo.git(['tag', 'both', one]);
    repo.git(['update-ref', 'refs/heads/both', two]);
    const sources = await open();
    const of = async (ref: string): Promise<string> =>
      commitOf(await checkOut(sources, { repoURL: url, ref }));
    expect(await of('main')).to.equal(two);
    expect(await of('feature/x')).to.equal(side);
    expect(await of('v1')).to.equal(one);
    expect(await of('v2')).to.equal(two);
    expect(await of('both')).to.equal(one);
    expect(await of('refs/heads/both')).to.equal(two);
    expect(await of('HEAD')).to.equal(two);
  });

  it('looks a branch up each time, and says that there is none', async () => {
    const { repo, url } = repository();
    const sources = await open();
    for (const a of ['1', '2']) {
      const tip = repo.commit({ a });
      expect(commitOf(await checkOut(sources, { repoURL: url, ref: 'main' }))).to.equal(tip);
    }
    expect(failureOf(await checkOut(sources, { repoURL: url, ref: 'none' }))).to.deep.equal({
      reason: 'PrepareSource',
      message: 'the repository has neither a tag nor a branch named none',
    });
    expect(failureOf(await checkOut(sources, { repoURL: url, ref: '--upload-pack=x' })).reason).to.equal(
      'InvalidSpec',
    );
  });

  it('reads the history where an old server gives out no bare hash', async () => {
    const { repo, url } = repository();
    const first = repo.commit({ a: '1' });
    const tip = repo.commit({ a: '2' });
    repo.commit({ b: '1' }, 'other');
    server.isOld = true;
    const sources = await open();
    commitOf(await checkOut(sources, { repoURL: url, commitSHA: tip }));
    const old = await checkOut(sources, { repoURL: url, commitSHA: first });
    expect(readFileSync(join(old.folder, 'a'), 'utf8')).to.equal('1');
    expect(failureOf(await checkOut(sources, { repoURL: url, commitSHA: 'a'.repeat(40) }))).to.deep.equal({
      reason: 'PrepareSource',
      message: `commit ${'a'.repeat(40)} is not in the repository, not in the history of any branch or tag`,
    });
  });

  it('says that a commit is not there, and that a hash is none of a commit', async () => {
    const { repo, url } = repository();
    const commit = repo.commit({ a: '1' });
    const sources = await open();
    expect(failureOf(await checkOut(sources, { repoURL: url, commitSHA: 'b'.repeat(40) }))).to.deep.equal({
      reason: 'PrepareSource',
      message: `commit ${'b'.repeat(40)} is not in the repository`,
    });
    const tree = repo.git(['rev-parse', `${commit}^{tree}`]);
    expect(failureOf(await checkOut(sources, { repoURL: url, commitSHA: tree }))).to.deep.equal({
      reason: 'InvalidSpec',
      message: `${tree} is the hash of a tree, not of a commit`,
    });
    expect(
      failureOf(await checkOut(sources, { repoURL: url, commitSHA: commit.slice(0, 8) })).reason,
    ).to.equal('InvalidSpec');
  });

  it('fetches a repository whose hashes are SHA-256', async () => {
    const path = `${fresh('repo')}.git`;
    const repo = new ARepository(path, 'sha256');
    const commitSHA = repo.commit({ a: '256' });
    expect(commitSHA).to.have.length(64);
    const done = await checkOut(await open(), {
      repoURL: server.url(path.slice(root.length + 1)),
      commitSHA,
    });
    expect(readFileSync(join(done.folder, 'a'), 'utf8')).to.equal('256');
  });

  describe('with credentials', () => {
    const password = 'p@ss:w/rd %41';

    it('sends them to the host they are for, and to no other one, not even when redirected', async () => {
      const { repo, url } = repository();
      const commitSHA = repo.commit({ a: '1' });
      const other = await GitHttpServer.start(root, authority);
      try {
        server.before = basicAuth('me', password);
        const keys = { username: 'me\n', password: `${password}\n` };
        commitOf(await checkOut(await open(keys), { repoURL: url, commitSHA }));
        const same = basicAuth('me', password);
        // Renamed at the same host: followed, and still allowed in.
        server.before = (request, response) => {
          if (!request.url?.startsWith('/moved/')) return same(request, response);
          response.writeHead(301, { location: request.url.slice('/moved'.length) }).end();
          return true;
        };
        const moved = server.url(`moved/${url.slice(server.url('').length)}`);
        commitOf(await checkOut(await open(keys), { repoURL: moved, commitSHA }));
        // To a host that is not theirs: followed without them.
        server.before = (request, response) => {
          response.writeHead(301, { location: `https://${other.host}${request.url}` }).end();
          return true;
        };
        other.before = basicAuth('me', password);
        const failure = failureOf(await checkOut(await open(keys), { repoURL: url, commitSHA }));
        expect(failure.reason).to.equal('PrepareSource');
        expect(other.requests).to.not.deep.equal([]);
        expect(other.authorizations).to.deep.equal([]);
      } finally {
        await other.stop();
      }
    });

    it('keeps a wrong password out of the message, also when the server repeats it', async () => {
      const { repo, url } = repository();
      const commitSHA = repo.commit({ a: '1' });
      const base64 = Buffer.from(`me:${password}`).toString('base64');
      server.before = ({ headers }, response) => {
        if (headers.authorization === undefined)
          response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
        else
          response
            .writeHead(403, { 'content-type': 'text/plain' })
            .end(
              `no ${password} in ${headers.authorization} https://me:${encodeURIComponent(password)}@host/\n`,
            );
        return true;
      };
      const { reason, message } = failureOf(
        await checkOut(await open({ username: 'me', password }), { repoURL: url, commitSHA }),
      );
      expect(reason).to.equal('PrepareSource');
      expect(message).to.match(/cannot be fetched from localhost:\d+: .*403/);
      for (const secret of [password, encodeURIComponent(password), base64])
        expect(message).to.not.contain(secret);
    });

    it('asks nobody for what the Secret does not have', async () => {
      const { repo, url } = repository();
      const commitSHA = repo.commit({ a: '1' });
      server.before = basicAuth('me', password);
      const { reason, message } = failureOf(await checkOut(await open(), { repoURL: url, commitSHA }));
      expect(reason).to.equal('PrepareSource');
      expect(message).to.match(/could not read Username/);
    });
  });

  it('follows no redirect to another protocol', async () => {
    const { repo, url } = repository();
    const commitSHA = repo.commit({ a: '1' });
    let visits = 0;
    const plain = createServer((_request, response) => {
      visits += 1;
      response.end();
    }).listen(0, '127.0.0.1');
    await once(plain, 'listening');
    try {
      for (const location of [
        `http://localhost:${(plain.address() as AddressInfo).port}/x.git/info/refs?service=git-upload-pack`,
        `file://${repo.path}/info/refs`,
        'ext::sh -c "touch /tmp/x"',
      ]) {
        server.before = (_request, response) => {
          response.writeHead(302, { location }).end();
          return true;
        };
        expect(failureOf(await checkOut(await open(), { repoURL: url, commitSHA })).reason).to.equal(
          'PrepareSource',
        );
      }
      expect(visits).to.equal(0);
    } finally {
      plain.close();
    }
  });

  describe('bounds', () => {
    const random = (bytes: number): Buffer =>
      execFileSync('head', ['-c', String(bytes), '/dev/urandom'], { maxBuffer: 1e9 });

    it('ends a download at the limit, and leaves nothing of it', async () => {
      const { repo, url } = repository();
      const commitSHA = repo.commit({ big: random(5_000_000) });
      const pod = fresh('pod');
      const sources = await open({}, { maxBytes: 1_048_576 }, pod);
      expect(failureOf(await checkOut(sources, { repoURL: url, commitSHA }))).to.deep.equal({
        reason: 'PrepareSource',
        message:
          'the repository is too large: more than 1048576 bytes had to be fetched, the limit that spec.git.maxBytes of the Runtime sets',
      });
      expect(readdirSync(join(pod, 'fetches'))).to.deep.equal([]);
      expect(readdirSync(join(pod, 'mirrors'))).to.deep.equal([]);
    });

    it('writes no file of a commit that unpacks to more than the limit, in bytes or in files', async () => {
      const { repo, url } = repository();
      const large = repo.commit({ zeros: Buffer.alloc(20_000_000), a: '1' });
      const sources = await open({}, { maxBytes: 10_000_000, maxEntries: 1000 });
      const bytes = await checkOut(sources, { repoURL: url, commitSHA: large });
      expect(failureOf(bytes).message).to.match(
        /^the commit is too large: its files have more than 10000000 bytes/,
      );
      expect(readdirSync(bytes.folder)).to.deep.equal([]);
      // 10^8 files in nine objects.
      let tree = repo.tree([['100644', repo.blob('x'), 'f']]);
      for (let level = 0; level < 8; level += 1)
        tree = repo.tree('0123456789'.split('').map((name) => ['40000', tree, name] as const));
      const many = await checkOut(sources, { repoURL: url, commitSHA: repo.commitTree(tree) });
      expect(failureOf(many).message).to.equal('the commit is too large: it has more than 1000 files');
    });

    it('gives up a server that is too slow, and ends at once when told to', async () => {
      const { repo, url } = repository();
      const commitSHA = repo.commit({ a: '1' });
      let arrived: () => void = () => undefined;
      // Never answered.
      server.before = () => {
        arrived();
        return true;
      };
      const slow = failureOf(await checkOut(await open({}, { timeoutMs: 300 }), { repoURL: url, commitSHA }));
      expect(slow).to.deep.equal({
        reason: 'PrepareSource',
        message: 'the source was not there within 300ms, the limit that spec.git.timeout of the Runtime sets',
      });
      const pod = fresh('pod');
      const sources = await open({}, {}, pod);
      const controller = new AbortController();
      const asked = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const pending = checkOut(sources, { repoURL: url, commitSHA }, controller.signal);
      await asked;
      // Nobody else waits for it.
      const { repo: quick, url: quickUrl } = repository();
      const quickSHA = quick.commit({ b: '1' });
      server.before = () => false;
      commitOf(await checkOut(sources, { repoURL: quickUrl, commitSHA: quickSHA }));
      const again = checkOut(sources, { repoURL: url, commitSHA });
      controller.abort();
      expect(failureOf(await pending).message).to.equal('the fetch was broken off');
      // The one that was not told to end waits on for the very same fetch.
      const other = new AbortController();
      const late = checkOut(sources, { repoURL: url, commitSHA }, other.signal);
      other.abort();
      failureOf(await late);
      expect(await Promise.race([again.then(() => 'ended'), Promise.resolve('waits')])).to.equal('waits');
      server.dropAll();
      expect(failureOf(await again).reason).to.equal('PrepareSource');
      commitOf(await checkOut(sources, { repoURL: url, commitSHA }));
    });

    it('never has more on disk than it may, and ends all Runs: those without room wait for it', async () => {
      const pod = fresh('pod');
      const sources = await open({}, { maxBytes: 150_000, cacheBytes: 300_000, diskBytes: 350_000 }, pod);
      const all = await Promise.all(
        Array.from({ length: 6 }, () => {
          const { repo, url } = repository();
          return checkOut(sources, { repoURL: url, commitSHA: repo.commit({ big: random(100_000) }) });
        }),
      );
      for (const each of all) commitOf(each);
      expect(readdirSync(join(pod, 'mirrors')).length).to.be.within(1, 3);
    });

    it('forgets the repositories that were not used for longest', async () => {
      const pod = fresh('pod');
      const sources = await open({}, { cacheBytes: 250_000 }, pod);
      const all = [0, 1, 2].map(() => {
        const { repo, url } = repository();
        return { repoURL: url, commitSHA: repo.commit({ big: random(100_000) }) };
      });
      const [a, b, c] = all;
      if (!a || !b || !c) throw new Error('three are needed');
      for (const source of [a, b, a, c]) commitOf(await checkOut(sources, source));
      server.requests.length = 0;
      commitOf(await checkOut(sources, a));
      commitOf(await checkOut(sources, c));
      expect(server.requests).to.deep.equal([]);
      commitOf(await checkOut(sources, b));
      expect(server.requests).to.not.deep.equal([]);
      expect(readdirSync(join(pod, 'mirrors'))).to.have.length(2);
    });
  });

  it('fetches once for all that want a commit at the same time', async () => {
    const { repo, url } = repository();
    const commitSHA = repo.commit({ a: '1' });
    const sources = await open();
    const all = await Promise.all(
      Array.from({ length: 8 }, () => checkOut(sources, { repoURL: url, commitSHA })),
    );
    expect(new Set(all.map(commitOf))).to.deep.equal(new Set([commitSHA]));
    expect(fetches()).to.be.at.most(2);
    const commits = Array.from({ length: 6 }, (_, n) => repo.commit({ a: '1', n: String(n) }));
    const each = await Promise.all(commits.map((sha) => checkOut(sources, { repoURL: url, commitSHA: sha })));
    expect(each.map(commitOf)).to.deep.equal(commits);
    expect(each.map((done) => readFileSync(join(done.folder, 'n'), 'utf8'))).to.deep.equal([
      '0',
      '1',
      '2',
      '3',
      '4',
      '5',
    ]);
  });

  it('fetches anew what has been damaged, and removes what an earlier life left unfinished', async () => {
    const { repo, url } = repository();
    const commitSHA = repo.commit({ a: 'x'.repeat(10_000), b: '2' });
    const pod = fresh('pod');
    const sources = await open({}, {}, pod);
    commitOf(await checkOut(sources, { repoURL: url, commitSHA }));
    const [mirror = ''] = readdirSync(join(pod, 'mirrors'));
    const packs = join(pod, 'mirrors', mirror, 'objects/pack');
    const pack = readdirSync(packs).find((name) => name.endsWith('.pack')) ?? '';
    execFileSync('chmod', ['u+w', join(packs, pack)]);
    truncateSync(join(packs, pack), 40);
    const repaired = await checkOut(sources, { repoURL: url, commitSHA });
    expect(readFileSync(join(repaired.folder, 'b'), 'utf8')).to.equal('2');
    // What kill -9 leaves.
    mkdirSync(join(pod, 'fetches/7/repository/objects/pack'), { recursive: true });
    writeFileSync(join(pod, 'fetches/7/repository/objects/pack/tmp_pack_x'), 'half');
    mkdirSync(join(pod, 'mirrors/torn/objects'), { recursive: true });
    const restarted = await open({}, {}, pod);
    expect(readdirSync(join(pod, 'fetches'))).to.deep.equal([]);
    const left = readdirSync(join(pod, 'mirrors'));
    expect(left.map((name) => name.split('.')[0])).to.deep.equal([mirror.split('.')[0]]);
    commitOf(await checkOut(restarted, { repoURL: url, commitSHA }));
  });

  describe('submodules', () => {
    /** A commit of `repo` with these submodules besides its files. */
    const withSubmodules = (
      repo: ARepository,
      files: Readonly<Record<string, string>>,
      modules: Readonly<Record<string, readonly [url: string, commit: string]>>,
    ): string => {
      const gitmodules = Object.entries(modules)
        .map(([path, [url]]) => `[submodule "m-${path}"]\n\tpath = ${path}\n\turl = ${url}\n`)
        .join('');
      const tree = repo.git(['ls-tree', repo.commit({ ...files, '.gitmodules': gitmodules })]).split('\n');
      const links = Object.entries(modules).map(([path, [, commit]]) => `160000 commit ${commit}\t${path}`);
      return repo.commitTree(repo.git(['mktree', '--missing'], `${[...tree, ...links].join('\n')}\n`));
    };
    const nameOf = (url: string): string => url.slice(url.lastIndexOf('/') + 1);

    it('are checked out when asked for, and theirs, too', async () => {
      const [inner, middle, outer] = [repository(), repository(), repository()];
      const innermost = inner.repo.commit({ deep: 'yes' });
      const between = withSubmodules(middle.repo, { b: '2' }, { inner: [inner.url, innermost] });
      const commitSHA = withSubmodules(
        outer.repo,
        { a: '1' },
        { lib: [`../${nameOf(middle.url)}`, between] },
      );
      const sources = await open();
      const plain = await checkOut(sources, { repoURL: outer.url, commitSHA });
      expect(readdirSync(join(plain.folder, 'lib'))).to.deep.equal([]);
      const whole = await checkOut(sources, { repoURL: outer.url, commitSHA, submodules: true });
      expect(commitOf(whole)).to.equal(commitSHA);
      expect(readFileSync(join(whole.folder, 'lib/b'), 'utf8')).to.equal('2');
      expect(readFileSync(join(whole.folder, 'lib/inner/deep'), 'utf8')).to.equal('yes');
      server.requests.length = 0;
      commitOf(await checkOut(sources, { repoURL: outer.url, commitSHA, submodules: true }));
      expect(server.requests).to.deep.equal([]);
    });

    it('come from nowhere but where repositories may be, and are named when they fail', async () => {
      const proof = fresh('proof');
      for (const [url, message] of [
        [`ext::touch ${proof}`, /^submodule m cannot be fetched: its URL in .gitmodules is none of/],
        [`file://${root}`, /^submodule m cannot be fetched/],
        ['https://me:hunter2@localhost/x', /must not hold credentials/],
      ] as const) {
        const { repo, url: repoURL } = repository();
        const commitSHA = withSubmodules(repo, {}, { m: [url, '1'.repeat(40)] });
        const failure = failureOf(await checkOut(await open(), { repoURL, commitSHA, submodules: true }));
        expect(failure.reason).to.equal('InvalidSpec');
        expect(failure.message).to.match(message).and.not.contain('hunter2');
      }
      expect(existsSync(proof)).to.equal(false);
      const { repo, url: repoURL } = repository();
      const commitSHA = withSubmodules(repo, {}, { m: [server.url('none.git'), '1'.repeat(40)] });
      const gone = failureOf(await checkOut(await open(), { repoURL, commitSHA, submodules: true }));
      expect(gone.reason).to.equal('PrepareSource');
      expect(gone.message).to.match(/^submodule m: commit 1+ cannot be fetched/);
    });

    it('count against the bounds together', async () => {
      const part = repository();
      const commit = part.repo.commit({ zeros: Buffer.alloc(4_000_000) });
      const whole = repository();
      const modules = Object.fromEntries(
        ['m1', 'm2', 'm3'].map((path) => [path, [part.url, commit] as const]),
      );
      const commitSHA = withSubmodules(whole.repo, {}, modules);
      const source = { repoURL: whole.url, commitSHA, submodules: true };
      commitOf(await checkOut(await open({}, { maxBytes: 20_000_000 }), source));
      const failure = failureOf(await checkOut(await open({}, { maxBytes: 10_000_000 }), source));
      expect(failure.message).to.match(/more than 10000000 bytes in all/);
    });

    it('end where they contain themselves', async () => {
      const { repo, url } = repository();
      let nested = repo.commit({ a: '1' });
      for (let level = 0; level < 6; level += 1)
        nested = withSubmodules(repo, { a: '1' }, { m: [url, nested] });
      const deep = failureOf(
        await checkOut(await open(), { repoURL: url, commitSHA: nested, submodules: true }),
      );
      expect(deep.message).to.match(/more than 4 deep$/);
    });

    it('are not written through a link of the name of a folder above them', async () => {
      const outside = fresh('outside');
      mkdirSync(join(outside, 'm'), { recursive: true });
      const part = repository();
      const commit = part.repo.commit({ evil: 'x' });
      const { repo, url: repoURL } = repository();
      const inner = repo.git(['mktree', '--missing'], `160000 commit ${commit}\tm\n`);
      const modules = repo.blob(`[submodule "m"]\n\tpath = a/m\n\turl = ${part.url}\n`);
      for (const order of [0, 1]) {
        const both = [['120000', repo.blob(outside), 'a'] as const, ['40000', inner, 'a'] as const];
        const tree = repo.tree([
          ['100644', modules, '.gitmodules'],
          ...(order === 0 ? both : both.toReversed()),
        ]);
        await checkOut(await open(), { repoURL, commitSHA: repo.commitTree(tree), submodules: true });
        expect(readdirSync(join(outside, 'm'))).to.deep.equal([]);
      }
    });
  });

  describe('hostile repositories', () => {
    it('cannot write outside of the folder', async () => {
      const { repo, url } = repository();
      const outside = fresh('outside');
      mkdirSync(outside);
      const evil = repo.blob('evil');
      const inner = repo.tree([['100644', evil, 'evil']]);
      const trees: Readonly<Record<string, string>> = {
        dotdot: repo.tree([['40000', inner, '..']]),
        slash: repo.tree([['100644', evil, '../evil']]),
        absolute: repo.tree([['100644', evil, `${outside}/evil`]]),
        dotGit: repo.tree([['40000', inner, '.git']]),
        dotGitByAnotherName: repo.tree([['40000', inner, 'GIT~1']]),
        throughALink: repo.tree([
          ['120000', repo.blob(outside), 'a'],
          ['40000', inner, 'a'],
        ]),
        throughALinkInAnyCase: repo.tree([
          ['120000', repo.blob(outside), 'A'],
          ['40000', inner, 'A'],
        ]),
      };
      const sources = await open();
      for (const [name, tree] of Object.entries(trees)) {
        const { result, folder } = await checkOut(sources, {
          repoURL: url,
          commitSHA: repo.commitTree(tree),
        });
        expect(readdirSync(outside), name).to.deep.equal([]);
        expect(existsSync(join(folder, '../evil')), name).to.equal(false);
        expect(existsSync(join(folder, '.git')), name).to.equal(false);
        if (name.startsWith('dot') || name === 'slash') {
          expect(E.isLeft(result) && result.left.reason, name).to.equal('InvalidSpec');
        }
      }
    });

    it('that get a Run to tamper with mirror and workspace still give no orders', async () => {
      const { repo, url } = repository();
      const commitSHA = repo.commit({ '.gitattributes': '* filter=evil\n', a: '1' });
      const [pod, proof, elsewhere] = [fresh('pod'), fresh('proof'), fresh('elsewhere')];
      const sources = await open({}, {}, pod);
      commitOf(await checkOut(sources, { repoURL: url, commitSHA }));
      const [mirror = ''] = readdirSync(join(pod, 'mirrors'));
      const command = `touch ${proof}; cat`;
      writeFileSync(
        join(pod, 'mirrors', mirror, 'config'),
        `[core]\n\tfsmonitor = "${command}"\n\tsshCommand = "${command}"\n\talternateRefsCommand = "${command}"\n[filter "evil"]\n\tsmudge = "${command}"\n`,
      );
      const next = repo.commit({ '.gitattributes': '* filter=evil\n', a: '2' });
      for (const sha of [commitSHA, next])
        commitOf(await checkOut(sources, { repoURL: url, commitSHA: sha }));
      expect(existsSync(proof)).to.equal(false);
      mkdirSync(elsewhere);
      const folder = fresh('workspace');
      symlinkSync(elsewhere, folder);
      const swapped = await sources.checkOut(
        { repoURL: url, commitSHA },
        folder,
        new AbortController().signal,
      );
      expect(E.isLeft(swapped) && swapped.left.message).to.match(/is not the empty folder it was made as/);
      expect(readdirSync(elsewhere)).to.deep.equal([]);
    });

    it('run no hook, filter, attribute driver, submodule or setting of their own', async () => {
      const { repo, url } = repository();
      const proof = fresh('proof');
      const commitSHA = repo.commit({
        '.gitattributes': '* filter=lfs diff=x merge=x\n',
        '.gitmodules': `[submodule "m"]\n\tpath = m\n\turl = ext::sh -c touch% ${proof}\n\tupdate = !touch ${proof}\n`,
        '.gitconfig': `[core]\n\tfsmonitor = touch ${proof}\n`,
        'hooks/post-checkout': `#!/bin/sh\ntouch ${proof}\n`,
        'hooks/post-index-change': `#!/bin/sh\ntouch ${proof}\n`,
        big: 'version https://git-lfs.github.com/spec/v1\n',
      });
      const tree = repo.git(['ls-tree', commitSHA]).split('\n');
      const withSubmodule = repo.commitTree(
        repo.git(['mktree', '--missing'], [...tree, `160000 commit ${'1'.repeat(40)}\tm`, ''].join('\n')),
      );
      const done = await checkOut(await open(), { repoURL: url, commitSHA: withSubmodule });
      commitOf(done);
      expect(existsSync(proof)).to.equal(false);
      expect(readFileSync(join(done.folder, 'big'), 'utf8')).to.match(/^version/);
      expect(lstatSync(join(done.folder, 'm')).isDirectory()).to.equal(true);
      expect(readdirSync(join(done.folder, 'm'))).to.deep.equal([]);
    });
  });

  it('says so where there is no git', async () => {
    const without = await open({}, {}, fresh('pod'), '/nowhere');
    expect(
      failureOf(await checkOut(without, { repoURL: 'https://h/r', commitSHA: 'a'.repeat(40) })),
    ).to.deep.equal({
      reason: 'PrepareSource',
      message:
        'Git sources need the program git, which is not on the PATH of runtimed; install git there, or use source.inline',
    });
  });
});
