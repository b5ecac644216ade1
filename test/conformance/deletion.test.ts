/** Deletion: options, finalizers, grace, owners, namespaces. */
import { expect } from 'chai';

import type { Body, Target, Watching } from './target.js';
import { aConfigMap, aPod, aRun, newNamespace, openTarget } from './target.js';

const merge = { type: 'application/merge-patch+json' };

/** Waits for a watch event; a watch that ends first is an error. */
const until = async (watch: Watching, wanted: (event: Body) => boolean): Promise<Body> => {
  for (;;) {
    const event = await watch.next();
    if (event === undefined) throw new Error('the watch ended before the event came');
    if (wanted(event)) return event;
  }
};

describe('deletion', () => {
  let target: Target;
  let namespace = '';
  let maps = '';
  let runs = '';
  let pods = '';
  before(async () => {
    target = await openTarget();
    namespace = await newNamespace(target);
    maps = `/api/v1/namespaces/${namespace}/configmaps`;
    runs = `/apis/kruntimes.io/v1alpha1/namespaces/${namespace}/runs`;
    pods = `/api/v1/namespaces/${namespace}/pods`;
  });
  after(() => target.close());

  it('an object without finalizers goes at once, answered by a Status with its uid', async () => {
    const { body: run } = await target.call('POST', runs, aRun('gone'));
    const { code, body } = await target.call('DELETE', `${runs}/gone`);
    expect(code).to.equal(200);
    expect(body).to.deep.equal({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: { name: 'gone', group: 'kruntimes.io', kind: 'runs', uid: run.metadata.uid },
    });
    expect((await target.call('GET', `${runs}/gone`)).code).to.equal(404);
    expect((await target.call('DELETE', `${runs}/gone`)).code).to.equal(404);
  });

  it('preconditions are checked', async () => {
    const { body: map } = await target.call('POST', maps, aConfigMap('conditional'));
    const wrong = await target.call('DELETE', `${maps}/conditional`, { preconditions: { uid: 'other' } });
    expect(wrong.code).to.equal(409);
    expect(wrong.body.message).to.equal(
      `Operation cannot be fulfilled on ConfigMap "conditional": the UID in the precondition (other) does not match the UID in record (${map.metadata.uid}). The object might have been deleted and then recreated`,
    );
    const stale = await target.call('DELETE', `${maps}/conditional`, {
      preconditions: { resourceVersion: '1' },
    });
    expect(stale.code).to.equal(409);
    expect(
      (await target.call('DELETE', `${maps}/conditional`, { preconditions: { uid: map.metadata.uid } })).code,
    ).to.equal(200);
  });

  it('an object with finalizers stays until the last one is gone, and takes no new ones', async () => {
    await target.call('POST', runs, aRun('held', {}, { finalizers: ['kruntimes.io/artifact-cleanup'] }));
    const { code, body } = await target.call('DELETE', `${runs}/held`);
    expect(code).to.equal(200);
    expect(body.kind).to.equal('Run');
    expect(body.metadata.deletionTimestamp).to.be.a('string');
    expect(body.metadata.deletionGracePeriodSeconds).to.equal(0);
    const more = await target.call(
      'PATCH',
      `${runs}/held`,
      { metadata: { finalizers: ['kruntimes.io/artifact-cleanup', 'x.io/late'] } },
      merge,
    );
    expect(more.code).to.equal(422);
    expect(more.body.message).to.contain(
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"x.io/late"}',
    );
    const last = await target.call('PATCH', `${runs}/held`, { metadata: { finalizers: null } }, merge);
    expect(last.code).to.equal(200);
    expect((await target.call('GET', `${runs}/held`)).code).to.equal(404);
  });

  it('a pod that no node has goes at once; one on a node waits for its kubelet', async () => {
    await target.call('POST', pods, aPod('loose'));
    expect((await target.call('DELETE', `${pods}/loose`)).body.kind).to.equal('Pod');
    expect((await target.call('GET', `${pods}/loose`)).code).to.equal(404);
    await target.call(
      'POST',
      pods,
      aPod('placed', { nodeName: 'some-node', terminationGracePeriodSeconds: 7 }),
    );
    const { body } = await target.call('DELETE', `${pods}/placed`);
    expect(body.metadata.deletionGracePeriodSeconds).to.equal(7);
    expect((await target.call('GET', `${pods}/placed`)).body.metadata.deletionTimestamp).to.equal(
      body.metadata.deletionTimestamp,
    );
    const shorter = await target.call('DELETE', `${pods}/placed`, { gracePeriodSeconds: 3 });
    expect(shorter.body.metadata.deletionGracePeriodSeconds).to.equal(3);
    expect((await target.call('DELETE', `${pods}/placed`, { gracePeriodSeconds: 0 })).code).to.equal(200);
    expect((await target.call('GET', `${pods}/placed`)).code).to.equal(404);
  });

  it('a node that a binding names gets the pod, once', async () => {
    await target.call('POST', pods, aPod('bound'));
    const binding = {
      apiVersion: 'v1',
      kind: 'Binding',
      metadata: { name: 'bound' },
      target: { apiVersion: 'v1', kind: 'Node', name: 'n1' },
    };
    expect((await target.call('POST', `${pods}/bound/binding`, binding)).code).to.equal(201);
    const { body } = await target.call('GET', `${pods}/bound`);
    expect(body.spec.nodeName).to.equal('n1');
    expect(body.status.conditions.find(({ type }: Body) => type === 'PodScheduled').status).to.equal('True');
    const again = await target.call('POST', `${pods}/bound/binding`, binding);
    expect(again.code).to.equal(409);
    expect(again.body.message).to.contain('pod bound is already assigned to node "n1"');
  });

  it('an eviction deletes the pod', async () => {
    await target.call('POST', pods, aPod('evicted'));
    const { code } = await target.call('POST', `${pods}/evicted/eviction`, {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: 'evicted' },
    });
    expect(code).to.equal(201);
    expect((await target.call('GET', `${pods}/evicted`)).code).to.equal(404);
  });

  const owned = (name: string, owner: Body, more: object = {}): Body =>
    aConfigMap(
      name,
      {},
      {
        ownerReferences: [
          {
            apiVersion: 'v1',
            kind: 'ConfigMap',
            name: owner.metadata.name,
            uid: owner.metadata.uid,
            ...more,
          },
        ],
      },
    );

  it('dependents go with their owner', async function () {
    if (!target.hasControllers) this.skip();
    const { body: owner } = await target.call('POST', maps, aConfigMap('owner'));
    const { body: dependent } = await target.call('POST', maps, owned('dependent', owner));
    await target.call('DELETE', `${maps}/owner`);
    const watch = await target.watch(
      `${maps}?watch=true&fieldSelector=metadata.name%3Ddependent&resourceVersion=${dependent.metadata.resourceVersion}`,
    );
    expect((await until(watch, ({ type }) => type === 'DELETED')).object.metadata.uid).to.equal(
      dependent.metadata.uid,
    );
    watch.stop();
  });

  it('an object that comes after its owner is gone goes too', async function () {
    if (!target.hasControllers) this.skip();
    const { body: late } = await target.call(
      'POST',
      maps,
      owned('late', { metadata: { name: 'ghost', uid: '00000000-0000-0000-0000-000000000000' } }),
    );
    const watch = await target.watch(
      `${maps}?watch=true&fieldSelector=metadata.name%3Dlate&resourceVersion=${late.metadata.resourceVersion}`,
    );
    await until(watch, ({ type }) => type === 'DELETED');
    watch.stop();
  });

  it('orphaned dependents stay and forget their owner', async function () {
    if (!target.hasControllers) this.skip();
    const { body: owner } = await target.call('POST', maps, aConfigMap('parent'));
    const { body: orphan } = await target.call('POST', maps, owned('orphan', owner));
    await target.call('DELETE', `${maps}/parent`, { propagationPolicy: 'Orphan' });
    const watch = await target.watch(
      `${maps}?watch=true&fieldSelector=metadata.name%3Dorphan&resourceVersion=${orphan.metadata.resourceVersion}`,
    );
    const { object } = await until(watch, ({ type }) => type === 'MODIFIED');
    expect(object.metadata.ownerReferences).to.equal(undefined);
    watch.stop();
  });

  it('in the foreground the owner goes after its dependents', async function () {
    if (!target.hasControllers) this.skip();
    const { body: owner } = await target.call('POST', maps, aConfigMap('patient'));
    const { body: slow } = await target.call(
      'POST',
      maps,
      owned('slow', owner, { blockOwnerDeletion: true }),
    );
    const held = await target.call(
      'PATCH',
      `${maps}/slow`,
      { metadata: { finalizers: ['x.io/wait'] } },
      merge,
    );
    await target.call('DELETE', `${maps}/patient`, { propagationPolicy: 'Foreground' });
    const watch = await target.watch(
      `${maps}?watch=true&resourceVersion=${held.body.metadata.resourceVersion}`,
    );
    await until(
      watch,
      ({ object }) =>
        object.metadata.uid === slow.metadata.uid && object.metadata.deletionTimestamp !== undefined,
    );
    expect((await target.call('GET', `${maps}/patient`)).body.metadata.finalizers).to.deep.equal([
      'foregroundDeletion',
    ]);
    await target.call('PATCH', `${maps}/slow`, { metadata: { finalizers: null } }, merge);
    await until(
      watch,
      ({ type, object }) => type === 'DELETED' && object.metadata.uid === owner.metadata.uid,
    );
    watch.stop();
  });

  it('a new namespace gets a ServiceAccount and the CA', async function () {
    if (!target.hasControllers) this.skip();
    expect(
      (await target.call('GET', `/api/v1/namespaces/${namespace}/serviceaccounts/default`)).code,
    ).to.equal(200);
    expect((await target.call('GET', `${maps}/kube-root-ca.crt`)).body.data['ca.crt']).to.contain(
      'BEGIN CERTIFICATE',
    );
  });

  it('a namespace goes when its contents are gone, and takes nothing new meanwhile', async function () {
    if (!target.hasControllers) this.skip();
    const doomed = await newNamespace(target);
    const path = `/apis/kruntimes.io/v1alpha1/namespaces/${doomed}/runs`;
    await target.call('POST', path, aRun('free'));
    await target.call('POST', path, aRun('held', {}, { finalizers: ['x.io/wait'] }));
    const { body: leaving } = await target.call('DELETE', `/api/v1/namespaces/${doomed}`);
    expect(leaving.status.phase).to.equal('Terminating');
    const refused = await target.call('POST', path, aRun('more'));
    expect(refused.code).to.equal(403);
    expect(refused.body.message).to.equal(
      `runs.kruntimes.io "more" is forbidden: unable to create new content in namespace ${doomed} because it is being terminated`,
    );
    expect(refused.body.details.causes[0].reason).to.equal('NamespaceTerminating');
    const watch = await target.watch(
      `/api/v1/namespaces?watch=true&resourceVersion=${leaving.metadata.resourceVersion}`,
    );
    await target.call('PATCH', `${path}/held`, { metadata: { finalizers: null } }, merge);
    await until(watch, ({ type, object }) => type === 'DELETED' && object.metadata.name === doomed);
    watch.stop();
    expect((await target.call('GET', `${path}/free`)).code).to.equal(404);
  });

  it('namespaces are deleted one by one', async () => {
    const { code, body } = await target.call('DELETE', '/api/v1/namespaces');
    expect([code, body.reason]).to.deep.equal([405, 'MethodNotAllowed']);
  });

  it('the namespace default cannot be deleted', async () => {
    const { code, body } = await target.call('DELETE', '/api/v1/namespaces/default');
    expect(code).to.equal(403);
    expect(body.message).to.equal('namespaces "default" is forbidden: this namespace may not be deleted');
  });
});
