/** What a client learns of the server before it asks for objects: groups, resources, verbs, schemas, health. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { expect } from 'chai';
import * as yaml from 'js-yaml';

import type { Body, Target } from './target.js';
import { openTarget } from './target.js';

const group = '/apis/kruntimes.io/v1alpha1';
const all = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const part = ['get', 'patch', 'update'];

/** Resources of other groups that kruntimes and its users need: path, name, verbs. */
const needed: ReadonlyArray<readonly [string, string, ReadonlyArray<string>]> = [
  ['/api/v1', 'configmaps', all],
  ['/api/v1', 'events', all],
  ['/api/v1', 'namespaces', all.filter((verb) => verb !== 'deletecollection')],
  ['/api/v1', 'persistentvolumeclaims', all],
  ['/api/v1', 'pods', all],
  ['/api/v1', 'pods/binding', ['create']],
  ['/api/v1', 'pods/eviction', ['create']],
  ['/api/v1', 'pods/log', ['get']],
  ['/api/v1', 'pods/portforward', ['create', 'get']],
  ['/api/v1', 'pods/status', part],
  ['/api/v1', 'secrets', all],
  ['/api/v1', 'serviceaccounts', all],
  ['/api/v1', 'serviceaccounts/token', ['create']],
  ['/apis/apiextensions.k8s.io/v1', 'customresourcedefinitions', all],
  ['/apis/authentication.k8s.io/v1', 'tokenreviews', ['create']],
  ['/apis/authorization.k8s.io/v1', 'selfsubjectaccessreviews', ['create']],
  ['/apis/authorization.k8s.io/v1', 'selfsubjectrulesreviews', ['create']],
  ['/apis/coordination.k8s.io/v1', 'leases', all],
  ['/apis/events.k8s.io/v1', 'events', all],
  ['/apis/rbac.authorization.k8s.io/v1', 'rolebindings', all],
  ['/apis/rbac.authorization.k8s.io/v1', 'roles', all],
];

const crd = (plural: string): Body =>
  yaml.load(
    readFileSync(fileURLToPath(new URL(`../../crds/kruntimes.io_${plural}.yaml`, import.meta.url)), 'utf8'),
  );

describe('discovery', () => {
  let target: Target;
  before(async () => {
    target = await openTarget();
  });
  after(() => target.close());

  const get = async (path: string, accept = 'application/json'): Promise<Body> => {
    const { code, body } = await target.call('GET', path, undefined, { headers: { accept } });
    expect(code, path).to.equal(200);
    // kube-apiserver calls some JSON plain text.
    return typeof body === 'string' ? JSON.parse(body) : body;
  };

  it('the group has one version', async () => {
    const { kind, name, versions, preferredVersion } = await get('/apis/kruntimes.io');
    const version = { groupVersion: 'kruntimes.io/v1alpha1', version: 'v1alpha1' };
    expect({ kind, name, versions, preferredVersion }).to.deep.equal({
      kind: 'APIGroup',
      name: 'kruntimes.io',
      versions: [version],
      preferredVersion: version,
    });
  });

  it('its resources have their kinds, short names, verbs and parts', async () => {
    const { kind, apiVersion, groupVersion, resources } = await get(group);
    expect({ kind, apiVersion, groupVersion }).to.deep.equal({
      kind: 'APIResourceList',
      apiVersion: 'v1',
      groupVersion: 'kruntimes.io/v1alpha1',
    });
    const categories = ['all', 'kruntimes'];
    const run = { namespaced: true, kind: 'Run' };
    const runtime = { namespaced: true, kind: 'Runtime' };
    const scale = { namespaced: true, group: 'autoscaling', version: 'v1', kind: 'Scale' };
    expect(
      resources.map(({ storageVersionHash: _, verbs, ...resource }: Body) => ({
        ...resource,
        verbs: [...verbs].sort(),
      })),
    ).to.have.deep.members([
      { ...run, name: 'runs', singularName: 'run', verbs: all, shortNames: ['rn'], categories },
      { ...run, name: 'runs/status', singularName: '', verbs: part },
      { ...runtime, name: 'runtimes', singularName: 'runtime', verbs: all, shortNames: ['rt'], categories },
      { ...runtime, name: 'runtimes/status', singularName: '', verbs: part },
      { ...scale, name: 'runtimes/scale', singularName: '', verbs: part },
    ]);
  });

  for (const [path, name, verbs] of needed)
    it(`${path} has ${name}`, async () => {
      const found = (await get(path)).resources.find((resource: Body) => resource.name === name);
      expect([...(found?.verbs ?? [])].sort()).to.deep.equal([...verbs].sort());
    });

  it('all groups come in one answer to those who ask for it', async () => {
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { headers } = await target.call('GET', '/apis', undefined, { headers: { accept } });
    expect(headers['content-type']).to.equal(accept);
    const { items } = await get('/apis', accept);
    const [{ version, freshness, resources }] = items.find(
      ({ metadata }: Body) => metadata.name === 'kruntimes.io',
    ).versions;
    expect({ version, freshness }).to.deep.equal({ version: 'v1alpha1', freshness: 'Current' });
    const runs = resources.find(({ resource }: Body) => resource === 'runs');
    expect({ ...runs, verbs: [...runs.verbs].sort() }).to.deep.equal({
      resource: 'runs',
      responseKind: { group: 'kruntimes.io', version: 'v1alpha1', kind: 'Run' },
      scope: 'Namespaced',
      singularResource: 'run',
      verbs: all,
      shortNames: ['rn'],
      categories: ['all', 'kruntimes'],
      subresources: [
        {
          subresource: 'status',
          responseKind: { group: 'kruntimes.io', version: 'v1alpha1', kind: 'Run' },
          verbs: part,
        },
      ],
    });
  });

  it('OpenAPI has the schemas of the CRDs, and which parameters a patch takes', async () => {
    const { paths } = await get('/openapi/v3');
    const { components, paths: operations } = await get(
      paths['apis/kruntimes.io/v1alpha1'].serverRelativeURL,
    );
    for (const [plural, kind] of [
      ['runs', 'Run'],
      ['runtimes', 'Runtime'],
    ] as const) {
      const schema = components.schemas[`io.kruntimes.v1alpha1.${kind}`];
      expect(schema['x-kubernetes-group-version-kind']).to.deep.equal([
        { group: 'kruntimes.io', version: 'v1alpha1', kind },
      ]);
      const written = crd(plural).spec.versions[0].schema.openAPIV3Schema.properties;
      for (const part of ['spec', 'status'] as const) {
        expect(schema.properties[part].description).to.equal(written[part].description);
        expect(Object.keys(schema.properties[part].properties).sort()).to.deep.equal(
          Object.keys(written[part].properties).sort(),
        );
      }
      const { patch } = operations[`${group}/namespaces/{namespace}/${plural}/{name}`];
      expect(patch['x-kubernetes-group-version-kind']).to.deep.equal({
        group: 'kruntimes.io',
        version: 'v1alpha1',
        kind,
      });
      expect(patch.parameters.map(({ name }: Body) => name)).to.include.members([
        'dryRun',
        'fieldManager',
        'fieldValidation',
        'force',
      ]);
    }
  });

  it('the version is one of Kubernetes, and health is ok', async () => {
    const { gitVersion, major, minor } = await get('/version');
    expect(gitVersion).to.match(new RegExp(`^v${major}\\.${minor}\\.\\d+`));
    for (const path of ['/healthz', '/livez', '/readyz']) {
      const { code, body } = await target.call('GET', path);
      expect([code, body]).to.deep.equal([200, 'ok']);
    }
  });
});
