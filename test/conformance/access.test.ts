/** Tokens, reviews and rights. */
import { expect } from 'chai';

import type { Body, Options, Reply, Target } from './target.js';
import { aConfigMap, aPod, aRun, newNamespace, openTarget } from './target.js';

const merge = { type: 'application/merge-patch+json' };

describe('access', () => {
  let target: Target;
  let namespace = '';
  let base = '';
  let runs = '';
  before(async () => {
    target = await openTarget();
    namespace = await newNamespace(target);
    base = `/api/v1/namespaces/${namespace}`;
    runs = `/apis/kruntimes.io/v1alpha1/namespaces/${namespace}/runs`;
    await target.call('POST', `${base}/serviceaccounts`, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'worker' },
    });
    await grant('worker', [
      { apiGroups: ['kruntimes.io'], resources: ['runs'], verbs: ['get', 'list', 'watch'] },
      { apiGroups: ['kruntimes.io'], resources: ['runs/status'], verbs: ['patch'] },
      { apiGroups: [''], resources: ['configmaps'], resourceNames: ['named'], verbs: ['get'] },
    ]);
  });
  after(() => target.close());

  const grant = async (name: string, rules: Body): Promise<void> => {
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
    const apiVersion = 'rbac.authorization.k8s.io/v1';
    await target.call('POST', `${rbac}/roles`, { apiVersion, kind: 'Role', metadata: { name }, rules });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name };
    await target.call('POST', `${rbac}/rolebindings`, {
      apiVersion,
      kind: 'RoleBinding',
      metadata: { name },
      roleRef,
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    });
  };
  const tokenFor = async (account: string, spec: object = {}): Promise<string> => {
    const { body } = await target.call('POST', `${base}/serviceaccounts/${account}/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec,
    });
    return body.status.token;
  };
  const review = (token: string, audiences?: string[]): Promise<Reply> =>
    target.call('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token, ...(audiences === undefined ? {} : { audiences }) },
    });
  const eventually = async (ask: () => Promise<Reply>, isDone: (reply: Reply) => boolean): Promise<Reply> => {
    // A cluster's authoriser learns of a new role from a watch of its own; nothing tells when it has.
    for (let i = 0; i < 200; i += 1) {
      const reply = await ask();
      if (isDone(reply)) return reply;
    }
    return ask();
  };
  const bound = async (name: string): Promise<{ pod: Body; boundObjectRef: Body }> => {
    const { body: pod } = await target.call(
      'POST',
      `${base}/pods`,
      aPod(name, { serviceAccountName: 'worker' }),
    );
    return { pod, boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid: pod.metadata.uid } };
  };

  it('no token and a wrong token are Unauthorized, health needs none', async () => {
    const { code, body } = await target.call('GET', runs, undefined, { token: 'wrong' });
    expect(code).to.equal(401);
    expect(body).to.include({ reason: 'Unauthorized', message: 'Unauthorized' });
    expect((await target.call('GET', '/readyz', undefined, { token: '' })).code).to.be.oneOf([200, 401]);
  });

  it('a token does what its roles say and nothing else', async () => {
    const token = await tokenFor('worker');
    const as: Options = { token };
    expect(
      (
        await eventually(
          () => target.call('GET', runs, undefined, as),
          ({ code }) => code === 200,
        )
      ).code,
    ).to.equal(200);
    await target.call('POST', runs, aRun('x'));
    const { code, body } = await target.call('PATCH', `${runs}/x`, {}, { ...merge, token });
    expect(code).to.equal(403);
    expect(body.reason).to.equal('Forbidden');
    expect(body.message).to.equal(
      `runs.kruntimes.io "x" is forbidden: User "system:serviceaccount:${namespace}:worker" cannot patch resource "runs" in API group "kruntimes.io" in the namespace "${namespace}"`,
    );
    expect(
      (await target.call('PATCH', `${runs}/x/status`, { status: { message: 'm' } }, { ...merge, token }))
        .code,
    ).to.equal(200);
    await target.call('POST', `${base}/configmaps`, aConfigMap('named'));
    expect((await target.call('GET', `${base}/configmaps/named`, undefined, as)).code).to.equal(200);
    const list = await target.call('GET', `${base}/configmaps`, undefined, as);
    expect(list.body.message).to.equal(
      `configmaps is forbidden: User "system:serviceaccount:${namespace}:worker" cannot list resource "configmaps" in API group "" in the namespace "${namespace}"`,
    );
    const nodes = await target.call('GET', '/api/v1/nodes', undefined, as);
    expect(nodes.body.message).to.equal(
      `nodes is forbidden: User "system:serviceaccount:${namespace}:worker" cannot list resource "nodes" in API group "" at the cluster scope`,
    );
  });

  it('a review of a bound token names the pod', async () => {
    const { pod, boundObjectRef } = await bound('session');
    const token = await tokenFor('worker', {
      audiences: ['kruntimes-sessions'],
      expirationSeconds: 600,
      boundObjectRef,
    });
    const { code, body } = await review(token, ['kruntimes-sessions']);
    expect(code).to.equal(201);
    expect(body.status.authenticated).to.equal(true);
    expect(body.status.audiences).to.deep.equal(['kruntimes-sessions']);
    expect(body.status.user.username).to.equal(`system:serviceaccount:${namespace}:worker`);
    expect(body.status.user.groups).to.include.members([
      'system:serviceaccounts',
      `system:serviceaccounts:${namespace}`,
    ]);
    expect(body.status.user.extra).to.deep.include({
      'authentication.kubernetes.io/pod-name': ['session'],
      'authentication.kubernetes.io/pod-uid': [pod.metadata.uid],
    });
  });

  it('a token for another audience is good neither for the API nor for a review', async () => {
    const token = await tokenFor('worker', { audiences: ['kruntimes-sessions'] });
    expect((await target.call('GET', runs, undefined, { token })).code).to.equal(401);
    expect((await review(token)).body.status.authenticated ?? false).to.equal(false);
    expect((await review(token, ['others'])).body.status.authenticated ?? false).to.equal(false);
  });

  it('a bound token ends with its pod', async () => {
    const { boundObjectRef } = await bound('brief');
    const token = await tokenFor('worker', { boundObjectRef });
    expect((await review(token)).body.status.authenticated).to.equal(true);
    await target.call('DELETE', `${base}/pods/brief`);
    const reply = await eventually(
      () => review(token),
      ({ body }) => body.status.authenticated !== true,
    );
    // The real server remembers a good token for ten seconds.
    if (target.isEmbedded) expect(reply.body.status.authenticated ?? false).to.equal(false);
  });

  it('a token for a pod that is another one by now is refused', async () => {
    await bound('replaced');
    const { code } = await target.call('POST', `${base}/serviceaccounts/worker/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        boundObjectRef: {
          kind: 'Pod',
          apiVersion: 'v1',
          name: 'replaced',
          uid: '00000000-0000-0000-0000-000000000000',
        },
      },
    });
    expect(code).to.equal(409);
  });

  it('a token is bound to pods of its own account alone', async () => {
    const { body: pod } = await target.call('POST', `${base}/pods`, aPod('others'));
    const { code, body } = await target.call('POST', `${base}/serviceaccounts/worker/token`, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'others', uid: pod.metadata.uid } },
    });
    expect(code).to.equal(400);
    expect(body.message).to.equal(
      'cannot bind token for serviceaccount "worker" to pod running with different serviceaccount name.',
    );
  });

  it('a changed token is no token', async () => {
    const token = await tokenFor('worker');
    const [head = '', body = '', signature = ''] = token.split('.');
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString());
    const forged = [
      head,
      Buffer.from(JSON.stringify({ ...claims, sub: `system:serviceaccount:${namespace}:default` })).toString(
        'base64url',
      ),
      signature,
    ].join('.');
    expect((await review(forged)).body.status.authenticated ?? false).to.equal(false);
    expect((await target.call('GET', runs, undefined, { token: `${head}.${body}.` })).code).to.equal(401);
  });

  it('self subject access reviews answer by the roles', async () => {
    const token = await tokenFor('worker');
    const ask = async (verb: string, resource: string, subresource = ''): Promise<boolean> => {
      const spec = { resourceAttributes: { namespace, verb, group: 'kruntimes.io', resource, subresource } };
      const { body } = await target.call(
        'POST',
        '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
        { apiVersion: 'authorization.k8s.io/v1', kind: 'SelfSubjectAccessReview', spec },
        { token },
      );
      return body.status.allowed;
    };
    expect(await ask('list', 'runs')).to.equal(true);
    expect(await ask('patch', 'runs', 'status')).to.equal(true);
    expect(await ask('delete', 'runs')).to.equal(false);
  });

  it('acting as somebody else has their rights', async () => {
    const headers = { 'impersonate-user': `system:serviceaccount:${namespace}:worker` };
    expect((await target.call('GET', runs, undefined, { headers })).code).to.equal(200);
    expect((await target.call('DELETE', `${runs}/x`, undefined, { headers })).code).to.equal(403);
    const token = await tokenFor('worker');
    const refused = await target.call('GET', runs, undefined, {
      token,
      headers: { 'impersonate-user': 'system:admin' },
    });
    expect(refused.code).to.equal(403);
    expect(refused.body.message).to.contain('cannot impersonate resource "users"');
  });

  it("a Runtime Pod's token writes the status of its own Runs alone", async function () {
    // On a cluster this is the chart's ValidatingAdmissionPolicy.
    if (!target.isEmbedded) this.skip();
    const { body: pod } = await target.call('POST', `${base}/pods`, {
      ...aPod('rt-1', { serviceAccountName: 'worker' }),
      metadata: { name: 'rt-1', labels: { 'kruntimes.io/runtime': 'bash' } },
    });
    const token = await tokenFor('worker', {
      boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'rt-1', uid: pod.metadata.uid },
    });
    for (const name of ['own', 'foreign', 'unassigned']) await target.call('POST', runs, aRun(name));
    const assign = (name: string, assignedPod: string, assignedPodUID: string): Promise<Reply> =>
      target.call(
        'PATCH',
        `${runs}/${name}/status`,
        { status: { phase: 'Scheduled', assignedPod, assignedPodUID, attempt: 1 } },
        merge,
      );
    await assign('own', 'rt-1', pod.metadata.uid);
    await assign('foreign', 'rt-2', 'u2');
    const write = (name: string, status: object): Promise<Reply> =>
      target.call('PATCH', `${runs}/${name}/status`, { status }, { ...merge, token });
    expect((await write('own', { phase: 'Running' })).code).to.equal(200);
    for (const name of ['foreign', 'unassigned']) {
      const { code, body } = await write(name, { phase: 'Running' });
      expect(code).to.equal(403);
      expect(body.message).to.contain(
        `runs.kruntimes.io "${name}" is forbidden: pod rt-1 cannot write its status`,
      );
    }
    expect(
      (await write('unassigned', { assignedPod: 'rt-1', assignedPodUID: pod.metadata.uid })).code,
    ).to.equal(403);
    expect((await write('own', { assignedPod: 'rt-2' })).code).to.equal(403);
    expect((await write('own', { phase: 'Pending', assignedPod: null, assignedPodUID: null })).code).to.equal(
      200,
    );
    expect((await write('own', { phase: 'Running' })).code).to.equal(403);
  });

  it('requests that a foreign web page could send are refused', async function () {
    if (!target.isEmbedded) this.skip();
    expect(
      (
        await target.call('GET', runs, undefined, {
          headers: { host: 'evil.example:443' },
          serverName: 'localhost',
        })
      ).code,
    ).to.equal(403);
    expect(
      (await target.call('GET', runs, undefined, { headers: { origin: 'https://evil.example' } })).code,
    ).to.equal(403);
  });

  it('a body of more than 3 MiB is refused', async () => {
    const { code, body } = await target
      .call('POST', runs, aRun('huge', { args: ['x'.repeat(3 * 1024 * 1024 + 1)] }))
      .catch(() => ({ code: 413, body: { reason: 'RequestEntityTooLarge' } }));
    expect(code).to.equal(413);
    expect(body.reason).to.equal('RequestEntityTooLarge');
  });
});
