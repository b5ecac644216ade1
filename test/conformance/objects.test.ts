/** Creating, reading, replacing and deleting objects, and the errors' bodies. */
import { expect } from 'chai';

import type { Target } from './target.js';
import { aConfigMap, aPod, aRun, newNamespace, openTarget } from './target.js';

describe('objects', () => {
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

  it('a created object has a uid, a version, generation 1 and a creation time', async () => {
    const { code, body } = await target.call('POST', runs, aRun('created'));
    expect(code).to.equal(201);
    expect(body.metadata.uid).to.match(/^[0-9a-f-]{36}$/);
    expect(body.metadata.resourceVersion).to.match(/^[1-9][0-9]*$/);
    expect(body.metadata.generation).to.equal(1);
    expect(body.metadata.creationTimestamp).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const read = await target.call('GET', `${runs}/created`);
    expect(read.code).to.equal(200);
    expect(read.body).to.deep.equal(body);
  });

  it('a second object of the same name is refused as AlreadyExists', async () => {
    await target.call('POST', runs, aRun('twice'));
    const { code, body } = await target.call('POST', runs, aRun('twice'));
    expect(code).to.equal(409);
    expect(body).to.deep.equal({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'runs.kruntimes.io "twice" already exists',
      reason: 'AlreadyExists',
      details: { name: 'twice', group: 'kruntimes.io', kind: 'runs' },
      code: 409,
    });
  });

  it('a missing object is NotFound with the whole name of its resource', async () => {
    const { code, body } = await target.call('GET', `${runs}/nobody`);
    expect(code).to.equal(404);
    expect(body.message).to.equal('runs.kruntimes.io "nobody" not found');
    expect(body.reason).to.equal('NotFound');
    expect(body.details).to.deep.equal({ name: 'nobody', group: 'kruntimes.io', kind: 'runs' });
    const core = await target.call('GET', `${maps}/nobody`);
    expect(core.body.message).to.equal('configmaps "nobody" not found');
  });

  it('an update with an old version is a conflict and changes nothing', async () => {
    const { body: first } = await target.call('POST', maps, aConfigMap('stale', { a: '1' }));
    await target.call('PUT', `${maps}/stale`, { ...first, data: { a: '2' } });
    const { code, body } = await target.call('PUT', `${maps}/stale`, { ...first, data: { a: '3' } });
    expect(code).to.equal(409);
    expect(body.reason).to.equal('Conflict');
    expect(body.message).to.equal(
      'Operation cannot be fulfilled on configmaps "stale": the object has been modified; please apply your changes to the latest version and try again',
    );
    expect((await target.call('GET', `${maps}/stale`)).body.data).to.deep.equal({ a: '2' });
  });

  it('a custom resource is replaced only with its version, a built-in one also without', async () => {
    const { body: run } = await target.call('POST', runs, aRun('versioned'));
    const { resourceVersion: _version, ...metadata } = run.metadata;
    const refused = await target.call('PUT', `${runs}/versioned`, { ...run, metadata });
    expect(refused.code).to.equal(422);
    expect(refused.body.message).to.contain(
      'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    );
    await target.call('POST', maps, aConfigMap('unversioned'));
    expect(
      (await target.call('PUT', `${maps}/unversioned`, aConfigMap('unversioned', { b: '1' }))).code,
    ).to.equal(200);
  });

  it('an update that changes nothing keeps the version', async () => {
    const { body: run } = await target.call('POST', runs, aRun('same'));
    const { body: again } = await target.call('PUT', `${runs}/same`, run);
    expect(again.metadata.resourceVersion).to.equal(run.metadata.resourceVersion);
  });

  it('the generation counts changes of the spec, not of labels or status', async () => {
    const { body: run } = await target.call('POST', runs, aRun('counted'));
    const labelled = await target.call(
      'PATCH',
      `${runs}/counted`,
      { metadata: { labels: { a: 'b' } } },
      { type: 'application/merge-patch+json' },
    );
    expect(labelled.body.metadata.generation).to.equal(1);
    const cancelled = await target.call(
      'PATCH',
      `${runs}/counted`,
      { spec: { cancelRequested: true } },
      { type: 'application/merge-patch+json' },
    );
    expect(cancelled.body.metadata.generation).to.equal(2);
    const status = await target.call(
      'PATCH',
      `${runs}/counted/status`,
      { status: { phase: 'Pending' } },
      { type: 'application/merge-patch+json' },
    );
    expect(status.body.metadata.generation).to.equal(2);
    expect(Number(status.body.metadata.resourceVersion)).to.be.greaterThan(
      Number(run.metadata.resourceVersion),
    );
  });

  it('status and spec are written through their own endpoints alone', async () => {
    const { body: run } = await target.call('POST', runs, {
      ...aRun('apart'),
      status: { phase: 'Succeeded' },
    });
    expect(run.status).to.equal(undefined);
    const both = {
      ...run,
      spec: { ...run.spec, cancelRequested: true },
      metadata: { ...run.metadata, labels: { x: 'y' } },
      status: { phase: 'Running' },
    };
    const status = await target.call('PUT', `${runs}/apart/status`, both);
    expect(status.body.status).to.deep.equal({ phase: 'Running' });
    expect(status.body.spec.cancelRequested).to.equal(undefined);
    expect(status.body.metadata.labels).to.equal(undefined);
    const main = await target.call('PUT', `${runs}/apart`, {
      ...status.body,
      spec: both.spec,
      status: { phase: 'Failed' },
    });
    expect(main.body.status).to.deep.equal({ phase: 'Running' });
    expect(main.body.spec.cancelRequested).to.equal(true);
  });

  it('generateName completes a name', async () => {
    const { code, body } = await target.call('POST', maps, {
      ...aConfigMap(''),
      metadata: { generateName: 'some-' },
    });
    expect(code).to.equal(201);
    expect(body.metadata.name).to.match(/^some-[a-z0-9]{5}$/);
    expect(body.metadata.generateName).to.equal('some-');
  });

  it('a name that is no DNS name is refused with the field', async () => {
    const { code, body } = await target.call('POST', runs, aRun('Not_A_Name'));
    expect(code).to.equal(422);
    expect(body.message).to.contain(
      'metadata.name: Invalid value: "Not_A_Name": a lowercase RFC 1123 subdomain must consist of',
    );
    expect(body.details.causes[0]).to.include({ reason: 'FieldValueInvalid', field: 'metadata.name' });
  });

  it('an object without a name is refused', async () => {
    const { code, body } = await target.call('POST', maps, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {},
    });
    expect(code).to.equal(422);
    expect(body.message).to.contain('name or generateName is required');
  });

  it('a dry run answers as if, and stores nothing', async () => {
    const created = await target.call('POST', `${runs}?dryRun=All`, aRun('dry'));
    expect(created.code).to.equal(201);
    expect(created.body.metadata.uid).to.be.a('string');
    expect((await target.call('GET', `${runs}/dry`)).code).to.equal(404);
    await target.call('POST', maps, aConfigMap('wet', { a: '1' }));
    const patched = await target.call(
      'PATCH',
      `${maps}/wet?dryRun=All`,
      { data: { a: '2' } },
      { type: 'application/merge-patch+json' },
    );
    expect(patched.body.data.a).to.equal('2');
    expect((await target.call('GET', `${maps}/wet`)).body.data.a).to.equal('1');
    expect((await target.call('DELETE', `${maps}/wet?dryRun=All`)).code).to.equal(200);
    expect((await target.call('GET', `${maps}/wet`)).code).to.equal(200);
    expect((await target.call('POST', `${runs}?dryRun=Some`, aRun('dry'))).code).to.equal(422);
  });

  it('creating in a namespace that is not there is NotFound', async () => {
    const { code, body } = await target.call(
      'POST',
      '/api/v1/namespaces/nowhere/configmaps',
      aConfigMap('a'),
    );
    expect(code).to.equal(404);
    expect(body.message).to.equal('namespaces "nowhere" not found');
  });

  it('a body for another namespace, name or kind is a bad request', async () => {
    const elsewhere = await target.call('POST', maps, aConfigMap('a', {}, { namespace: 'elsewhere' }));
    expect(elsewhere.code).to.equal(400);
    expect(elsewhere.body.message).to.equal(
      'the namespace of the provided object does not match the namespace sent on the request',
    );
    await target.call('POST', maps, aConfigMap('mine'));
    expect((await target.call('PUT', `${maps}/mine`, aConfigMap('other'))).code).to.equal(400);
    expect((await target.call('POST', runs, aConfigMap('a'))).code).to.equal(400);
  });

  it('an unknown path is NotFound with a Status', async () => {
    const { code, body } = await target.call('GET', '/apis/kruntimes.io/v1alpha1/jogs');
    expect(code).to.equal(404);
    expect(
      body === '404 page not found\n' || body.message === 'the server could not find the requested resource',
    ).to.equal(true);
  });

  it('a pod gets the defaults of its type', async () => {
    const { code, body } = await target.call('POST', pods, aPod('defaulted'));
    expect(code).to.equal(201);
    expect(body.spec).to.include({
      restartPolicy: 'Always',
      dnsPolicy: 'ClusterFirst',
      terminationGracePeriodSeconds: 30,
      serviceAccountName: 'default',
    });
    expect(body.spec.containers[0]).to.include({
      imagePullPolicy: 'Always',
      terminationMessagePath: '/dev/termination-log',
    });
    expect(body.status).to.deep.include({ phase: 'Pending', qosClass: 'BestEffort' });
  });

  it('a pod without a container or image is refused with the fields', async () => {
    const { code, body } = await target.call('POST', pods, aPod('empty', { containers: [] }));
    expect(code).to.equal(422);
    expect(body.message).to.contain('spec.containers: Required value');
    const noImage = await target.call('POST', pods, aPod('no-image', { containers: [{ name: 'a' }] }));
    expect(noImage.body.message).to.contain('spec.containers[0].image: Required value');
  });

  it("a pod's containers stay as they are", async () => {
    const { body: pod } = await target.call('POST', pods, aPod('fixed'));
    const spec = { ...pod.spec, containers: [{ ...pod.spec.containers[0], command: ['other'] }] };
    const { code, body } = await target.call('PUT', `${pods}/fixed`, { ...pod, spec });
    expect(code).to.equal(422);
    expect(body.message).to.contain('spec: Forbidden: pod updates may not change fields other than');
    const image = { ...pod.spec, containers: [{ ...pod.spec.containers[0], image: 'newer' }] };
    expect((await target.call('PUT', `${pods}/fixed`, { ...pod, spec: image })).code).to.equal(200);
  });

  it('a secret takes stringData as data', async () => {
    const { body } = await target.call('POST', maps.replace('configmaps', 'secrets'), {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'text' },
      stringData: { key: 'value' },
    });
    expect(body.data).to.deep.equal({ key: Buffer.from('value').toString('base64') });
    expect(body.stringData).to.equal(undefined);
    expect(body.type).to.equal('Opaque');
  });

  it('a wrong type in a built-in object is a bad request', async () => {
    const { code, body } = await target.call('POST', maps, { ...aConfigMap('typed'), data: { a: 1 } });
    expect(code).to.equal(400);
    expect(body.message).to.contain(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field',
    );
  });

  it('a body that is no JSON is a bad request, one of an unknown type is refused as such', async () => {
    expect((await target.call('POST', maps, '{"a":')).code).to.equal(400);
    const { code, body } = await target.call('POST', maps, 'a=b', { type: 'text/plain' });
    expect(code).to.equal(415);
    expect(body.reason).to.equal('UnsupportedMediaType');
  });

  it('a YAML body is read', async () => {
    const { code } = await target.call(
      'POST',
      maps,
      'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: from-yaml\n',
      { type: 'application/yaml' },
    );
    expect(code).to.equal(201);
  });

  it('scale reads and writes replicas', async () => {
    const runtimes = runs.replace('/runs', '/runtimes');
    const template = { spec: { containers: [{ name: 'runtime', image: 'x' }] } };
    await target.call('POST', runtimes, {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Runtime',
      metadata: { name: 'pool' },
      spec: { template },
    });
    const { body: scale } = await target.call('GET', `${runtimes}/pool/scale`);
    expect(scale).to.deep.include({
      kind: 'Scale',
      apiVersion: 'autoscaling/v1',
      spec: { replicas: 1 },
      status: { replicas: 0 },
    });
    const patched = await target.call(
      'PATCH',
      `${runtimes}/pool/scale`,
      { spec: { replicas: 3 } },
      { type: 'application/merge-patch+json' },
    );
    expect(patched.body.spec.replicas).to.equal(3);
    const { body: runtime } = await target.call('GET', `${runtimes}/pool`);
    expect(runtime.spec.replicas).to.equal(3);
    expect(runtime.metadata.generation).to.equal(2);
  });
});
