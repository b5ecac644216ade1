// The client, informers and leader election against the embedded API server, over its real HTTPS.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { filter, firstValueFrom, ReplaySubject, type Subscription } from 'rxjs';

import { type ApiServer, startApiServer } from '../../../src/embedded/api/server.js';
import { type KubeClient, kubeClient } from '../../../src/io/kube/client.js';
import type { Cluster } from '../../../src/io/kube/cluster.js';
import { leadership } from '../../../src/io/kube/lease.js';
import { listenForward } from '../../../src/io/kube/port-forward.js';
import { leases, nodes, pods, runs } from '../../../src/model/resources.js';
import type { Effect } from '../../../src/ports.js';
import { informer } from '../../../streams/watch/informer.js';
import type { InformerEvent } from '../../../streams/watch/informer-events.js';

const Named = t.type({ metadata: t.type({ name: t.string, resourceVersion: t.string }) });
type Named = t.TypeOf<typeof Named>;

const run = (name: string, spec: object = {}): object => ({
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Run',
  metadata: { name },
  spec: { runtime: 'bash', source: { inline: 'echo hello' }, entrypoint: 'script', ...spec },
});

describe('kubeClient and the embedded API server', () => {
  let dataDir: string;
  let api: ApiServer;
  let kube: KubeClient;
  const clusterOf = ({ url, caPem, adminToken }: ApiServer): Cluster => ({
    server: new URL(url),
    ca: caPem,
    namespace: 'default',
    headers: () => Promise.resolve({ authorization: `Bearer ${adminToken}` }),
  });
  const right = async <A>(effect: Effect<A>): Promise<A> => {
    const answer = await firstValueFrom(effect);
    if (E.isLeft(answer)) throw new Error(answer.left.message);
    return answer.right;
  };
  const named = async (effect: Effect<unknown>): Promise<Named['metadata']> => {
    const object = Named.decode(await right(effect));
    if (E.isLeft(object)) throw new Error('no metadata');
    return object.right.metadata;
  };

  before(async () => {
    dataDir = mkdtempSync(join(tmpdir(), 'kube-client-'));
    api = await startApiServer({ dataDir });
    kube = kubeClient(clusterOf(api), { userAgent: 'test/1', requestTimeoutMs: 60_000 });
  });
  after(async () => {
    kube.close();
    await api.close();
    rmSync(dataDir, { recursive: true });
  });

  it('creates once, reads, and refuses a stale write', async () => {
    const { resourceVersion } = await named(kube.create(runs, 'default', run('once')));
    const ref = { namespace: 'default', name: 'once' };
    expect(await firstValueFrom(kube.create(runs, 'default', run('once')))).to.have.nested.property(
      'left.kind',
      'AlreadyExists',
    );
    const label = (version: string, value: string) =>
      kube.patch(runs, ref, {
        type: 'merge',
        body: { metadata: { resourceVersion: version, labels: { a: value } } },
      });
    await right(label(resourceVersion, '1'));
    const stale = await firstValueFrom(label(resourceVersion, '2'));
    expect(stale).to.have.nested.property('left.kind', 'Conflict');
    expect(await right(kube.get(runs, ref))).to.have.nested.property('metadata.labels.a', '1');
  });

  it('tells a refused JSON patch test from a schema violation', async () => {
    await right(kube.create(runs, 'default', run('fenced')));
    const ref = { namespace: 'default', name: 'fenced' };
    const write = (operations: Parameters<typeof kube.patch>[2]) =>
      firstValueFrom(kube.patch(runs, ref, operations, { subresource: 'status' }));
    await write({
      type: 'merge',
      body: { status: { phase: 'Scheduled', assignedPodUID: 'u1', attempt: 1 } },
    });
    const moved = await write({
      type: 'json',
      body: [
        { op: 'test', path: '/status/assignedPodUID', value: 'u0' },
        { op: 'replace', path: '/status/phase', value: 'Running' },
      ],
    });
    expect(moved).to.have.nested.property('left.kind', 'Conflict');
    const wrong = await write({
      type: 'json',
      body: [{ op: 'replace', path: '/status/phase', value: 'Odd' }],
    });
    expect(wrong).to.have.nested.property('left.kind', 'Invalid');
    expect(wrong).to.have.nested.property('left.causes[0].field').that.includes('phase');
  });

  it('reports what is missing by name', async () => {
    const missing = await firstValueFrom(kube.get(runs, { namespace: 'default', name: 'nobody' }));
    expect(missing).to.have.nested.property('left.kind', 'NotFound');
    expect(missing).to.have.nested.property('left.message').that.includes('"nobody"');
  });

  it('says Unauthorized for a wrong token', async () => {
    const cluster = { ...clusterOf(api), headers: () => Promise.resolve({ authorization: 'Bearer wrong' }) };
    const stranger = kubeClient(cluster, { userAgent: 'test/1' });
    const refused = await firstValueFrom(stranger.list(runs, {}));
    stranger.close();
    expect(refused).to.have.nested.property('left.kind', 'Unauthorized');
  });

  it('informs across pages, changes, a restart of the server, and deletion', async () => {
    const namespace = 'default';
    const labelSelector = 'test=informer';
    const labelled = (name: string): object => ({
      ...run(name),
      metadata: { name, labels: { test: 'informer' } },
    });
    for (const name of ['i1', 'i2', 'i3']) await right(kube.create(runs, namespace, labelled(name)));

    const heard: string[] = [];
    const heard$ = new ReplaySubject<InformerEvent<Named>>();
    heard$.subscribe((event) => heard.push(textOf(event)));
    const subscription: Subscription = informer(kube, runs, { namespace, labelSelector }, Named, {
      random: () => 0.5,
      pageLimit: 2,
      backoff: { firstMs: 20, maxMs: 100 },
    }).subscribe(heard$);
    const told = (wanted: string): Promise<InformerEvent<Named>> =>
      firstValueFrom(heard$.pipe(filter((event) => textOf(event) === wanted)));

    try {
      await told('InitDone');
      expect(heard).to.deep.equal(['Connected', 'Init', 'Apply i1', 'Apply i2', 'Apply i3', 'InitDone']);

      await right(kube.create(runs, namespace, labelled('i4')));
      await told('Apply i4');

      const port = Number(new URL(api.url).port);
      await api.close();
      await told('Disconnected');
      api = await startApiServer({ dataDir, port });
      await right(kube.create(runs, namespace, labelled('i5')));
      await told('Apply i5');
      // Resumed where it was: nothing is told twice.
      expect(heard.filter((text) => text === 'Apply i4' || text === 'Init')).to.deep.equal([
        'Init',
        'Apply i4',
      ]);

      await right(kube.delete(runs, { namespace, name: 'i1' }));
      await told('Delete i1');
    } finally {
      subscription.unsubscribe();
    }
  });

  it('forwards a local address to a pod’s port through the API server', async () => {
    // Stands for the kubelet, which turns an upgraded request into the bytes of the pod's port.
    const kubelet = createServer().on('upgrade', (request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n');
      socket.write(`${request.url} `);
      socket.pipe(socket);
    });
    const socketPath = join(dataDir, 'kubelet.sock');
    kubelet.listen(socketPath);
    await once(kubelet, 'listening');
    await right(
      kube.create(nodes, '', {
        metadata: { name: 'here', annotations: { 'kruntimes.io/kubelet-socket': socketPath } },
      }),
    );
    const container = { name: 'runtime', image: 'x' };
    await right(
      kube.create(pods, 'default', {
        metadata: { name: 'bash-1' },
        spec: { nodeName: 'here', containers: [container] },
      }),
    );

    const forward = await listenForward(kube, { namespace: 'default', name: 'bash-1' }, 9093);
    const local = connect(forward.target.replace('unix:', ''));
    local.write('hello');
    let heard = '';
    for await (const bytes of local) {
      heard += String(bytes);
      if (heard.endsWith('hello')) break;
    }
    expect(heard).to.equal('/portForward/default/bash-1/9093 hello');
    await forward.close();
    kubelet.close();
  });

  it('hands leadership over when it is released', async () => {
    const options = { namespace: 'default', name: 'election' };
    const first$ = new ReplaySubject<string>();
    const second$ = new ReplaySubject<string>();
    const first = leadership(kube, { ...options, identity: 'a' }).subscribe(({ kind }) => first$.next(kind));
    await firstValueFrom(first$.pipe(filter((kind) => kind === 'Leading')));
    const second = leadership(kube, { ...options, identity: 'b' }).subscribe(({ kind }) =>
      second$.next(kind),
    );
    await firstValueFrom(second$.pipe(filter((kind) => kind === 'Following')));
    first.unsubscribe();
    await firstValueFrom(second$.pipe(filter((kind) => kind === 'Leading')));
    expect(await right(kube.get(leases, options))).to.have.nested.property('spec.holderIdentity', 'b');
    second.unsubscribe();
  });
});

const textOf = (event: InformerEvent<Named>): string =>
  event.kind === 'Apply' || event.kind === 'Delete' || event.kind === 'Rejected'
    ? `${event.kind} ${event.key.split('/')[1]}`
    : event.kind;
