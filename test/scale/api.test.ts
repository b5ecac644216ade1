/**
 * What the embedded API server does for one request or change does not grow with what it holds. Counted in steps of
 * the code, so it holds on any machine.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import * as yaml from 'js-yaml';

import { ownCall, packagedCrds } from '../../src/embedded/api/bootstrap/bootstrap.js';
import { expireEvents } from '../../src/embedded/api/controllers/event-expiry.js';
import { collectGarbage } from '../../src/embedded/api/controllers/garbage.js';
import { keepNamespaces } from '../../src/embedded/api/controllers/namespaces.js';
import type { KubeObject } from '../../src/embedded/api/object.js';
import { isKubeObject } from '../../src/embedded/api/object.js';
import { builtinResourceTypes } from '../../src/embedded/api/resources/builtins.js';
import { typesOfCrd } from '../../src/embedded/api/resources/custom.js';
import { Registry } from '../../src/embedded/api/resources/registry.js';
import { Store } from '../../src/embedded/api/store/store.js';
import type { Call } from '../../src/embedded/api/verbs/call.js';
import { Lister } from '../../src/embedded/api/verbs/list.js';
import { patchObject } from '../../src/embedded/api/verbs/patch.js';
import { canCountWork, countWork } from '../support/work.js';

const SMALL = 500;
const LARGE = 8_000;
const HOUR_MS = 3_600_000;

const registry = new Registry(builtinResourceTypes);

const named = (kind: string, namespace: string, name: string, rest: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: {
    namespace,
    name,
    uid: `uid-${namespace}-${name}`,
    creationTimestamp: new Date(0).toISOString(),
  },
  ...rest,
});

describe('work of the API server', () => {
  const folders: string[] = [];
  const stores: Store[] = [];

  before(function () {
    if (!canCountWork) this.skip();
  });
  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });

  /** A store with so many ConfigMaps in each of two namespaces. */
  const filled = async (n: number): Promise<Store> => {
    const folder = mkdtempSync(join(tmpdir(), 'kruntimes-scale-'));
    folders.push(folder);
    const store = await Store.open({ folder });
    stores.push(store);
    for (const namespace of ['a', 'b'])
      for (let i = 0; i < n; i += 1)
        store.put('/configmaps', named('ConfigMap', namespace, `c-${String(i).padStart(6, '0')}`));
    await store.durable();
    return store;
  };
  const listing = (store: Store, namespace: string, query: Readonly<Record<string, string>>): Call => {
    const type = registry.ofStorage('/configmaps');
    if (type === undefined) throw new Error('no ConfigMaps');
    const backend = { store, registry, nowMs: () => 0 };
    return { ...ownCall(backend, type, namespace, '', 'list'), query: new URLSearchParams(query) };
  };

  it('a page costs by its length, and says all the same how many are left', async () => {
    const cost = async (n: number): Promise<number> => {
      const store = await filled(n);
      const lister = new Lister();
      const first = lister.list(listing(store, 'a', { limit: '100' }));
      expect(first.remaining).to.equal(n - 100);
      let second = first;
      const steps = countWork(() => {
        second = lister.list(listing(store, 'a', { limit: '100', continue: first.next ?? '' }));
      });
      expect(second.entries[0]?.object.metadata.name).to.equal('c-000100');
      expect(second.remaining).to.equal(n - 200);
      return steps;
    };
    const small = await cost(SMALL);
    expect(await cost(LARGE), `${small} steps among ${SMALL}`).to.be.below(small * 1.5);
  });

  it('the first page of everything does not count what it does not show', async () => {
    const cost = async (n: number): Promise<number> => {
      const call = listing(await filled(n), '', { limit: '1' });
      return countWork(() => expect(new Lister().list(call).remaining).to.equal(2 * n - 1));
    };
    const small = await cost(SMALL);
    expect(await cost(LARGE), `${small} steps among ${SMALL}`).to.be.below(small * 1.5);
  });

  it('a write costs the same whatever else is stored, its controllers included', async () => {
    const cost = async (n: number): Promise<number> => {
      const store = await filled(n);
      const stops = [
        keepNamespaces(
          store,
          registry,
          '',
          () => 0,
          () => undefined,
        ),
        collectGarbage(store, registry, () => undefined),
        expireEvents(store, () => 0),
      ];
      // The last of a turn is applied when it is on disk: counted in the listener's turn.
      let steps = 0;
      const before = store.revision;
      store.put('/configmaps', named('ConfigMap', 'a', 'another'));
      steps += countWork(() => store.put('/configmaps', named('ConfigMap', 'a', 'c-000007')));
      await store.durable();
      expect(store.revision).to.equal(before + 2);
      for (const stop of stops) stop();
      return steps;
    };
    const small = await cost(SMALL);
    expect(await cost(LARGE), `${small} steps among ${SMALL}`).to.be.below(small * 1.5);
  });

  it('a status write like one before costs less than half, and the same for a script of any length', async () => {
    const crd = yaml.load(readFileSync(join(packagedCrds(), 'kruntimes.io_runs.yaml'), 'utf8'));
    const [type] = isKubeObject(crd) ? typesOfCrd(crd) : [];
    if (type === undefined) throw new Error('no Runs');
    const store = await filled(0);
    const run = (name: string, inline: string): KubeObject => ({
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Run',
      metadata: { name, namespace: 'a', uid: name, creationTimestamp: new Date(0).toISOString() },
      spec: { runtime: 'bash', source: { inline }, entrypoint: 'script' },
    });
    const backend = { store, registry, nowMs: () => 0 };
    const assigned = (name: string): number => {
      const call = ownCall(backend, type, 'a', name, 'patch');
      const patch: Call = {
        ...call,
        info: { ...call.info, subresource: 'status' },
        contentType: 'application/merge-patch+json',
      };
      const status = {
        phase: 'Scheduled',
        assignedPod: 'p',
        assignedPodUID: name,
        attempt: 1,
        conditions: [
          {
            type: 'Scheduled',
            status: 'True',
            reason: 'Assigned',
            message: '',
            lastTransitionTime: new Date(0).toISOString(),
          },
        ],
      };
      return countWork(() => expect(patchObject(patch, { status }).code).to.equal(200));
    };
    for (const [name, characters] of [
      ['one', 10],
      ['two', 10],
      ['three', 100_000],
    ] as const)
      store.put('kruntimes.io/runs', run(name, 'x'.repeat(characters)));
    await store.durable();
    const [first, second, long] = [assigned('one'), assigned('two'), assigned('three')];
    expect(second, `the first: ${first}`).to.be.below(first / 2);
    expect(second).to.be.below(700);
    expect(long).to.be.below(second * 1.05);
  });

  it('what nobody looks at is kept as its text alone, and reads as it was written', async () => {
    const store = await filled(2_000);
    const all = [...store.list('/configmaps')];
    expect(all.filter(({ isWarm }) => isWarm).length).to.be.at.most(1_024);
    const [first] = all;
    expect(first?.isWarm).to.equal(false);
    expect(first?.object).to.deep.equal({
      ...named('ConfigMap', 'a', 'c-000000'),
      metadata: { ...named('ConfigMap', 'a', 'c-000000').metadata, resourceVersion: '1' },
    });
    expect(first?.isWarm).to.equal(true);
    for (const { object } of all) expect(object.kind).to.equal('ConfigMap');
    expect(all.filter(({ isWarm }) => isWarm).length).to.be.at.most(1_024);
  });

  it('a list by name looks at that object alone, and one by a field parses each object once', async () => {
    const store = await filled(2_000);
    const names = (query: Readonly<Record<string, string>>): ReadonlyArray<string> =>
      new Lister().list(listing(store, 'a', query)).entries.map(({ key }) => key);
    const one = { fieldSelector: 'metadata.name=c-000017' };
    expect(countWork(() => expect(names(one)).to.deep.equal(['a/c-000017']))).to.be.below(500);
    expect(names({ ...one, labelSelector: 'color=red' })).to.deep.equal([]);
    expect(names({ labelSelector: '!color' }).length).to.equal(2_000);
    const [coldest] = [...store.list('/configmaps', 'a')].filter(({ isWarm }) => !isWarm);
    expect(names({ labelSelector: '!color' }).length).to.equal(2_000);
    expect(coldest?.isWarm, 'parsed a second time').to.equal(false);
  });

  it('a look for old Events costs nothing for the young ones, and finds the old one', async () => {
    const store = await filled(0);
    let nowMs = 0;
    const stop = expireEvents(store, () => nowMs);
    const event = (name: string, seenMs: number): KubeObject =>
      named('Event', 'a', name, { lastTimestamp: new Date(seenMs).toISOString() });
    store.put('events', event('old', 0));
    for (let i = 0; i < 2_000; i += 1) store.put('events', event(`young-${i}`, 10 * HOUR_MS));
    await store.durable();
    stop();
    nowMs = 2 * HOUR_MS;
    // A start is a look, too.
    expireEvents(store, () => nowMs)();
    await store.durable();
    expect(store.get('events', 'a', 'old')).to.equal(undefined);
    expect(store.count('events')).to.equal(2_000);
  });

  it('an object that leaves a namespace in deletion costs no look at the others', async () => {
    const cost = async (n: number): Promise<number> => {
      const store = await filled(n);
      store.put('/namespaces', {
        apiVersion: 'v1',
        kind: 'Namespace',
        metadata: { name: 'a', uid: 'uid-a', deletionTimestamp: new Date(0).toISOString() },
      });
      await store.durable();
      // Everything has a finalizer: it goes later than it is asked to, one by one.
      const deleting = (storage: string, object: KubeObject): void => {
        const metadata = { ...object.metadata, deletionTimestamp: new Date(0).toISOString() };
        store.put(storage, { ...object, metadata });
      };
      const stop = keepNamespaces(store, registry, '', () => 0, deleting);
      await store.durable();
      const all = [...store.list('/configmaps', 'a')];
      let looks = 0;
      const list = store.list.bind(store);
      store.list = function* (resource, namespace) {
        for (const entry of list(resource, namespace)) {
          looks += 1;
          yield entry;
        }
      };
      const remove = async (some: typeof all): Promise<void> => {
        for (const { object } of some) store.remove('/configmaps', object);
        await store.durable();
        await new Promise((resolve) => setImmediate(resolve));
      };
      for (const entry of all.slice(0, 20)) await remove([entry]);
      const spent = looks;
      await remove(all.slice(20));
      await store.durable();
      expect(store.get('/namespaces', undefined, 'a'), 'the namespace').to.equal(undefined);
      stop();
      return spent;
    };
    const small = await cost(SMALL);
    expect(small).to.be.above(0);
    expect(await cost(LARGE)).to.equal(small);
  });
});
