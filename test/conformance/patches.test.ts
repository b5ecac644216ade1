/** JSON patch, merge patch, strategic merge patch. */
import { expect } from 'chai';

import type { Body, Target } from './target.js';
import { aConfigMap, aPod, aRun, newNamespace, openTarget } from './target.js';

const json = { type: 'application/json-patch+json' };
const merge = { type: 'application/merge-patch+json' };
const strategic = { type: 'application/strategic-merge-patch+json' };

describe('patches', () => {
  let target: Target;
  let runs = '';
  let maps = '';
  let pods = '';
  before(async () => {
    target = await openTarget();
    const namespace = await newNamespace(target);
    runs = `/apis/kruntimes.io/v1alpha1/namespaces/${namespace}/runs`;
    maps = `/api/v1/namespaces/${namespace}/configmaps`;
    pods = `/api/v1/namespaces/${namespace}/pods`;
  });
  after(() => target.close());

  it('a JSON patch adds, replaces and removes', async () => {
    await target.call('POST', maps, aConfigMap('json', { a: '1', b: '2' }));
    const { code, body } = await target.call(
      'PATCH',
      `${maps}/json`,
      [
        { op: 'test', path: '/data/a', value: '1' },
        { op: 'replace', path: '/data/a', value: 'x' },
        { op: 'remove', path: '/data/b' },
        { op: 'add', path: '/metadata/labels', value: { 'c/d': 'x' } },
        { op: 'replace', path: '/metadata/labels/c~1d', value: 'y' },
        { op: 'copy', from: '/data/a', path: '/data/e' },
        { op: 'move', from: '/data/e', path: '/data/f' },
      ],
      json,
    );
    expect(code).to.equal(200);
    expect(body.data).to.deep.equal({ a: 'x', f: 'x' });
    expect(body.metadata.labels).to.deep.equal({ 'c/d': 'y' });
  });

  it('a JSON patch whose test fails changes nothing and is Invalid', async () => {
    await target.call('POST', runs, aRun('fenced'));
    await target.call(
      'PATCH',
      `${runs}/fenced/status`,
      { status: { assignedPodUID: 'u1', attempt: 1, phase: 'Scheduled' } },
      merge,
    );
    const patch = (uid: string): Body => [
      { op: 'test', path: '/status/assignedPodUID', value: uid },
      { op: 'test', path: '/status/attempt', value: 1 },
      { op: 'replace', path: '/status/phase', value: 'Running' },
    ];
    const refused = await target.call('PATCH', `${runs}/fenced/status`, patch('u2'), json);
    expect(refused.code).to.equal(422);
    expect(refused.body).to.include({
      reason: 'Invalid',
      message: 'the server rejected our request due to an error in our request',
    });
    expect((await target.call('GET', `${runs}/fenced`)).body.status.phase).to.equal('Scheduled');
    expect(
      (await target.call('PATCH', `${runs}/fenced/status`, patch('u1'), json)).body.status.phase,
    ).to.equal('Running');
  });

  it('a JSON patch that removes what is not there is Invalid', async () => {
    await target.call('POST', maps, aConfigMap('nothing', { a: '1' }));
    expect(
      (await target.call('PATCH', `${maps}/nothing`, [{ op: 'remove', path: '/data/b' }], json)).code,
    ).to.equal(422);
    expect((await target.call('PATCH', `${maps}/nothing`, { data: {} }, json)).code).to.equal(400);
  });

  it('a merge patch sets members and removes those that are null', async () => {
    await target.call('POST', maps, aConfigMap('merged', { a: '1', b: '2' }));
    const { body } = await target.call('PATCH', `${maps}/merged`, { data: { a: null, c: '3' } }, merge);
    expect(body.data).to.deep.equal({ b: '2', c: '3' });
  });

  it('a merge patch with an old version is a conflict', async () => {
    const { body: first } = await target.call('POST', runs, aRun('raced'));
    const version = first.metadata.resourceVersion;
    await target.call('PATCH', `${runs}/raced/status`, { status: { phase: 'Pending' } }, merge);
    const { code, body } = await target.call(
      'PATCH',
      `${runs}/raced/status`,
      { metadata: { resourceVersion: version }, status: { phase: 'Scheduled' } },
      merge,
    );
    expect(code).to.equal(409);
    expect(body.reason).to.equal('Conflict');
  });

  it('a patch of a missing object is NotFound', async () => {
    expect((await target.call('PATCH', `${runs}/nobody`, {}, merge)).code).to.equal(404);
  });

  it('a strategic merge patch merges lists by their key', async () => {
    await target.call(
      'POST',
      pods,
      aPod('listed', {
        containers: [
          { name: 'a', image: 'x' },
          { name: 'b', image: 'y' },
        ],
      }),
    );
    const { code, body } = await target.call(
      'PATCH',
      `${pods}/listed`,
      { spec: { containers: [{ name: 'b', image: 'z' }] } },
      strategic,
    );
    expect(code).to.equal(200);
    expect(body.spec.containers.map(({ name, image }: Body) => `${name}=${image}`)).to.deep.equal([
      'a=x',
      'b=z',
    ]);
  });

  it('a strategic merge patch merges conditions, and deletes with $patch', async () => {
    await target.call('POST', pods, aPod('conditions'));
    const condition = (type: string, status: string): Body => ({ type, status });
    await target.call(
      'PATCH',
      `${pods}/conditions/status`,
      { status: { conditions: [condition('A', 'True'), condition('B', 'True')] } },
      strategic,
    );
    const { body } = await target.call(
      'PATCH',
      `${pods}/conditions/status`,
      { status: { conditions: [condition('B', 'False'), { type: 'A', $patch: 'delete' }] } },
      strategic,
    );
    expect(body.status.conditions.map(({ type, status }: Body) => `${type}=${status}`)).to.deep.equal([
      'B=False',
    ]);
  });

  it('a strategic merge patch orders lists as $setElementOrder says', async () => {
    await target.call('POST', pods, aPod('ordered'));
    const condition = (type: string): Body => ({ type, status: 'True' });
    await target.call(
      'PATCH',
      `${pods}/ordered/status`,
      { status: { conditions: [condition('A'), condition('B')] } },
      strategic,
    );
    const { body } = await target.call(
      'PATCH',
      `${pods}/ordered/status`,
      {
        status: {
          '$setElementOrder/conditions': [{ type: 'C' }, { type: 'B' }, { type: 'A' }],
          conditions: [condition('C')],
        },
      },
      strategic,
    );
    expect(body.status.conditions.map(({ type }: Body) => type)).to.deep.equal(['C', 'B', 'A']);
  });

  it('a strategic merge patch merges finalizers as a set and takes out of it', async () => {
    await target.call('POST', maps, aConfigMap('finalized', {}, { finalizers: ['x.io/a', 'x.io/b'] }));
    const added = await target.call(
      'PATCH',
      `${maps}/finalized`,
      { metadata: { finalizers: ['x.io/c'] } },
      strategic,
    );
    expect(added.body.metadata.finalizers).to.have.members(['x.io/a', 'x.io/b', 'x.io/c']);
    const removed = await target.call(
      'PATCH',
      `${maps}/finalized`,
      { metadata: { '$deleteFromPrimitiveList/finalizers': ['x.io/a', 'x.io/b', 'x.io/c'] } },
      strategic,
    );
    expect(removed.body.metadata.finalizers ?? []).to.deep.equal([]);
  });

  it('a custom resource knows no strategic merge patch', async () => {
    await target.call('POST', runs, aRun('custom'));
    const { code, body } = await target.call('PATCH', `${runs}/custom`, {}, strategic);
    expect(code).to.equal(415);
    expect(body.message).to.equal(
      'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml',
    );
  });

  it('a patch cannot change the name or uid', async () => {
    await target.call('POST', maps, aConfigMap('named'));
    expect(
      (await target.call('PATCH', `${maps}/named`, { metadata: { name: 'other' } }, merge)).code,
    ).to.equal(400);
    const uid = await target.call('PATCH', `${maps}/named`, { metadata: { uid: 'other' } }, merge);
    expect(uid.code).to.equal(422);
    expect(uid.body.message).to.equal(
      'ConfigMap "named" is invalid: metadata.uid: Invalid value: "other": field is immutable',
    );
  });
});
