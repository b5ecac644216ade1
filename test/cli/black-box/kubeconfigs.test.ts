/** krt with the kubeconfigs that clusters give out: contexts, plugins, certificates, proxies, and users who may little. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer, request as httpsRequest } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';

import { expect } from 'chai';
import * as yaml from 'js-yaml';

import { createAuthority, issueCertificate } from '../../../src/io/session/certificates.js';
import { runs } from '../../../src/model/resources.js';
import type { Body } from '../../conformance/target.js';
import { endCalls, type Said, start } from './call.js';
import { runNamed, startCluster, type TestCluster } from './cluster.js';

describe('krt and kubeconfigs', () => {
  let cluster: TestCluster;
  let plain: Body;
  let api: URL;
  const servers: Server[] = [];

  const krt = (config: Body, argv: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}): Promise<Said> => {
    const path = join(cluster.folder, 'config');
    writeFileSync(path, yaml.dump(config), { mode: 0o600 });
    return start(argv, { home: cluster.folder, kubeconfig: path, env }).done;
  };
  const withUser = (user: Body): Body => ({
    ...structuredClone(plain),
    users: [{ name: plain.users[0].name, user }],
  });
  const withCluster = (change: Body): Body => ({
    ...structuredClone(plain),
    clusters: [{ name: plain.clusters[0].name, cluster: { ...plain.clusters[0].cluster, ...change } }],
  });
  const listen = async (server: Server): Promise<number> => {
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  /** A proxy that takes every name for the API server, and what it was asked for. */
  const proxy = async (target = Number(api.port)): Promise<Readonly<{ port: number; asked: string[] }>> => {
    const asked: string[] = [];
    const server = createServer((_request, response) => response.writeHead(400).end());
    server.on('connect', (request, socket, head) => {
      asked.push(`${request.url} ${request.headers['proxy-authorization'] ?? 'nobody'}`);
      const upstream = connect(target, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        upstream.write(head);
        upstream.pipe(socket).pipe(upstream);
      });
      for (const end of [socket, upstream]) end.on('error', () => undefined);
    });
    return { port: await listen(server), asked };
  };

  const data = (text: string): string => Buffer.from(text).toString('base64');
  /** Another way to the API server, as its administrator for all whose certificate's name is good enough. */
  const front = async (host: string, isGood: (name: string | undefined) => boolean) => {
    const authority = await createAuthority();
    const { certificate: cert, privateKey: key } = await issueCertificate(authority, [host]);
    const server = createTlsServer(
      { cert, key, requestCert: true, rejectUnauthorized: false },
      (request, response) => {
        const { subject } = (request.socket as TLSSocket).getPeerCertificate();
        if (!isGood(subject?.CN?.toString())) return void response.writeHead(401).end();
        const headers = {
          ...request.headers,
          host: api.host,
          authorization: `Bearer ${plain.users[0].user.token}`,
        };
        request.pipe(
          httpsRequest(
            new URL(request.url ?? '/', api),
            { method: request.method, headers, rejectUnauthorized: false },
            (answer) => {
              response.writeHead(answer.statusCode ?? 500, answer.headers);
              answer.pipe(response);
            },
          ),
        );
      },
    );
    return { port: await listen(server), authority };
  };

  before(async () => {
    cluster = await startCluster();
    plain = yaml.load(readFileSync(cluster.kubeconfig, 'utf8')) as Body;
    api = new URL(plain.clusters[0].cluster.server);
    await cluster.create(runs, runNamed('known'));
  });
  afterEach(async () => {
    endCalls();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });
  after(() => cluster?.close());

  const found = { code: 0, out: 'run.kruntimes.io/known\n', err: '' };
  const list = ['list', '-o', 'name'];

  it('takes cluster, user and namespace of the context that is asked for', async () => {
    const context = { cluster: plain.clusters[0].name, user: plain.users[0].name };
    const config = {
      ...plain,
      'current-context': 'empty',
      contexts: [
        { name: 'empty', context: { ...context, namespace: 'elsewhere' } },
        { name: 'full', context: { ...context, namespace: 'default' } },
      ],
    };
    expect(await krt(config, list)).to.deep.include({ code: 0, out: '' });
    expect(await krt(config, [...list, '--context=full'])).to.deep.equal(found);
    expect(await krt(config, [...list, '-n', 'default'])).to.deep.equal(found);
    const { code, err } = await krt(config, [...list, '--context=none']);
    expect([code, /none.*(empty|full)/.test(err)]).to.deep.equal([4, true]);
  });

  it('asks an exec plugin for the token', async () => {
    const { token } = plain.users[0].user;
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token },
    };
    const exec = (script: string): Body =>
      withUser({
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          interactiveMode: 'Never',
          command: 'bash',
          args: ['-c', script],
        },
      });
    expect(await krt(exec(`echo '${JSON.stringify(credential)}'`), list)).to.deep.equal(found);
    const { code, err } = await krt(exec('echo "log in first" >&2; exit 3'), list);
    expect([code, err.includes('log in first')]).to.deep.equal([4, true]);
  });

  it('reads a token from a file', async () => {
    const tokenFile = join(cluster.folder, 'token');
    writeFileSync(tokenFile, plain.users[0].user.token);
    expect(await krt(withUser({ tokenFile }), list)).to.deep.equal(found);
  });

  it('shows a client certificate', async () => {
    const { port, authority } = await front('127.0.0.1', (name) => name === 'kruntimes-sessions');
    const client = await issueCertificate(authority, ['somebody']);
    const config = withUser({
      'client-certificate-data': data(client.certificate),
      'client-key-data': data(client.privateKey),
    });
    config.clusters[0].cluster = {
      server: `https://127.0.0.1:${port}`,
      'certificate-authority-data': data(authority.certificate),
    };
    expect(await krt(config, list)).to.deep.equal(found);
    config.users[0].user = {};
    const { code } = await krt(config, list);
    expect(code).to.equal(4);
  });

  it("goes through the kubeconfig's proxy, with its credentials", async () => {
    const { port, asked } = await proxy();
    const config = withCluster({ 'proxy-url': `http://me:secret@127.0.0.1:${port}` });
    expect(await krt(config, list)).to.deep.equal(found);
    expect(asked).to.deep.equal([`${api.host} Basic ${Buffer.from('me:secret').toString('base64')}`]);
  });

  it("goes through the environment's proxy, unless NO_PROXY names the server", async () => {
    const { port: target, authority } = await front('api.test', () => true);
    const { port, asked } = await proxy(target);
    const config = withCluster({
      server: 'https://api.test:6443',
      'certificate-authority-data': data(authority.certificate),
    });
    const env = { HTTPS_PROXY: `http://127.0.0.1:${port}` };
    expect(await krt(config, list, env)).to.deep.equal(found);
    expect(asked).to.deep.equal(['api.test:6443 nobody']);
    const { code } = await krt(config, [...list, '--request-timeout=5s'], { ...env, NO_PROXY: '.test' });
    expect(code).to.equal(4);
    expect(asked).to.have.length(1);
  });

  it('names the proxy that cannot be reached', async () => {
    const closed = await listen(createServer());
    servers.pop()?.close();
    const { code, err } = await krt(withCluster({ 'proxy-url': `http://127.0.0.1:${closed}` }), list);
    expect([code, err.includes(`127.0.0.1:${closed}`)]).to.deep.equal([4, true]);
  });

  it('says that a token is not, or no longer, valid', async () => {
    const { code, err } = await krt(withUser({ token: 'old' }), list);
    expect(code).to.equal(4);
    expect(err).to.match(/^krt: .*(nauthorized|credentials|token)/);
  });
});
