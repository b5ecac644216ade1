/** Certificates of the sessions as they change: on the embedded API server, over real TLS. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { asyncScheduler, firstValueFrom, type Observable, ReplaySubject, type Subscription } from 'rxjs';

import {
  issueSessionTls,
  readSessionTls,
  renewSessionTls,
  watchSessionTls,
} from '../../src/controller/session-tls.js';
import { type ApiServer, startApiServer } from '../../src/embedded/api/server.js';
import { type KubeClient, kubeClient } from '../../src/io/kube/client.js';
import { createAuthority, issueCertificate, type SessionTls } from '../../src/io/session/certificates.js';
import { type SessionServer, serveSessions } from '../../src/io/session/server.js';
import { secrets } from '../../src/model/resources.js';

const REF = { namespace: 'kruntimes-system', name: 'kruntimes-sessions-ca' };
const HOST = 'kruntimes-sessions.kruntimes-system.svc';

describe('session certificates', () => {
  let folder: string;
  let api: ApiServer;
  let kube: KubeClient;
  const subscriptions: Subscription[] = [];
  const servers: SessionServer[] = [];
  const sockets: TLSSocket[] = [];

  /** What comes, one by one. */
  const inboxOf = <A>(source$: Observable<A>): (() => Promise<A>) => {
    const items = new ReplaySubject<A>();
    subscriptions.push(source$.subscribe(items));
    let seen = 0;
    return async () => {
      seen += 1;
      const wanted = seen;
      return new Promise((resolve, reject) => {
        let count = 0;
        const subscription = items.subscribe({
          next: (item) => {
            count += 1;
            if (count === wanted) {
              resolve(item);
              queueMicrotask(() => subscription.unsubscribe());
            }
          },
          error: reject,
        });
      });
    };
  };
  const right = <A>(answer: E.Either<{ message: string }, A>): A => {
    if (E.isLeft(answer)) throw new Error(answer.left.message);
    return answer.right;
  };
  const serve = async (first: SessionTls): Promise<SessionServer> => {
    const server = await serveSessions({
      address: { kind: 'Tcp', host: '127.0.0.1', port: 0 },
      certificate: first.certificate,
      privateKey: first.privateKey,
      authenticate: () => Promise.reject(new Error('nobody asks')),
      isAccepting: () => true,
    });
    servers.push(server);
    return server;
  };
  /** A pod's connection; rejects when it does not trust the server. */
  const dial = ({ tcpPort }: SessionServer, ca: string): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = connect({
        port: tcpPort,
        host: '127.0.0.1',
        servername: HOST,
        ca,
        ALPNProtocols: ['h2'],
      });
      sockets.push(socket);
      socket.once('secureConnect', () => resolve(socket)).once('error', reject);
    });
  const why = (connection: Promise<TLSSocket>): Promise<string> =>
    connection.then(
      () => 'trusted',
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    );
  const replica = async (clockShiftMs = 0) => {
    const first = right(await issueSessionTls(kube, REF, HOST));
    const clock = {
      now: () => Date.now() + clockShiftMs,
      schedule: asyncScheduler.schedule.bind(asyncScheduler),
    };
    return {
      first: first.tls,
      next: inboxOf(renewSessionTls(kube, REF, HOST, first, { random: () => 0.5, clock })),
    };
  };
  const annotate = async (): Promise<void> => {
    const body = { metadata: { annotations: { 'kruntimes.io/rotate': 'now', other: 'kept' } } };
    right(await firstValueFrom(kube.patch(secrets, REF, { type: 'merge', body })));
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'session-tls-'));
    api = await startApiServer({ dataDir: join(folder, 'api') });
    kube = kubeClient(
      {
        server: new URL(api.url),
        ca: api.caPem,
        namespace: 'default',
        headers: () => Promise.resolve({ authorization: `Bearer ${api.adminToken}` }),
      },
      { userAgent: 'test/1' },
    );
    await firstValueFrom(
      kube.raw('POST', '/api/v1/namespaces', {
        body: JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: REF.namespace } }),
        headers: { 'content-type': 'application/json' },
      }),
    );
  });
  afterEach(async () => {
    for (const subscription of subscriptions.splice(0)) subscription.unsubscribe();
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) await server.close();
  });
  after(async () => {
    kube?.close();
    await api?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('pods of both ages trust the server after a new CA, and strangers do not', async () => {
    const one = await replica();
    const server = await serve(one.first);
    const old = await dial(server, one.first.ca);
    await annotate();
    const renewed = right(await one.next());
    expect(renewed.ca).to.not.equal(one.first.ca);
    server.useCertificate(renewed);
    const stranger = await createAuthority();
    expect([
      await why(dial(server, one.first.ca)),
      await why(dial(server, renewed.ca)),
      await why(dial(server, stranger.certificate)),
    ]).to.deep.equal(['trusted', 'trusted', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY']);
    expect(old.destroyed).to.equal(false);
  });

  it("a CA that nobody vouches for is a gap: the old pods' side of the test above can fail", async () => {
    const [before, after] = [await createAuthority(), await createAuthority()];
    const server = await serve({ ...(await issueCertificate(after, [HOST])), ca: after.certificate });
    expect(await why(dial(server, before.certificate))).to.equal('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  });

  it('replicas agree on the new CA, and the annotation is gone, others kept', async () => {
    const [one, two] = [await replica(), await replica()];
    expect(one.first.ca).to.equal(two.first.ca);
    expect(one.first.certificate).to.not.equal(two.first.certificate);
    await annotate();
    const [first, second] = [right(await one.next()), right(await two.next())];
    expect(first.ca).to.equal(second.ca);
    expect(first.ca).to.not.equal(one.first.ca);
    const secret = right(await firstValueFrom(kube.get(secrets, REF)));
    expect(secret).to.have.nested.property('metadata.annotations').that.deep.equals({ other: 'kept' });
    expect(secret).to.have.property('type', 'kubernetes.io/tls');
  });

  it('a deleted Secret is made again, vouched for by the CA that was in it', async () => {
    const [one, two] = [await replica(), await replica()];
    right(await firstValueFrom(kube.delete(secrets, REF)));
    const [first, second] = [right(await one.next()), right(await two.next())];
    expect(first.ca).to.equal(second.ca);
    const server = await serve(first);
    expect([await why(dial(server, one.first.ca)), await why(dial(server, first.ca))]).to.deep.equal([
      'trusted',
      'trusted',
    ]);
  });

  it('a certificate is issued again when two thirds of its 90 days are over, by the same CA', async () => {
    const one = await replica(61 * 86_400_000);
    const renewed = right(await one.next());
    expect(renewed.ca).to.equal(one.first.ca);
    expect(renewed.certificate).to.not.equal(one.first.certificate);
  });

  it('a CA is replaced when two thirds of its ten years are over', async () => {
    const one = await replica(6.8 * 365 * 86_400_000);
    let renewed = right(await one.next());
    if (renewed.ca === one.first.ca) renewed = right(await one.next());
    expect(renewed.ca).to.not.equal(one.first.ca);
  });

  it('a folder is read again when the kubelet swaps what is mounted there', async () => {
    const mount = join(folder, 'mount');
    const fill = async (name: string): Promise<SessionTls> => {
      const authority = await createAuthority();
      const tls = { ...(await issueCertificate(authority, [HOST])), ca: authority.certificate };
      mkdirSync(join(mount, name), { recursive: true });
      for (const [file, text] of [
        ['tls.crt', tls.certificate],
        ['tls.key', tls.privateKey],
        ['ca.crt', tls.ca],
      ] as const)
        writeFileSync(join(mount, name, file), text);
      return tls;
    };
    const first = await fill('..1');
    symlinkSync('..1', join(mount, '..data'));
    for (const file of ['tls.crt', 'tls.key', 'ca.crt']) symlinkSync(`..data/${file}`, join(mount, file));
    expect(right(await readSessionTls(mount))).to.deep.equal(first);
    const next = inboxOf(watchSessionTls(mount));
    const second = await fill('..2');
    symlinkSync('..2', join(mount, '..data_tmp'));
    renameSync(join(mount, '..data_tmp'), join(mount, '..data'));
    let read = right(await next());
    if (read.ca === first.ca) read = right(await next());
    expect(read).to.deep.equal(second);
  });

  it('a folder without a certificate is named', async () => {
    const read = await readSessionTls(join(folder, 'nowhere'));
    expect(E.isLeft(read) && read.left.message).to.match(/nowhere\/(tls\.crt|tls\.key|ca\.crt)/);
  });
});
