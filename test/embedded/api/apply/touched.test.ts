/**
 * Which fields a write touches, found again by how it changes the object.
 *
 * Invariants:
 * - what is found is what comparing says, whatever was found before
 * - managedFields carried from write to write are those worked out from nothing but their texts, each time
 */
import { expect } from 'chai';
import fc from 'fast-check';

import {
  compareFields,
  difference,
  isEmptySet,
  noFields,
  toFieldsV1,
  union,
} from '../../../../src/embedded/api/apply/field-set.js';
import {
  isSameManager,
  managersOf,
  objectSchema,
  ownable,
  withManagers,
} from '../../../../src/embedded/api/apply/managers.js';
import { touchedBy } from '../../../../src/embedded/api/apply/touched.js';
import { trackChange } from '../../../../src/embedded/api/apply/track.js';
import { ownCall } from '../../../../src/embedded/api/bootstrap/bootstrap.js';
import type { Json } from '../../../../src/embedded/api/json.js';
import type { KubeObject } from '../../../../src/embedded/api/object.js';
import { wireTime } from '../../../../src/embedded/api/object.js';
import { typesOfCrd } from '../../../../src/embedded/api/resources/custom.js';
import { Registry } from '../../../../src/embedded/api/resources/registry.js';
import type { ResourceType } from '../../../../src/embedded/api/resources/resource-type.js';
import type { Store } from '../../../../src/embedded/api/store/store.js';

const part: Json = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    labels: { type: 'object', additionalProperties: { type: 'string' } },
    items: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['key'],
      items: { type: 'object', properties: { key: { type: 'string' }, a: { type: 'integer' } } },
    },
    pairs: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['port', 'protocol'],
      items: {
        type: 'object',
        properties: { port: { type: 'integer' }, protocol: { type: 'string', default: 'TCP' } },
      },
    },
    tags: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
    whole: { type: 'array', items: { type: 'integer' } },
    atom: { type: 'object', 'x-kubernetes-map-type': 'atomic', properties: { a: { type: 'integer' } } },
  },
};

const [thing] = typesOfCrd({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'things.test' },
  spec: {
    group: 'test',
    scope: 'Namespaced',
    names: { kind: 'Thing', plural: 'things' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', properties: { spec: part, status: part } } },
      },
    ],
  },
});
if (thing === undefined) throw new Error('no type');
const type: ResourceType = thing;

/** Names that look like what texts of changes are made of, or that every object has. */
const awkward = fc.constantFrom('p', 'p+.f:q', 'q', '3:f:p', '{', '.', '~.', 'constructor', '');
const leaf = fc.oneof(fc.constantFrom('1', '2', '{', ''), fc.nat(2), fc.boolean());
const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined });
const value: fc.Arbitrary<Json> = fc
  .record({
    name: some(fc.constantFrom('n', 'm')),
    free: some(fc.dictionary(awkward, fc.oneof(leaf, fc.dictionary(awkward, leaf, { maxKeys: 2 })))),
    labels: some(fc.dictionary(awkward, fc.constantFrom('1', '2'), { maxKeys: 3 })),
    items: some(
      fc.uniqueArray(fc.record({ key: awkward, a: fc.nat(2) }, { requiredKeys: ['key'] }), {
        selector: ({ key }) => key,
        maxLength: 3,
      }),
    ),
    pairs: some(
      fc.uniqueArray(
        fc.record({ port: fc.nat(2), protocol: fc.constantFrom('TCP', 'UDP') }, { requiredKeys: ['port'] }),
        { selector: ({ port, protocol = 'TCP' }) => `${port}${protocol}`, maxLength: 3 },
      ),
    ),
    tags: some(fc.uniqueArray(awkward, { maxLength: 3 })),
    whole: some(fc.array(fc.nat(2), { maxLength: 2 })),
    atom: some(fc.record({ a: fc.nat(2) })),
  })
  .map((made) => JSON.parse(JSON.stringify(made)) as Json);

const object: fc.Arbitrary<KubeObject> = fc
  .record({
    labels: some(fc.dictionary(awkward, fc.constantFrom('1', '2'), { maxKeys: 2 })),
    spec: some(value),
    status: some(value),
  })
  .map(
    ({ labels, ...rest }) =>
      JSON.parse(
        JSON.stringify({
          apiVersion: 'test/v1',
          kind: 'Thing',
          metadata: { name: 'one', namespace: 'a', labels },
          ...rest,
        }),
      ) as KubeObject,
  );
const endpoint = fc.constantFrom('', 'status');

const bare = ({ metadata: { managedFields: _managed, ...metadata }, ...rest }: KubeObject): Json => ({
  ...rest,
  metadata,
});

