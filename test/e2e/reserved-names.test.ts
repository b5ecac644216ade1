/**
 * Names and labels that are ours, in the hands of somebody who was there first:
 *
 * - a ServiceAccount, Role and RoleBinding of our name get our content, and nothing of theirs stays in it
 * - a pod with our labels that no Runtime owns is neither counted, used nor deleted
 */
import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, map, timeout } from 'rxjs';

import {
  namespaces,
  pods,
  roleBindings,
  roles,
  runs,
  runtimes,
  serviceAccounts,
} from '../../src/model/resources.js';
import { isTerminal, Run } from '../../src/model/run.js';
import { RUNTIMED_RULES } from '../../streams/effects/grant-calls.js';
import { informer } from '../../streams/watch/informer.js';
import { answer, type ControlPlane } from './attach.js';
import { hasControllers, startControlPlane } from './control-plane.js';

const NAMESPACE = 'taken';
const NAME = 'kruntimes-runtimed';
const RBAC = 'rbac.authorization.k8s.io';
const metadata = { name: NAME, namespace: NAMESPACE };
const ref = { name: NAME, namespace: NAMESPACE };

describe('names and labels that somebody took before', () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane({ replicas: 1 });
  });
  after(async () => {
    await plane?.stop();
  });

  it('get our content, and a pod that nobody owns is left alone', async function () {
    // Of $KUBEBUILDER_ASSETS, where nobody makes what pods of a new namespace need.
    if (!hasControllers) return this.skip();
    const { kube } = plane;
    const create = (resource: Parameters<typeof kube.create>[0], body: unknown): Promise<unknown> =>
      answer(kube.create(resource, resource === namespaces ? '' : NAMESPACE, body));
    await create(namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
    await create(serviceAccounts, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata,
      automountServiceAccountToken: true,
    });
    await create(roles, {
      apiVersion: `${RBAC}/v1`,
      kind: 'Role',
      metadata,
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['*'] }],
    });
    await create(roleBindings, {
      apiVersion: `${RBAC}/v1`,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: RBAC, kind: 'Role', name: NAME },
      subjects: [{ kind: 'ServiceAccount', name: 'someone', namespace: NAMESPACE }],
    });
    await create(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: 'impostor',
        namespace: NAMESPACE,
        labels: { 'kruntimes.io/runtime': 'bash', 'kruntimes.io/revision': 'x' },
        annotations: { 'kruntimes.io/capacity': '{"runs":100}' },
      },
      spec: { containers: [{ name: 'runtimed', image: 'no-such-image:latest' }] },
    });
    await create(runtimes, {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Runtime',
      metadata: { name: 'bash', namespace: NAMESPACE },
      spec: {
        replicas: 1,
        capacity: { resources: { runs: 4 } },
        template: { spec: { containers: [{ name: 'runtime', image: 'kruntimes-bash-runtime:latest' }] } },
      },
    });
    await create(runs, {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Run',
      metadata: { name: 'hello', namespace: NAMESPACE },
      spec: { runtime: 'bash', entrypoint: 'script', source: { inline: 'echo hello' } },
    });
    const ended = await firstValueFrom(
      informer(kube, runs, { namespace: NAMESPACE }, Run, { random: Math.random }).pipe(
        map((event) => (event.kind === 'Apply' ? event.object : undefined)),
        filter((run) => isTerminal(run?.status?.phase)),
        timeout(60_000),
      ),
    );
    expect(ended?.status?.phase).to.equal('Succeeded');
    expect(ended?.status?.assignedPod).to.not.equal('impostor');

    expect(await answer(kube.get(serviceAccounts, ref))).to.include({ automountServiceAccountToken: false });
    expect(await answer(kube.get(roles, ref))).to.deep.include({ rules: RUNTIMED_RULES });
    const { subjects } = (await answer(kube.get(roleBindings, ref))) as { subjects: unknown };
    expect(subjects).to.deep.equal([{ kind: 'ServiceAccount', name: NAME, namespace: NAMESPACE }]);

    const runtime = await answer(kube.get(runtimes, { name: 'bash', namespace: NAMESPACE }));
    expect(runtime).to.have.nested.property('status.replicas', 1);
    const impostor = await firstValueFrom(kube.get(pods, { name: 'impostor', namespace: NAMESPACE }));
    expect(E.isRight(impostor) && impostor.right).to.not.have.nested.property('metadata.deletionTimestamp');
    expect(E.isRight(impostor)).to.equal(true);
  });
});
