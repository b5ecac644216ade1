/**
 * What `npm run release` publishes, used as users would. The executables need the npm registry and minutes; with
 * `RELEASE_EXECUTABLES=1` they are made and tried, too.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';

import { findHelm, helm } from '../charts/helm.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const platform = `${process.platform}-${process.arch}`;
const withExecutables = process.env.RELEASE_EXECUTABLES !== undefined;

describe('npm run release', function () {
  this.timeout(600_000);
  let folder: string;

  const release = (name: string): string => {
    const outdir = join(folder, name);
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        'src/main/release/main.js',
        '--outdir',
        outdir,
        ...(withExecutables ? ['--platform', platform] : ['--no-executables']),
      ],
      { cwd: root, encoding: 'utf8', env: { ...process.env, SOURCE_DATE_EPOCH: '1800000000' } },
    );
    if (status !== 0) throw new Error(stderr);
    return outdir;
  };
  const run = (
    program: string,
    args: ReadonlyArray<string>,
    env: NodeJS.ProcessEnv = process.env,
  ): SpawnSyncReturns<string> => spawnSync(program, args, { encoding: 'utf8', env, timeout: 120_000 });
  /** A folder with links to what a shell script may need, node not among it. */
  const toolsFolder = (): string => {
    const place = join(folder, 'bin');
    mkdirSync(place);
    const path = (process.env.PATH ?? '').split(delimiter);
    for (const tool of ['bash', 'sh', 'cat', 'sleep', 'mkfifo', 'pwd', 'echo', 'rm', 'ls']) {
      const found = path.find((each) => each !== '' && existsSync(join(each, tool)));
      if (found !== undefined) symlinkSync(join(found, tool), join(place, tool));
    }
    return place;
  };
  /** The whole of it: a control plane, a Run, its exit code, and nothing left. */
  const useKrt = (krt: string, path: string): void => {
    const home = mkdtempSync(join(folder, 'home-'));
    const env = { HOME: home, PATH: path, TMPDIR: process.env.TMPDIR };
    const said = run(krt, ['version'], env);
    expect([said.status, said.stdout.split(' ')[1]]).to.deep.equal([0, version]);
    const up = run(krt, ['up', '--detach'], env);
    try {
      expect([up.status, up.stderr.includes('error')]).to.deep.equal([0, false]);
      const hello = run(krt, ['run', '--follow', '--', 'echo hello'], env);
      expect([hello.status, hello.stdout.trim().split('\n').at(-1)]).to.deep.equal([0, 'hello']);
      expect(run(krt, ['run', '--wait', '--', 'exit 7'], env).status).to.equal(7);
    } finally {
      expect(run(krt, ['down'], env).status).to.equal(0);
    }
  };

  let one: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'release-'));
    one = release('one');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('publishes these files, and their checksums', () => {
    const files = [
      ...(withExecutables ? [`krt-${version}-${platform}.tar.gz`] : []),
      `kruntimes-${version}.cdx.json`,
      `kruntimes-${version}.tgz`,
      `kruntimes-images-${version}.tar.gz`,
      `kruntimes-npm-${version}.tgz`,
      `kruntimes-runtimes-${version}.tgz`,
    ];
    expect(readdirSync(one).sort()).to.deep.equal(['SHA256SUMS', ...files]);
    expect(readFileSync(join(one, 'SHA256SUMS'), 'utf8')).to.equal(
      files
        .map(
          (file) =>
            `${createHash('sha256')
              .update(readFileSync(join(one, file)))
              .digest('hex')}  ${file}\n`,
        )
        .join(''),
    );
  });

  it('publishes the same bytes when it is run again', () => {
    expect(readFileSync(join(release('two'), 'SHA256SUMS'), 'utf8')).to.equal(
      readFileSync(join(one, 'SHA256SUMS'), 'utf8'),
    );
  });

  it('the npm package, installed into an empty folder without a network, has krt that does everything', () => {
    const place = join(folder, 'installed');
    mkdirSync(place);
    const tarball = join(one, `kruntimes-npm-${version}.tgz`);
    const { status, stderr } = run('npm', ['install', '--offline', '--no-audit', '--prefix', place, tarball]);
    expect([status, stderr]).to.deep.equal([0, '']);
    expect(readdirSync(join(place, 'node_modules')).filter((name) => !name.startsWith('.'))).to.deep.equal([
      'kruntimes',
    ]);
    useKrt(join(place, 'node_modules/.bin/krt'), process.env.PATH ?? '');
  });

  it('the charts are what helm takes', function () {
    const path = findHelm();
    if (path === undefined) return this.skip();
    for (const name of ['kruntimes', 'kruntimes-runtimes']) {
      const { status, stdout } = helm(path, ['show', 'chart', join(one, `${name}-${version}.tgz`)]);
      expect([status, stdout.includes(`version: ${version}`)]).to.deep.equal([0, true]);
      const rendered = helm(path, [
        'template',
        'x',
        join(one, `${name}-${version}.tgz`),
        '--kube-version=1.34.0',
      ]);
      expect([rendered.status, rendered.stderr]).to.deep.equal([0, '']);
    }
  });

  it('the context of the images has the Dockerfile and what it copies', () => {
    const { stdout } = run('tar', ['-tzf', join(one, `kruntimes-images-${version}.tar.gz`)]);
    const names = stdout.split('\n').map((name) => name.replace(`kruntimes-images-${version}/`, ''));
    const dockerfile = readFileSync(join(root, 'images/Dockerfile'), 'utf8');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(\S+)/gm)].map(([, source]) => source ?? '');
    expect(copied.length).to.be.greaterThan(3);
    for (const source of copied)
      expect([source, names.some((name) => name === source || name.startsWith(`${source}/`))]).to.deep.equal([
        source,
        true,
      ]);
    expect(names).to.include('Dockerfile');
  });

  it('the bill of materials is CycloneDX and names what is bundled', () => {
    const bill = JSON.parse(readFileSync(join(one, `kruntimes-${version}.cdx.json`), 'utf8'));
    expect(bill.bomFormat).to.equal('CycloneDX');
    const names: ReadonlyArray<string> = bill.components.map(({ name }: { name: string }) => name);
    expect(names).to.include.members(['rxjs', 'bunyan', 'node']);
    expect(names).to.not.include('mocha');
  });

  it('krt is one file that needs no node', function () {
    if (!withExecutables) return this.skip();
    const { status } = run('tar', ['-xzf', join(one, `krt-${version}-${platform}.tar.gz`), '-C', folder]);
    expect(status).to.equal(0);
    const tools = toolsFolder();
    expect(run('sh', ['-c', 'command -v node'], { PATH: tools }).status).to.not.equal(0);
    const krt = join(folder, `krt-${version}-${platform}`, 'krt');
    useKrt(krt, tools);
    const shared = mkdtempSync(join(folder, 'shared-'));
    chmodSync(shared, 0o777);
    const refused = run(krt, ['version'], { PATH: tools, KRT_PROGRAMS: shared });
    expect([refused.status, refused.stderr.includes('others may write to it')]).to.deep.equal([1, true]);
  });
});
