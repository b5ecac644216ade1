/** The roles of docs/rbac.md, as they stand there: what each lets krt do, and how the rest is refused. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';
import * as yaml from 'js-yaml';

import { start } from '../cli/black-box/call.js';
import { type Body, connect } from '../conformance/target.js';
import { type ControlPlane, startControlPlane } from './control-plane.js';

const page = readFileSync(fileURLToPath(new URL('../../docs/rbac.md', import.meta.url)), 'utf8');
const rbac = '/apis/rbac.authorization.k8s.io/v1';

describe('the roles of docs/rbac.md', () => {
  let plane: ControlPlane;
  let client: ReturnType<typeof connect>;
  let config: Body;

  const post = async (path: string, body: Body): Promise<Body> => {
    const reply = await client.call('POST', path, body);
    if (reply.code !== 201) throw new Error(`${path}: ${reply.body.message}`);
    return reply.body;
  };
  /** krt as a ServiceAccount that has the role in namespace default. */
  const krtAs = async (role: string) => {
    const name = role.replace('kruntimes-', '');
    await post('/api/v1/namespaces/default/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name },
    });
    await post(`${rbac}/namespaces/default/rolebindings`, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [{ kind: 'ServiceAccount', name, namespace: 'default' }],
    });
    const { status } = await post(`/api/v1/namespaces/default/serviceaccounts/${name}/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: 3600 },
    });
    const kubeconfig = join(plane.dataDir, `${name}.kubeconfig`);
    const users = [{ name: config.users[0].name, user: { token: status.token } }];
    writeFileSync(kubeconfig, yaml.dump({ ...config, users }), { mode: 0o600 });
    return (...argv: ReadonlyArray<string>) => start(argv, { home: plane.dataDir, kubeconfig }).done;
  };
  const tokenOf = (name: string): string =>
    (yaml.load(readFileSync(join(plane.dataDir, `${name}.kubeconfig`), 'utf8')) as Body).users[0].user.token;
  /** The refusal names what is missing. */
  const refused = async (
    said: Promise<Readonly<{ code: number; err: string }>>,
    verb: string,
    resource: string,
  ): Promise<void> => {
    const { code, err } = await said;
    expect([code, err.trim().split('\n').length]).to.deep.equal([4, 1]);
    expect(err).to.contain(`cannot ${verb} resource "${resource}"`).and.contain('in the namespace "default"');
  };

  before(async () => {
    plane = await startControlPlane();
    config = yaml.load(readFileSync(plane.kubeconfig, 'utf8')) as Body;
    const { server, 'certificate-authority-data': ca } = config.clusters[0].cluster;
    client = connect(server, config.users[0].user.token, Buffer.from(ca, 'base64').toString());
    const [, roles = ''] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
    for (const role of yaml.loadAll(roles)) await post(`${rbac}/clusterroles`, role);
  });
  after(async () => {
    await client?.close();
    await plane?.stop();
  });

  it('a submitter runs, follows, cancels and deletes, and changes no Runtime', async () => {
    const krt = await krtAs('kruntimes-submitter');
    expect((await krt('run', '--name=mine', '--wait', '--', 'echo hello')).code).to.equal(0);
    // Without a node, kube-apiserver has nobody to forward ports through.
    const logs = await krt('logs', 'mine');
    if (process.env.CLUSTER_BINARIES === undefined)
      expect([logs.code, logs.out]).to.deep.equal([0, 'hello\n']);
    else expect(logs.err).to.contain('error dialing backend');
    expect((await krt('describe', 'mine')).code).to.equal(0);
    expect((await krt('runtime', 'describe', 'bash')).code).to.equal(0);
    const slow = ['run', '--name=slow', '-o', 'name', '--', 'sleep 60'];
    expect((await krt(...slow)).code).to.equal(0);
    expect((await krt('cancel', 'slow', '--wait')).code).to.equal(130);
    expect((await krt('delete', 'mine')).code).to.equal(0);
    const everywhere = await krt('list', '-A');
    expect([everywhere.code, everywhere.err.includes('cannot list resource "runs"')]).to.deep.equal([
      4,
      true,
    ]);
    const runtime = '/apis/kruntimes.io/v1alpha1/namespaces/default/runtimes/bash';
    const { code } = await client.call(
      'PATCH',
      runtime,
      { spec: { replicas: 0 } },
      { type: 'application/merge-patch+json', token: tokenOf('submitter') },
    );
    expect(code).to.equal(403);
  });

  it('an observer sees Runs and Runtimes, and is told which permission the rest needs', async () => {
    await plane.create('seen', { source: { inline: 'echo secret' } });
    await plane.end('seen');
    const krt = await krtAs('kruntimes-observer');
    for (const argv of [
      ['list'],
      ['get', 'seen'],
      ['describe', 'seen'],
      ['wait', 'seen'],
      ['outputs', 'seen'],
      ['runtime', 'list'],
      ['runtime', 'describe', 'bash'],
    ])
      expect([argv, (await krt(...argv)).code]).to.deep.equal([argv, 0]);
    await refused(krt('run', '--', 'echo hello'), 'create', 'runs');
    await refused(krt('rerun', 'seen'), 'create', 'runs');
    await refused(krt('cancel', 'seen'), 'patch', 'runs');
    await refused(krt('delete', 'seen'), 'delete', 'runs');
    const logs = await krt('logs', 'seen');
    expect([logs.code, logs.out]).to.deep.equal([4, '']);
    expect(logs.err).to.contain('pods/portforward').and.not.contain('secret');
  });

  it('a runtime administrator makes and removes Runtimes', async () => {
    const krt = await krtAs('kruntimes-runtime-admin');
    expect((await krt('runtime', 'list')).code).to.equal(0);
    const token = tokenOf('runtime-admin');
    const runtimes = '/apis/kruntimes.io/v1alpha1/namespaces/default/runtimes';
    const as = async (method: string, at: string, body?: Body, type?: string): Promise<number> =>
      (await client.call(method, at, body, { token, ...(type === undefined ? {} : { type }) })).code;
    const template = { spec: { containers: [{ name: 'runtime', image: 'kruntimes-bash-runtime:latest' }] } };
    expect(
      await as('POST', runtimes, {
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Runtime',
        metadata: { name: 'other' },
        spec: { replicas: 0, template },
      }),
    ).to.equal(201);
    const merge = 'application/merge-patch+json';
    expect(await as('PATCH', `${runtimes}/other/scale`, { spec: { replicas: 1 } }, merge)).to.equal(200);
    expect(await as('PATCH', `${runtimes}/other/status`, { status: { replicas: 9 } }, merge)).to.equal(403);
    expect(await as('DELETE', `${runtimes}/other`)).to.equal(200);
    expect(await as('GET', '/api/v1/namespaces/default/secrets')).to.equal(403);
  });
});