/** As `touchedBy`, with nothing remembered. */
const scratch = (subresource: string, old: KubeObject | undefined, now: KubeObject) => {
  const { added, modified, removed } = compareFields(
    objectSchema(type),
    old === undefined ? {} : bare(old),
    bare(now),
  );
  return {
    gained: ownable(type, subresource, union(added, modified)),
    lost: union(ownable(type, subresource, modified), removed),
    removed,
  };
};

/** What is found is what comparing says. */
const expectFound = (subresource: string, old: KubeObject | undefined, now: KubeObject): void => {
  const found = touchedBy(type, subresource, old, now);
  const wanted = scratch(subresource, old, now);
  for (const name of ['gained', 'lost', 'removed'] as const)
    expect(toFieldsV1(found[name]), name).to.deep.equal(toFieldsV1(wanted[name]));
};

describe('touchedBy', () => {
  it('finds what comparing says', () => {
    fc.assert(
      fc.property(fc.option(object, { nil: undefined }), object, endpoint, (old, now, subresource) =>
        expectFound(subresource, old, now),
      ),
      { numRuns: 200 },
    );
  });

  it('takes no kind of change for another', () => {
    const names = fc.constantFrom('p', 'q', 'p+.f:q', 'constructor');
    const free = fc.dictionary(names, fc.constantFrom<Json>(1, 2, {}, { q: 1 }), { maxKeys: 2 });
    const few = fc.option(free, { nil: undefined }).map(
      (made): KubeObject => ({
        apiVersion: 'test/v1',
        kind: 'Thing',
        metadata: { name: 'one', namespace: 'a' },
        ...(made === undefined ? {} : { spec: { free: { ...made } }, status: { free: { ...made } } }),
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(few, few), { minLength: 40, maxLength: 40 }), (changes) => {
        for (const [old, now] of changes)
          for (const subresource of ['', 'status']) expectFound(subresource, old, now);
      }),
      { numRuns: 50 },
    );
  });

  it('finds the very same sets for the same kind of change', () => {
    const run = (name: string, labels: object, phase: string): KubeObject => ({
      apiVersion: 'test/v1',
      kind: 'Thing',
      metadata: { name, namespace: 'a', labels: { ...labels } },
      spec: { name },
      status: { name: phase },
    });
    const touched = (name: string): unknown =>
      touchedBy(type, 'status', run(name, { a: '1' }, 'x'), run(name, { a: '1' }, 'y')).gained;
    expect(touched('one')).to.equal(touched('two'));
  });
});

describe('trackChange', () => {
  const times = [0, 1_000, 2_000, 3_000, 4_000];
  /** The two ways, each with what it made before. */
  const tracked = (
    subresource: string,
    fieldManager: string,
    now: KubeObject,
    old: KubeObject | undefined,
    nowMs: number,
  ): KubeObject => {
    const backend = { store: {} as Store, registry: new Registry([]), nowMs: () => nowMs };
    const call = ownCall(backend, type, 'a', 'one', 'patch');
    return trackChange({ ...call, fieldManager, info: { ...call.info, subresource } }, now, old);
  };
  const copied = (of: KubeObject): KubeObject => JSON.parse(JSON.stringify(of)) as KubeObject;
  const fromScratch = (
    subresource: string,
    fieldManager: string,
    now: KubeObject,
    old: KubeObject | undefined,
    nowMs: number,
  ): KubeObject => {
    const before = managersOf(old === undefined ? [] : copied(old).metadata.managedFields);
    const { gained, lost, removed } = scratch(subresource, old, now);
    if (isEmptySet(gained) && isEmptySet(lost)) return withManagers(now, before);
    const mine = { manager: fieldManager, operation: 'Update' as const, apiVersion: 'test/v1', subresource };
    const own = before.find((manager) => isSameManager(manager, mine));
    return withManagers(now, [
      ...before
        .filter((manager) => !isSameManager(manager, mine))
        .map((manager) => ({ ...manager, fields: difference(manager.fields, lost) })),
      {
        ...mine,
        time: wireTime(nowMs),
        fields: difference(union(own?.fields ?? noFields, gained), removed),
      },
    ]);
  };

  it('carries managedFields as if they were worked out anew', () => {
    const write = fc.record({ now: object, subresource: endpoint, manager: fc.constantFrom('x', 'y', 'z') });
    fc.assert(
      fc.property(fc.array(write, { minLength: 1, maxLength: 5 }), (writes) => {
        let carried: KubeObject | undefined;
        let anew: KubeObject | undefined;
        for (const [i, { now, subresource, manager }] of writes.entries()) {
          const nowMs = times[i] ?? 0;
          carried = tracked(subresource, manager, copied(now), carried, nowMs);
          anew = fromScratch(subresource, manager, copied(now), anew, nowMs);
          expect(carried).to.deep.equal(anew);
        }
      }),
      { numRuns: 100 },
    );
  });
});
