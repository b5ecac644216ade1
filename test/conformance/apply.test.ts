/** Server-side apply: ownership, conflicts, removal, keyed lists. */
import { expect } from 'chai';

import type { Body, Reply, Target } from './target.js';
import { aConfigMap, newNamespace, openTarget } from './target.js';

describe('server-side apply', () => {
  let target: Target;
  let maps = '';
  let services = '';
  let runs = '';
  before(async () => {
    target = await openTarget();
    const namespace = await newNamespace(target);
    maps = `/api/v1/namespaces/${namespace}/configmaps`;
    services = `/api/v1/namespaces/${namespace}/pods`;
    runs = `/apis/kruntimes.io/v1alpha1/namespaces/${namespace}/runs`;
  });
  after(() => target.close());

  const apply = (path: string, manager: string, body: Body, query = ''): Promise<Reply> =>
    target.call('PATCH', `${path}?fieldManager=${manager}${query}`, body, {
      type: 'application/apply-patch+yaml',
    });
  const ownersOf = (object: Body): Record<string, Body> =>
    Object.fromEntries(
      (object.metadata.managedFields ?? []).map((entry: Body) => [
        `${entry.manager}/${entry.operation}`,
        entry.fieldsV1,
      ]),
    );

  it('creates an object and notes who owns what', async () => {
    const { code, body } = await apply(
      `${maps}/fresh`,
      'one',
      aConfigMap('fresh', { a: '1' }, { labels: { l: 'x' } }),
    );
    expect(code).to.equal(201);
    expect(ownersOf(body)).to.deep.equal({
      'one/Apply': { 'f:data': { 'f:a': {} }, 'f:metadata': { 'f:labels': { 'f:l': {} } } },
    });
  });

  it('applying the same twice changes nothing', async () => {
    const { body: first } = await apply(`${maps}/idempotent`, 'one', aConfigMap('idempotent', { a: '1' }));
    const { code, body } = await apply(`${maps}/idempotent`, 'one', aConfigMap('idempotent', { a: '1' }));
    expect(code).to.equal(200);
    expect(body).to.deep.equal(first);
  });

  it('a field with another owner and value is a conflict that names it', async () => {
    await apply(`${maps}/fought`, 'one', aConfigMap('fought', { a: '1' }));
    const { code, body } = await apply(`${maps}/fought`, 'two', aConfigMap('fought', { a: '2' }));
    expect(code).to.equal(409);
    expect(body.message).to.equal('Apply failed with 1 conflict: conflict with "one": .data.a');
    expect(body.details.causes).to.deep.equal([
      { reason: 'FieldManagerConflict', message: 'conflict with "one"', field: '.data.a' },
    ]);
    expect((await target.call('GET', `${maps}/fought`)).body.data).to.deep.equal({ a: '1' });
  });

  it('several conflicts are listed', async () => {
    await apply(`${maps}/war`, 'one', aConfigMap('war', { a: '1', b: '1' }));
    const { body } = await apply(`${maps}/war`, 'two', aConfigMap('war', { a: '2', b: '2' }));
    expect(body.message).to.equal(
      'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b',
    );
  });

  it('force takes the field over', async () => {
    await apply(`${maps}/forced`, 'one', aConfigMap('forced', { a: '1', b: '1' }));
    const { body } = await apply(`${maps}/forced`, 'two', aConfigMap('forced', { a: '2' }), '&force=true');
    expect(body.data).to.deep.equal({ a: '2', b: '1' });
    expect(ownersOf(body)).to.deep.equal({
      'one/Apply': { 'f:data': { 'f:b': {} } },
      'two/Apply': { 'f:data': { 'f:a': {} } },
    });
  });

  it('the same value may have two owners; it goes when neither wants it', async () => {
    await apply(`${maps}/shared`, 'one', aConfigMap('shared', { a: '1' }));
    await apply(`${maps}/shared`, 'two', aConfigMap('shared', { a: '1', b: '1' }));
    const stays = await apply(`${maps}/shared`, 'one', aConfigMap('shared', { c: '1' }));
    expect(stays.body.data).to.deep.equal({ a: '1', b: '1', c: '1' });
    const goes = await apply(`${maps}/shared`, 'two', aConfigMap('shared', { b: '1' }));
    expect(goes.body.data).to.deep.equal({ b: '1', c: '1' });
  });

  it('a field written by an update belongs to the writer and conflicts', async () => {
    await apply(`${maps}/mixed`, 'one', aConfigMap('mixed', { a: '1' }));
    const patched = await target.call(
      'PATCH',
      `${maps}/mixed?fieldManager=editor`,
      { data: { a: '9' } },
      { type: 'application/merge-patch+json' },
    );
    expect(ownersOf(patched.body)).to.deep.equal({ 'editor/Update': { 'f:data': { 'f:a': {} } } });
    const { code, body } = await apply(`${maps}/mixed`, 'one', aConfigMap('mixed', { a: '1' }));
    expect(code).to.equal(409);
    expect(body.message).to.equal('Apply failed with 1 conflict: conflict with "editor" using v1: .data.a');
  });

  it('lists with keys merge item by item', async () => {
    const pod = (containers: Body): Body => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'keyed' },
      spec: { automountServiceAccountToken: false, containers },
    });
    await apply(`${services}/keyed`, 'one', pod([{ name: 'a', image: 'x' }]));
    const { code, body } = await apply(`${services}/keyed`, 'two', pod([{ name: 'a', image: 'x' }]));
    expect(code).to.equal(200);
    expect(body.spec.containers).to.have.length(1);
    expect(ownersOf(body)['two/Apply']['f:spec']['f:containers']).to.deep.equal({
      'k:{"name":"a"}': { '.': {}, 'f:image': {}, 'f:name': {} },
    });
  });

  it('conditions of a status merge by type through the status endpoint', async () => {
    await target.call('POST', runs, {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Run',
      metadata: { name: 'conditions' },
      spec: { runtime: 'bash', args: ['x'] },
    });
    const status = (type: string): Body => ({
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Run',
      metadata: { name: 'conditions' },
      status: {
        conditions: [
          {
            type,
            status: 'True',
            reason: 'R',
            message: '',
            lastTransitionTime: '2026-01-01T00:00:00.123456Z',
          },
        ],
      },
    });
    await apply(`${runs}/conditions/status`, 'one', status('A'));
    const { body } = await apply(`${runs}/conditions/status`, 'two', status('B'));
    expect(body.status.conditions.map(({ type }: Body) => type)).to.deep.equal(['A', 'B']);
    expect(
      body.metadata.managedFields.map(({ manager, subresource }: Body) => `${manager}:${subresource ?? ''}`),
    ).to.include.members(['one:status', 'two:status']);
    const gone = await apply(`${runs}/conditions/status`, 'one', { ...status('A'), status: {} });
    expect(gone.body.status.conditions.map(({ type }: Body) => type)).to.deep.equal(['B']);
  });

  it('a field manager is required', async () => {
    const { code, body } = await target.call('PATCH', `${maps}/nobody`, aConfigMap('nobody'), {
      type: 'application/apply-patch+yaml',
    });
    expect(code).to.equal(422);
    expect(body.message).to.contain('fieldManager: Required value: is required for apply patch');
  });

  it('a field that the schema does not have is an error', async () => {
    const { code, body } = await apply(`${runs}/unknown`, 'one', {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Run',
      metadata: { name: 'unknown' },
      spec: { runtime: 'bash', args: ['x'], nope: 1 },
    });
    expect(code).to.equal(500);
    expect(body.message).to.contain('.spec.nope: field not declared in schema');
  });

  it('managedFields can be cleared', async () => {
    await apply(`${maps}/cleared`, 'one', aConfigMap('cleared', { a: '1' }));
    const { body } = await target.call(
      'PATCH',
      `${maps}/cleared`,
      { metadata: { managedFields: [{}] } },
      { type: 'application/merge-patch+json' },
    );
    expect(body.metadata.managedFields).to.equal(undefined);
  });

  it('what leaves a map that nobody else has keys in takes the map along', async () => {
    await apply(`${maps}/emptied`, 'one', aConfigMap('emptied', { a: '1' }, { labels: { l: 'x' } }));
    const { body } = await apply(`${maps}/emptied`, 'one', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'emptied' },
    });
    expect(body.metadata.labels).to.equal(undefined);
    expect(body.data).to.equal(undefined);
  });
});
