/** Lists and watches: selectors, pages, versions, bookmarks, 410, tables. */
import { expect } from 'chai';

import type { Body, Target } from './target.js';
import { aConfigMap, aPod, aRun, newNamespace, openTarget } from './target.js';

const merge = { type: 'application/merge-patch+json' };

describe('collections', () => {
  let target: Target;
  let maps = '';
  let runs = '';
  let pods = '';
  before(async () => {
    target = await openTarget();
    const namespace = await newNamespace(target);
    maps = `/api/v1/namespaces/${namespace}/configmaps`;
    runs = `/apis/kruntimes.io/v1alpha1/namespaces/${namespace}/runs`;
    pods = `/api/v1/namespaces/${namespace}/pods`;
    for (const [name, tier] of [
      ['s1', 'web'],
      ['s2', 'web'],
      ['s3', 'db'],
      ['s4', undefined],
    ] as const) {
      await target.call(
        'POST',
        maps,
        aConfigMap(name, {}, { labels: { set: 's', ...(tier === undefined ? {} : { tier }) } }),
      );
    }
  });
  after(() => target.close());

  const names = async (path: string): Promise<string[]> =>
    (await target.call('GET', path)).body.items.map(({ metadata }: Body) => metadata.name);

  for (const [selector, expected] of [
    ['set=s,tier=web', ['s1', 's2']],
    ['set==s,tier!=web', ['s3', 's4']],
    ['tier in (web, db)', ['s1', 's2', 's3']],
    ['set=s,tier notin (web)', ['s3', 's4']],
    ['set=s,!tier', ['s4']],
    ['tier', ['s1', 's2', 's3']],
  ] as const) {
    it(`selects by labels: ${selector}`, async () => {
      expect(await names(`${maps}?labelSelector=${encodeURIComponent(selector)}`)).to.deep.equal(expected);
    });
  }

  it('a label selector that cannot be read is a bad request', async () => {
    const { code, body } = await target.call('GET', `${maps}?labelSelector=${encodeURIComponent('a in (')}`);
    expect(code).to.equal(400);
    expect(body.reason).to.equal('BadRequest');
  });

  it('selects by name, by phase of pods and by the selectable fields of a custom resource', async () => {
    expect(await names(`${maps}?fieldSelector=metadata.name%3Ds2`)).to.deep.equal(['s2']);
    await target.call('POST', pods, aPod('pending'));
    expect(await names(`${pods}?fieldSelector=status.phase%3DPending,spec.nodeName%3D`)).to.deep.equal([
      'pending',
    ]);
    expect(await names(`${pods}?fieldSelector=status.phase!%3DPending`)).to.deep.equal([]);
    await target.call('POST', runs, aRun('assigned'));
    await target.call('POST', runs, aRun('unassigned', { runtime: 'other' }));
    await target.call('PATCH', `${runs}/assigned/status`, { status: { assignedPod: 'p1' } }, merge);
    expect(await names(`${runs}?fieldSelector=status.assignedPod%3Dp1`)).to.deep.equal(['assigned']);
    expect(await names(`${runs}?fieldSelector=spec.runtime%3Dother`)).to.deep.equal(['unassigned']);
  });

  it('a field that cannot be selected by is a bad request', async () => {
    const { code, body } = await target.call('GET', `${runs}?fieldSelector=status.message%3Dx`);
    expect(code).to.equal(400);
    expect(body.message).to.contain('field label not supported: status.message');
  });

  it('pages go on where the last one ended, as of the first one', async () => {
    const first = (await target.call('GET', `${maps}?labelSelector=set%3Ds&limit=2`)).body;
    expect(first.items.map(({ metadata }: Body) => metadata.name)).to.deep.equal(['s1', 's2']);
    await target.call('POST', maps, aConfigMap('s35', {}, { labels: { set: 's' } }));
    const second = (
      await target.call('GET', `${maps}?labelSelector=set%3Ds&limit=2&continue=${first.metadata.continue}`)
    ).body;
    expect(second.items.map(({ metadata }: Body) => metadata.name)).to.deep.equal(['s3', 's4']);
    expect(second.metadata.continue ?? '').to.equal('');
    expect(second.metadata.resourceVersion).to.equal(first.metadata.resourceVersion);
    await target.call('DELETE', `${maps}/s35`);
  });

  it('a page without selectors says how many are left', async () => {
    const { body } = await target.call('GET', `${maps}?limit=1`);
    const { body: all } = await target.call('GET', maps);
    expect(body.metadata.remainingItemCount).to.equal(all.items.length - 1);
  });

  it('a continue token that makes no sense is a bad request', async () => {
    expect((await target.call('GET', `${maps}?limit=1&continue=nonsense`)).code).to.equal(400);
  });

  it('a list names its kind and version', async () => {
    const { body } = await target.call('GET', runs);
    expect(body.kind).to.equal('RunList');
    expect(body.apiVersion).to.equal('kruntimes.io/v1alpha1');
    expect(body.items[0].kind).to.equal('Run');
  });

  it('a watch from a version tells all that happened since, in order', async () => {
    const { body: list } = await target.call('GET', maps);
    const { body: made } = await target.call('POST', maps, aConfigMap('w1', { a: '1' }));
    await target.call('PATCH', `${maps}/w1`, { data: { a: '2' } }, merge);
    await target.call('DELETE', `${maps}/w1`);
    const watch = await target.watch(`${maps}?watch=true&resourceVersion=${list.metadata.resourceVersion}`);
    const events = [await watch.next(), await watch.next(), await watch.next()];
    watch.stop();
    expect(
      events.map(({ type, object }) => `${type} ${object.metadata.name} ${object.data.a}`),
    ).to.deep.equal(['ADDED w1 1', 'MODIFIED w1 2', 'DELETED w1 2']);
    expect(events[0].object.metadata.resourceVersion).to.equal(made.metadata.resourceVersion);
    const versions = events.map(({ object }) => Number(object.metadata.resourceVersion));
    expect(versions).to.deep.equal([...versions].sort((a, b) => a - b));
    expect(new Set(versions).size).to.equal(3);
  });

  it('a watch without a version begins with what is there', async () => {
    const watch = await target.watch(`${maps}?watch=true&labelSelector=tier%3Ddb`);
    expect(await watch.next()).to.deep.include({ type: 'ADDED' });
    await target.call('POST', maps, aConfigMap('w2', {}, { labels: { tier: 'db' } }));
    expect((await watch.next()).object.metadata.name).to.equal('w2');
    watch.stop();
    await target.call('DELETE', `${maps}/w2`);
  });

  it('an object that enters or leaves the selection is added or deleted', async () => {
    const { body: list } = await target.call('GET', runs);
    await target.call('POST', runs, aRun('moving'));
    const watch = await target.watch(
      `${runs}?watch=true&fieldSelector=status.assignedPod%3Dp9&resourceVersion=${list.metadata.resourceVersion}`,
    );
    await target.call('PATCH', `${runs}/moving/status`, { status: { assignedPod: 'p9' } }, merge);
    await target.call('PATCH', `${runs}/moving/status`, { status: { message: 'here' } }, merge);
    const { body: last } = await target.call(
      'PATCH',
      `${runs}/moving/status`,
      { status: { assignedPod: 'p10' } },
      merge,
    );
    const events = [await watch.next(), await watch.next(), await watch.next()];
    watch.stop();
    expect(events.map(({ type }) => type)).to.deep.equal(['ADDED', 'MODIFIED', 'DELETED']);
    expect(events[2].object.status.assignedPod).to.equal('p9');
    expect(events[2].object.metadata.resourceVersion).to.equal(last.metadata.resourceVersion);
  });

  it('a watch ends after timeoutSeconds, with a bookmark for those who asked', async () => {
    const { body: list } = await target.call('GET', runs);
    const watch = await target.watch(
      `${runs}?watch=true&allowWatchBookmarks=true&timeoutSeconds=1&resourceVersion=${list.metadata.resourceVersion}`,
    );
    const events: Body[] = [];
    for (let event = await watch.next(); event !== undefined; event = await watch.next()) events.push(event);
    for (const { type, object } of events) {
      expect(type).to.equal('BOOKMARK');
      expect(Number(object.metadata.resourceVersion)).to.be.at.least(Number(list.metadata.resourceVersion));
    }
    if (target.isEmbedded) expect(events).to.have.length(1);
  });

  it('a watch from before all history is Expired', async () => {
    // kube-apiserver keeps five minutes, but of Runs nothing from before there were Runs at all. The embedded one keeps
    // what fits.
    if (target.isEmbedded)
      for (let i = 0; i < 40; i += 1) {
        const data = { a: 'x'.repeat(900_000), i: String(i) };
        const { code } = await target.call(
          i === 0 ? 'POST' : 'PUT',
          i === 0 ? maps : `${maps}/large`,
          aConfigMap('large', data),
        );
        expect(code).to.be.oneOf([200, 201]);
      }
    const watch = await target.watch(`${target.isEmbedded ? maps : runs}?watch=true&resourceVersion=1`);
    const event = await watch.next();
    expect(event.type).to.equal('ERROR');
    expect(event.object).to.include({ kind: 'Status', code: 410, reason: 'Expired' });
    expect(event.object.message).to.match(/^too old resource version: 1 \([0-9]+\)$/);
    expect(await watch.next()).to.equal(undefined);
  });

  it('a version from the future is refused', async () => {
    const { code, body } = await target.call('GET', `${maps}?resourceVersion=999999999`);
    expect(code).to.equal(504);
    expect(body.message).to.contain('Too large resource version');
  });

  it('deletecollection deletes what is selected', async () => {
    for (const name of ['d1', 'd2', 'd3'])
      await target.call(
        'POST',
        maps,
        aConfigMap(name, {}, { labels: { group: name === 'd3' ? 'keep' : 'drop' } }),
      );
    const { code } = await target.call('DELETE', `${maps}?labelSelector=group%3Ddrop`);
    expect(code).to.equal(200);
    expect(await names(`${maps}?labelSelector=group`)).to.deep.equal(['d3']);
  });

  it('a table has the columns of the CRD', async () => {
    await target.call('POST', runs, aRun('tabled'));
    const accept = 'application/json;as=Table;g=meta.k8s.io;v=v1';
    const { body } = await target.call('GET', `${runs}/tabled`, undefined, { headers: { accept } });
    expect(body.kind).to.equal('Table');
    expect(body.columnDefinitions.map(({ name }: Body) => name)).to.deep.equal([
      'Name',
      'Phase',
      'Runtime',
      'Pod',
      'Attempt',
      'Duration',
      'Exit',
      'Reason',
      'Age',
    ]);
    const [row] = body.rows;
    expect(row.cells.slice(0, 3)).to.deep.equal(['tabled', null, 'bash']);
    expect(row.cells.at(-1)).to.match(/^[0-9]+m?s$/);
    expect(row.object.kind).to.equal('PartialObjectMetadata');
  });

  it('bare metadata can be asked for', async () => {
    const accept = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';
    const { body } = await target.call('GET', maps, undefined, { headers: { accept } });
    expect(body.kind).to.equal('PartialObjectMetadataList');
    expect(body.items[0].data).to.equal(undefined);
    expect(body.items[0].metadata.name).to.be.a('string');
  });

  it('an unknown form is NotAcceptable', async () => {
    expect((await target.call('GET', maps, undefined, { headers: { accept: 'text/csv' } })).code).to.equal(
      406,
    );
  });

  it('a large answer is compressed for those who ask', async () => {
    const { body } = await target.call('POST', maps, aConfigMap('big', { a: 'x'.repeat(500_000) }));
    expect(body.data.a).to.have.length(500_000);
    const { headers } = await target
      .call('GET', `${maps}/big`, undefined, {
        headers: { 'accept-encoding': 'gzip', accept: 'application/json' },
      })
      .catch(() => ({ headers: {} as Record<string, string> }));
    if (Object.keys(headers).length > 0) expect(headers['content-encoding']).to.equal('gzip');
  });
});
