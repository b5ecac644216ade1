/**
 * Who may do what on a real cluster: the operator with the rights of rbac.yaml, runtimed with those that the operator
 * grants, and a user's own ServiceAccount. Run by `npm run test:cluster`.
 */
import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, timeout } from 'rxjs';

import { roleBindings, runtimes } from '../../src/model/resources.js';
import type { Body } from '../conformance/target.js';
import { answer, attach, type ControlPlane } from '../e2e/attach.js';
import { START_LIMIT_MS } from '../e2e/control-plane.js';
import { accountToken, type ClusterPlane, startClusterPlane } from './control-plane.js';
import { rightsOf } from './rights.js';

const rbac = 'rbac.authorization.k8s.io';
const apply = { type: 'application/apply-patch+yaml' };

describe('identities on a cluster', function () {
  this.timeout(60_000);
  const programs = process.env.CLUSTER_BINARIES;
  let cluster: ClusterPlane;
  let plane: ControlPlane;
  before(async function () {
    if (programs === undefined) return this.skip();
    this.timeout(START_LIMIT_MS);
    cluster = await startClusterPlane(programs);
    plane = await attach(cluster);
    await plane.whenReady('bash', 2, START_LIMIT_MS);
  });
  after(() => plane?.stop());

  const rights = (token: string, namespace: string): Promise<ReadonlyArray<string>> =>
    rightsOf(cluster.level, token, namespace);
  const as = async (
    token: string,
    method: string,
    path: string,
    body?: unknown,
    options: Body = {},
  ): Promise<Readonly<{ code: number; message: string }>> => {
    const reply = await cluster.level.call(method, path, body, { ...options, token });
    return { code: reply.code, message: reply.body.message ?? '' };
  };
  const operator = (): Promise<string> =>
    accountToken(cluster.level, 'kruntimes-system', 'kruntimes-controller');

  it('the operator has what it needs in all namespaces and no more', async () => {
    expect(await rights(await operator(), 'default')).to.deep.equal([
      'authentication.k8s.io/tokenreviews: create',
      'events: create',
      'kruntimes.io/runs/status: patch',
      'kruntimes.io/runs: get list watch patch delete',
      'kruntimes.io/runtimes/finalizers: update',
      'kruntimes.io/runtimes/status: patch',
      'kruntimes.io/runtimes: get list watch',
      'persistentvolumeclaims: create',
      'pods/status: patch',
      'pods: list watch create patch delete',
      'rbac.authorization.k8s.io/rolebindings[kruntimes-runtimed]: create patch delete',
      'rbac.authorization.k8s.io/roles[kruntimes-runtimed]: create patch delete',
      'serviceaccounts[kruntimes-runtimed]: create patch',
    ]);
  });

  it('in its own namespace the operator keeps a Lease and a Secret', async () => {
    const token = await operator();
    const everywhere = new Set(await rights(token, 'default'));
    expect((await rights(token, 'kruntimes-system')).filter((line) => !everywhere.has(line))).to.deep.equal([
      'coordination.k8s.io/leases: create',
      'coordination.k8s.io/leases[kruntimes-controller]: get list watch patch',
      'secrets: create',
      'secrets[kruntimes-sessions-ca]: get list watch update',
    ]);
  });

  it('runtimed sees the Runs of its namespace and writes their status, that is all', async () => {
    const token = await accountToken(cluster.level, 'default', 'kruntimes-runtimed');
    expect(await rights(token, 'default')).to.deep.equal([
      'kruntimes.io/runs/status: patch',
      'kruntimes.io/runs: get list watch',
    ]);
    expect(await rights(token, 'kruntimes-system')).to.deep.equal([]);
  });

  it('the operator cannot grant what it does not hold, nor under another name', async () => {
    const token = await operator();
    const roles = `/apis/${rbac}/v1/namespaces/default/roles`;
    const role = (name: string, rules: ReadonlyArray<object>): Body => ({
      apiVersion: `${rbac}/v1`,
      kind: 'Role',
      metadata: { name },
      rules,
    });
    const secrets = [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'] }];
    const patch = (name: string, rules: ReadonlyArray<object>) =>
      as(token, 'PATCH', `${roles}/${name}?fieldManager=test&force=true`, role(name, rules), apply);
    const more = await patch('kruntimes-runtimed', secrets);
    expect(more.code).to.equal(403);
    expect(more.message).to.contain('is attempting to grant RBAC permissions not currently held');
    const runsRead = [{ apiGroups: ['kruntimes.io'], resources: ['runs'], verbs: ['get'] }];
    expect((await patch('other', runsRead)).code).to.equal(403);
    expect((await as(token, 'POST', roles, role('other', runsRead))).code).to.equal(403);
    expect((await as(token, 'GET', '/api/v1/namespaces/default/secrets')).code).to.equal(403);
  });

  it("a user's own account gets the grant with its first Runtime and loses it with its last", async () => {
    const { kube } = plane;
    const { code } = await cluster.level.call('POST', '/api/v1/namespaces/default/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'worker' },
    });
    expect(code).to.equal(201);
    const token = await accountToken(cluster.level, 'default', 'worker');
    const isBound = (object: unknown): boolean =>
      ((object as Body).subjects ?? []).some(({ name }: Body) => name === 'worker');
    /** The namespace's grant as it comes to be. */
    const granted = (wanted: boolean): Promise<unknown> =>
      firstValueFrom(
        kube
          .watch(
            roleBindings,
            { namespace: 'default' },
            { resourceVersion: '0', timeoutSeconds: 120, idleMs: 120_000 },
          )
          .pipe(
            filter(
              (frame) =>
                E.isRight(frame) &&
                (frame.right.type === 'ADDED' || frame.right.type === 'MODIFIED') &&
                isBound(frame.right.object) === wanted,
            ),
            timeout({ first: 30_000 }),
          ),
      );
    /** The authoriser learns of a grant from a watch of its own; nothing tells when it has. */
    const rightsBecome = async (count: number): Promise<void> => {
      for (let asked = 0; asked < 200 && (await rights(token, 'default')).length !== count; asked += 1);
      expect(await rights(token, 'default')).to.have.length(count);
    };
    const template = {
      spec: {
        serviceAccountName: 'worker',
        containers: [{ name: 'runtime', image: 'kruntimes-bash-runtime:latest' }],
      },
    };
    await answer(
      kube.create(runtimes, 'default', {
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Runtime',
        metadata: { name: 'own-account' },
        spec: { replicas: 1, template },
      }),
    );
    await granted(true);
    await plane.create('as-worker', { runtime: 'own-account', source: { inline: ':' } });
    expect((await plane.end('as-worker')).status?.phase).to.equal('Succeeded');
    await rightsBecome(2);
    await answer(kube.delete(runtimes, { namespace: 'default', name: 'own-account' }));
    // Of $KUBEBUILDER_ASSETS, where nothing collects garbage.
    if (!cluster.level.hasControllers)
      await cluster.level.call(
        'DELETE',
        '/api/v1/namespaces/default/pods?labelSelector=kruntimes.io/runtime%3Down-account',
      );
    await granted(false);
    await rightsBecome(0);
  });
});
