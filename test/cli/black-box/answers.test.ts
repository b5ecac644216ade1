/** krt as it ships, against the real API server: what it prints and how it fails. */
import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

import { expect } from 'chai';
import * as yaml from 'js-yaml';

import { SCRIPTS } from '../../../src/cli/completion/scripts.js';
import { roleBindings, roles, runs, runtimes } from '../../../src/model/resources.js';
import { bundles } from './bundle.js';
import { endCalls, type Said, start } from './call.js';
import { answer, end, runNamed, startCluster, type TestCluster } from './cluster.js';

const runtimeNamed = (name: string) => ({
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Runtime',
  metadata: { name, namespace: 'default' },
  spec: { template: { spec: { containers: [{ name: 'runtime', image: 'x' }] } } },
});

describe('krt', () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startCluster();
    await cluster.create(runs, {
      ...runNamed('one'),
      metadata: { name: 'one', namespace: 'default', labels: { team: 'a' } },
    });
    await cluster.create(runs, runNamed('two'));
    await cluster.status(
      'two',
      end('Failed', 'RuntimeError', { exitCode: 3, outputs: { b: '2', a: 'x=y z' } }),
    );
    await cluster.create(runtimes, runtimeNamed('python'));
  });
  after(() => cluster.close());
  afterEach(endCalls);

  const said = (...argv: ReadonlyArray<string>): Promise<Said> => cluster.krt(...argv).done;
  const fetched = (name: string): Promise<unknown> =>
    answer(cluster.kube.get(runs, { namespace: 'default', name }));

  describe('output', () => {
    it('-o json is the object exactly as the API holds it', async () => {
      expect(JSON.parse((await said('get', 'two', '-o', 'json')).out)).to.deep.equal(await fetched('two'));
    });

    it('-o yaml is the same object', async () => {
      expect(yaml.load((await said('get', 'two', '-o', 'yaml')).out)).to.deep.equal(await fetched('two'));
    });

    it('-o json of several is a List of them, in the order asked for', async () => {
      const list = JSON.parse((await said('get', 'two', 'one', '-o', 'json')).out);
      expect(list).to.include({ kind: 'List', apiVersion: 'v1' });
      expect(list.items).to.deep.equal([await fetched('two'), await fetched('one')]);
    });

    it('krt list -o json is a List of the objects', async () => {
      const list = JSON.parse((await said('list', '-o', 'json')).out);
      expect(list.kind).to.equal('List');
      expect(list.items).to.deep.include(await fetched('one'));
    });

    it('-o name can be given back to krt', async () => {
      const { out } = await said('list', '-o', 'name');
      expect(out).to.equal('run.kruntimes.io/one\nrun.kruntimes.io/two\n');
      expect((await said('get', ...out.trim().split('\n'), '-o', 'name')).out).to.equal(out);
    });

    it('-o jsonpath', async () => {
      expect((await said('get', 'two', '-o', 'jsonpath={.status.phase}')).out).to.equal('Failed');
      const each = '{range .items[*]}{.metadata.name} {end}';
      expect((await said('list', '-o', `jsonpath=${each}`)).out).to.equal('one two ');
    });

    it('a table has the printer columns, -o wide all of them', async () => {
      const table = (await said('get', 'two')).out.split('\n');
      expect(table[0]).to.match(/^NAME +PHASE +RUNTIME +POD +ATTEMPT +DURATION +AGE$/);
      expect(table[1]).to.match(/^two +Failed +bash +<none> +1 /);
      const wide = (await said('get', 'two', '-o', 'wide')).out;
      expect(wide).to.match(/ EXIT +REASON +AGE\n.* 3 +RuntimeError /);
    });

    it('the table is the one that kubectl prints, which leaves absent cells blank', async function () {
      if (spawnSync('kubectl', ['version', '--client']).status !== 0) return this.skip();
      const theirs = execFileSync(
        'kubectl',
        ['get', 'runs', '-o', 'wide', '--kubeconfig', cluster.kubeconfig],
        {
          encoding: 'utf8',
          env: { PATH: process.env.PATH, HOME: cluster.folder },
        },
      );
      // All but the age, which may have changed between the two.
      const cells = (text: string): unknown =>
        text
          .replaceAll('<none>', '')
          .trim()
          .split('\n')
          .map((line) => line.trim().split(/ {2,}/).slice(0, -1));
      expect(cells((await said('list', '-o', 'wide')).out)).to.deep.equal(cells(theirs));
    });

    it('has no colour and no progress line where nobody looks', async () => {
      const { err } = await said('wait', 'two');
      expect(err).to.equal('');
    });
  });

  describe('list', () => {
    const selections: ReadonlyArray<readonly [flags: ReadonlyArray<string>, names: ReadonlyArray<string>]> = [
      [['-l', 'team=a'], ['one']],
      [['-l', 'team!=a'], ['two']],
      [['--phase', 'Pending'], ['one']],
      [['--phase', 'failed'], ['two']],
      [
        ['--phase', 'failed,Pending'],
        ['one', 'two'],
      ],
      [['--phase', 'Failed', '--runtime', 'bash'], ['two']],
      [['--runtime', 'nope'], []],
      [['-A'], ['one', 'two']],
    ];
    it('selects by label, phase, Runtime and namespace', async () => {
      const listed = await Promise.all(
        selections.map(async ([flags]) => (await said('list', ...flags, '-o', 'name')).out),
      );
      expect(listed).to.deep.equal(
        selections.map(([, names]) => names.map((name) => `run.kruntimes.io/${name}\n`).join('')),
      );
    });

    it('-A shows the namespace', async () => {
      expect((await said('list', '-A')).out).to.match(/^NAMESPACE +NAME .*\ndefault +one /);
    });

    it('says on stderr that there are none', async () => {
      expect(await said('list', '--runtime', 'nope')).to.deep.equal({
        code: 0,
        out: '',
        err: 'no runs in namespace default\n',
      });
    });

    it('-w prints each change as a row, also after a restart of the API server', async () => {
      const call = cluster.krt('list', '-w', '-l', 'team=a', '-v');
      await call.says('out', /one +<none> +bash/);
      await call.says('err', /watch=1/);
      await cluster.status('one', { phase: 'Scheduled', assignedPod: 'p', attempt: 1 });
      await call.says('out', /one +Scheduled +bash +p +1/);
      await cluster.killApi();
      await cluster.restartApi();
      await cluster.status('one', { phase: 'Running' });
      await call.says('out', /one +Running +bash +p +1/);
      call.child.kill('SIGINT');
      expect((await call.done).code).to.equal(130);
    });

    it('-w -o json prints each object', async () => {
      const call = cluster.krt('list', '-w', '-o', 'json', '--phase', 'Failed');
      await call.says('out', /"phase": "Failed"[\s\S]*\n}\n/);
      call.child.kill('SIGINT');
      expect(JSON.parse((await call.done).out)).to.deep.equal(await fetched('two'));
    });
  });

  describe('run', () => {
    it('takes a script from stdin, and the only Runtime there is', async () => {
      const call = cluster.krtWith('echo "$1"\n', 'run', '-f', '-', '-o', 'json', '--', 'a b');
      expect(JSON.parse((await call.done).out).spec).to.deep.include({
        runtime: 'python',
        source: { inline: 'echo "$1"\n' },
        args: ['a b'],
      });
    });

    it('prefers the Runtime named bash, and asks where there are several others', async () => {
      await cluster.create(runtimes, runtimeNamed('node'));
      const { code, err } = await said('run', '--', 'x');
      expect(err).to.match(/several Runtimes and none is named bash; choose one with -r: node, python/);
      expect(code).to.equal(2);
      await cluster.create(runtimes, runtimeNamed('bash'));
      const { out } = await said('run', '-o', 'jsonpath={.spec.runtime}', '--', 'x');
      expect(out).to.equal('bash');
    });

    it('says which fields the API refuses, a line each', async () => {
      const { code, err } = await said(
        'run',
        '-r',
        'bash',
        '--name',
        'bad',
        '--entrypoint',
        '/x',
        '-e',
        'KRUNTIME_X=1',
      );
      expect(err).to.match(/^krt: Run\.kruntimes\.io "bad" is invalid\n( {2}spec\.\w+.*\n){2}$/);
      expect(err)
        .to.match(/^ {2}spec\.entrypoint: /m)
        .and.to.match(/^ {2}spec\.env.*: /m);
      expect(code).to.equal(1);
    });

    it('says that a name is taken', async () => {
      const { code, err } = await said('run', '-r', 'bash', '--name', 'one', '--', 'x');
      expect(err).to.match(/^krt: .*"one" already exists; choose another name.*\n$/);
      expect(code).to.equal(1);
    });

    it('refuses a script that is not text', async () => {
      const file = join(cluster.folder, 'binary');
      writeFileSync(file, Buffer.from([0xff, 0xfe, 0x00]));
      expect(await said('run', '-f', file)).to.deep.include({ code: 1, out: '' });
    });

    it('krt rerun makes a new Run of the same spec, not of its cancellation', async () => {
      await cluster.create(runs, { ...runNamed('again', { env: { A: '1' }, timeout: '5s' }) });
      await said('cancel', 'again');
      const object = JSON.parse((await said('rerun', 'again', '-o', 'json')).out);
      expect(object.metadata.name).to.match(/^again-rerun-[a-z0-9]{6}$/);
      expect(object.spec).to.deep.include({
        env: { A: '1' },
        timeout: '5s',
        source: { inline: 'echo hello\n' },
      });
      expect(object.spec.cancelRequested ?? false).to.equal(false);
    });
  });

  describe('outputs', () => {
    it('prints one value as it is', async () => {
      expect((await said('outputs', 'two', 'a')).out).to.equal('x=y z\n');
    });
    it('prints all, sorted, and as JSON', async () => {
      expect((await said('outputs', 'two')).out).to.equal('KEY   VALUE\na     x=y z\nb     2\n');
      expect(JSON.parse((await said('outputs', 'two', '-o', 'json')).out)).to.deep.equal({
        a: 'x=y z',
        b: '2',
      });
    });
    it('says which keys there are', async () => {
      const { code, err } = await said('outputs', 'two', 'nope');
      expect(err).to.equal('krt: run default/two has no output "nope"; it has a, b\n');
      expect(code).to.equal(3);
    });
  });

  describe('describe', () => {
    it('shows spec, durations, conditions of a Run', async () => {
      const { out } = await said('describe', 'two');
      expect(out)
        .to.match(/^Name: +two$/m)
        .and.to.match(/^Phase: +Failed \(RuntimeError\)$/m);
      expect(out)
        .to.match(/\| echo hello$/m)
        .and.to.match(/started to ended +1.5s$/m);
      expect(out).to.match(/Finished +True +RuntimeError/);
    });
    it('shows a Runtime', async () => {
      expect((await said('runtime', 'describe', 'python')).out).to.match(/^Each pod holds: +runs=2$/m);
    });
  });

  describe('failures are one line, with the right code', () => {
    const lines: ReadonlyArray<readonly [argv: ReadonlyArray<string>, code: number, text: RegExp]> = [
      [['get', 'nobody'], 3, /runs\.kruntimes\.io "nobody" not found/],
      [['logs', 'one', '--attempt', '4'], 3, /has no attempt 4|holds no log|is gone|not found/],
      [['delete', 'nobody'], 3, /"nobody" not found/],
      [['cancel', 'nobody'], 3, /"nobody" not found/],
      [['rerun', 'nobody'], 3, /"nobody" not found/],
      [['artifact', 'download', 'two', 'x'], 3, /run two has no artifact x/],
      [['get', 'one', '--context', 'nope'], 4, /no such context "nope"/],
      [['get', 'one', '--kubeconfig', '/nope'], 4, /\/nope does not exist/],
      [['run', '-f', '/nope'], 1, /cannot read \/nope: there is no such file/],
      [['list', '--frob'], 2, /unknown option '--frob'/],
      [['lst'], 2, /unknown command 'lst'; did you mean/],
      [['get', 'one', '-o', 'xml'], 2, /-o xml is no output format/],
      [['get', 'one', '-o', 'jsonpath={.a'], 2, /jsonpath: .*not closed/],
      [['list', '-l', 'a in'], 1, /./],
    ];
    it('whatever it is', async () => {
      const outcomes = await Promise.all(lines.map(([argv]) => said(...argv)));
      for (const [i, [argv, code, text]] of lines.entries()) {
        const outcome = outcomes[i];
        expect(outcome?.err, argv.join(' '))
          .to.match(/^krt: [^\n]+\n$/)
          .and.to.match(text);
        expect(outcome, argv.join(' ')).to.include({ code, out: '' });
      }
    });

    it('several missing names are a line each, after what was found', async () => {
      const { code, out, err } = await said('get', 'no-1', 'one', 'no-2', '-o', 'name');
      expect(out).to.equal('run.kruntimes.io/one\n');
      expect(err).to.match(/^krt: .*"no-1" not found\nkrt: .*"no-2" not found\n$/);
      expect(code).to.equal(3);
    });

    it('no cluster at all', async () => {
      const { code, err } = await start(['list'], { home: cluster.folder }).done;
      expect(err).to.match(/^krt: there is no cluster to talk to: .*krt up.*\n$/);
      expect(code).to.equal(4);
    });

    it('a cluster that is not there', async () => {
      const server = createServer();
      const port = await new Promise<number>((resolve) => {
        server.listen(0, '127.0.0.1', () => {
          const address = server.address();
          resolve(typeof address === 'object' && address ? address.port : 0);
        });
      });
      await new Promise((resolve) => server.close(resolve));
      const kubeconfig = join(cluster.folder, 'dead');
      const text = {
        'current-context': 'x',
        contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
        clusters: [{ name: 'x', cluster: { server: `https://127.0.0.1:${port}` } }],
        users: [{ name: 'x', user: { token: 'secret-token' } }],
      };
      writeFileSync(kubeconfig, JSON.stringify(text));
      const calls = [['list'], ['get', 'a'], ['wait', 'a'], ['run', '--wait', '--', 'a']].map(
        (argv) => start(argv, { home: cluster.folder, kubeconfig }).done,
      );
      for (const { code, err } of await Promise.all(calls)) {
        expect(err).to.match(/^krt: cannot .*refused the connection.*\n$/);
        expect(code).to.equal(4);
      }
    });

    it('a cluster that never answers ends at --request-timeout', async () => {
      const server = createServer(() => undefined);
      const port = await new Promise<number>((resolve) => {
        server.listen(0, '127.0.0.1', () => {
          const address = server.address();
          resolve(typeof address === 'object' && address ? address.port : 0);
        });
      });
      const kubeconfig = join(cluster.folder, 'silent');
      writeFileSync(
        kubeconfig,
        JSON.stringify({
          'current-context': 'x',
          contexts: [{ name: 'x', context: { cluster: 'x', user: 'x' } }],
          clusters: [{ name: 'x', cluster: { server: `http://127.0.0.1:${port}` } }],
          users: [{ name: 'x', user: {} }],
        }),
      );
      const { code, err } = await start(['list', '--request-timeout', '200ms'], {
        home: cluster.folder,
        kubeconfig,
      }).done;
      server.close();
      expect(err).to.match(/^krt: .*did not answer within 0.2 s.*\n$/);
      expect(code).to.equal(4);
    });

    it('a token that is not accepted, and never shown', async () => {
      const kubeconfig = cluster.kubeconfigFor('wrong-token-1234');
      const { code, out, err } = await start(['list', '-v'], { home: cluster.folder, kubeconfig }).done;
      expect(err).to.match(/^krt: .*does not accept our credentials/m);
      expect(out + err).to.not.include('wrong-token');
      expect(code).to.equal(4);
    });
  });

  describe('-v', () => {
    it('shows requests on stderr, and no token', async () => {
      const { code, err } = await said('get', 'one', '-v');
      expect(err).to.match(
        /^cluster https:\S+, context kruntimes\nGET \/apis\/kruntimes.io\/v1alpha1\/namespaces\/default\/runs\/one: ok in \d+ ms\n$/,
      );
      expect(code).to.equal(0);
    });
  });

  describe('a reader that is slower than we are', () => {
    it('gets more than a pipe holds, to the last byte', async () => {
      const inline = '#'.repeat(262_144);
      const names = ['large-1', 'large-2', 'large-3', 'large-4'];
      for (const name of names)
        await cluster.create(runs, { ...runNamed(name), spec: { runtime: 'bash', source: { inline } } });
      const { out, code } = await said('get', ...names, '-o', 'json');
      expect(JSON.parse(out).items).to.have.length(4);
      expect(code).to.equal(0);
    });
  });

  describe('a reader that has enough', () => {
    it('is quiet', async () => {
      const shell = `set -o pipefail; node ${join(bundles, 'krt.js')} list -o json | head -c 1 >/dev/null; echo "\${PIPESTATUS[0]}"`;
      const { stdout, stderr } = spawnSync('bash', ['-c', shell], {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: cluster.folder, KUBECONFIG: cluster.kubeconfig },
      });
      expect(stderr).to.equal('');
      expect(stdout.trim()).to.be.oneOf(['0', '141']);
    });
  });

  describe('completion', () => {
    /** What bash offers for a line, by its own completion: the script is sourced and its function called. */
    const bashOffers = (line: string): ReadonlyArray<string> => {
      const words = line
        .split(/(?<=[=:])|(?=[=:])|\s+/)
        .filter((word, i, all) => word !== '' || i === all.length - 1);
      const script = `
        krt() { node ${join(bundles, 'krt.js')} "$@"; }
        ${SCRIPTS.bash}
        COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}
        _krt; printf '%s\\n' "\${COMPREPLY[@]}"`;
      const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', script], {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, HOME: cluster.folder, KUBECONFIG: cluster.kubeconfig },
      });
      expect(stderr).to.equal('');
      return stdout.split('\n').filter(Boolean);
    };

    for (const [line, offered] of [
      ['krt can', ['cancel']],
      ['krt get o', ['one']],
      ['krt get one t', ['two']],
      ['krt -n default wait t', ['two']],
      ['krt run -r ', ['bash', 'node', 'python']],
      ['krt runtime get py', ['python']],
      ['krt list --phase F', ['Failed']],
      ['krt list --phase=S', ['Scheduled', 'Succeeded']],
      ['krt get one --out', ['--output']],
      ['krt get one -o js', ['json', 'jsonpath=']],
      ['krt outputs two ', ['a', 'b']],
      ['krt --context ', ['kruntimes']],
      ['krt -n d', ['default']],
      ['krt completion f', ['fish']],
    ] as const)
      it(`${JSON.stringify(line)} → ${offered.join(' ')}`, () => {
        expect(bashOffers(line)).to.deep.equal(offered);
      });

    it('prints scripts that the shells accept', () => {
      for (const shell of ['bash', 'zsh', 'fish']) {
        const script = execFileSync(process.execPath, [join(bundles, 'krt.js'), 'completion', shell]);
        if (spawnSync(shell, ['--version']).error) continue;
        const { status, stderr } = spawnSync(shell, ['-n'], { input: script, encoding: 'utf8' });
        expect(status, stderr).to.equal(0);
      }
    });
  });

  describe('who may do little', () => {
    it('is told what is not permitted', async () => {
      await answer(
        cluster.kube.create(roles, 'default', {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'Role',
          metadata: { name: 'creator', namespace: 'default' },
          rules: [{ apiGroups: ['kruntimes.io'], resources: ['runs'], verbs: ['create'] }],
        }),
      );
      await answer(
        cluster.kube.create(roleBindings, 'default', {
          apiVersion: 'rbac.authorization.k8s.io/v1',
          kind: 'RoleBinding',
          metadata: { name: 'creator', namespace: 'default' },
          roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'creator' },
          subjects: [{ kind: 'ServiceAccount', name: 'default', namespace: 'default' }],
        }),
      );
      const kubeconfig = cluster.kubeconfigFor(await cluster.serviceAccountToken('default'));
      const as = (...argv: ReadonlyArray<string>): Promise<Said> =>
        start(argv, { home: cluster.folder, kubeconfig }).done;
      const { code, err } = await as('list');
      expect(err).to.match(/^krt: .*cannot list.*\n$/);
      expect(code).to.equal(4);
      // Runtimes may not be listed either, but a Run may be created.
      expect(await as('run', '--name', 'little', '-o', 'name', '--', 'x')).to.deep.equal({
        code: 0,
        out: 'run.kruntimes.io/little\n',
        err: '',
      });
    });
  });
});
