import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom } from 'rxjs';
import { kubeClient } from '../../../src/io/kube/client.js';
import {
  type Cluster,
  clusterFromKubeconfig,
  clusterFromServiceAccount,
} from '../../../src/io/kube/cluster.js';
import { fileToken } from '../../../src/io/kube/credentials.js';
import { type KubeconfigSource, kubeconfigPaths } from '../../../src/io/kube/kubeconfig.js';

import { runs } from '../../../src/model/resources.js';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const TWO = `
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: one
  cluster: { server: "https://one.example:6443/prefix", certificate-authority-data: ${base64('CA ONE')}, tls-server-name: real }
- name: two
  cluster: { server: "https://two.example", insecure-skip-tls-verify: true, proxy-url: "http://proxy:3128" }
- name: broken
  cluster: {}
contexts:
- name: dev
  context: { cluster: one, user: token, namespace: team }
- name: prod
  context: { cluster: two, user: basic }
- name: dangling
  context: { cluster: nowhere, user: token }
- name: broken
  context: { cluster: broken, user: token }
users:
- name: token
  user: { token: sesame }
- name: basic
  user: { username: aladdin, password: "open sesame", as: genie }
`;

describe('clusterFromKubeconfig', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const right = async (source: KubeconfigSource, context?: string): Promise<Cluster> => {
    const cluster = await clusterFromKubeconfig(source, { context });
    if (E.isLeft(cluster)) throw new Error(cluster.left.message);
    return cluster.right;
  };
  const left = async (source: KubeconfigSource, context?: string): Promise<string> => {
    const cluster = await clusterFromKubeconfig(source, { context });
    return E.isLeft(cluster) ? `${cluster.left.reason}: ${cluster.left.message}` : 'no error';
  };

  it('reads the current context', async () => {
    const { headers, server, ...rest } = await right({ text: TWO });
    expect(server.href).to.equal('https://one.example:6443/prefix');
    expect(rest).to.deep.equal({ ca: 'CA ONE', context: 'dev', namespace: 'team', tlsServerName: 'real' });
    expect(await headers()).to.deep.equal({ authorization: 'Bearer sesame' });
  });

  it('reads a named context with basic credentials, impersonation and a proxy', async () => {
    const { headers, proxyUrl, ...rest } = await right({ text: TWO }, 'prod');
    expect(proxyUrl?.href).to.equal('http://proxy:3128/');
    expect(rest).to.include({ namespace: 'default', insecureSkipTlsVerify: true });
    expect(await headers()).to.deep.equal({
      authorization: `Basic ${base64('aladdin:open sesame')}`,
      'impersonate-user': 'genie',
    });
  });

  it('names the file and the contexts there are where one does not exist', async () => {
    const path = write('config', TWO);
    expect(await left({ paths: [path] }, 'x')).to.equal(
      `NoSuchContext: no such context "x" in ${path}; contexts: broken, dangling, dev, prod`,
    );
    expect(await left({ text: 'contexts: []', file: 'f' })).to.equal(
      'NoSuchContext: no current-context in f; choose one with --context; contexts: none',
    );
  });

  it('names what is missing or broken, and nothing else is hurt by it', async () => {
    expect(await left({ text: TWO }, 'dangling')).to.equal(
      'InvalidKubeconfig: context "dangling" in kubeconfig names cluster "nowhere", which is not there',
    );
    expect(await left({ text: TWO }, 'broken')).to.include('cluster "broken" in kubeconfig has no server');
    expect(await left({ paths: [join(folder, 'none')] }))
      .to.include('NoKubeconfig')
      .and.include('none does not exist');
    expect(await left({ text: 'a: [', file: 'f' })).to.include('f is not valid YAML');
    expect(await left({ text: 'clusters: 5', file: 'f' })).to.equal(
      'InvalidKubeconfig: f is not a kubeconfig; wrong: clusters',
    );
    expect(await left({ text: TWO.replace('https://one.example:6443/prefix', 'ftp://x') })).to.include(
      'must begin with https:// or http://',
    );
  });

  it('merges files, the first to name something winning, and passes over missing ones', async () => {
    const first = write('a', 'current-context: prod\nusers:\n- name: basic\n  user: { token: mine }\n');
    const second = write('b', TWO);
    const cluster = await right({ paths: [join(folder, 'missing'), first, second] });
    expect(cluster.context).to.equal('prod');
    expect(await cluster.headers()).to.deep.equal({ authorization: 'Bearer mine' });
  });

  it('reads JSON as well, and paths relative to the file', async () => {
    mkdirSync(join(folder, 'pki'));
    write('pki/ca.crt', 'CA');
    write('pki/me.crt', 'CERT');
    write('pki/me.key', 'KEY');
    write('pki/token', 'from file\n');
    const path = write(
      'config',
      JSON.stringify({
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        clusters: [{ name: 'c', cluster: { server: 'https://c', 'certificate-authority': 'pki/ca.crt' } }],
        users: [
          {
            name: 'u',
            user: { 'client-certificate': 'pki/me.crt', 'client-key': 'pki/me.key', tokenFile: 'pki/token' },
          },
        ],
      }),
    );
    const { headers, ...rest } = await right({ paths: [path] });
    expect(rest).to.include({ ca: 'CA', clientCertificate: 'CERT', clientKey: 'KEY' });
    expect(await headers()).to.deep.equal({ authorization: 'Bearer from file' });
  });

  it('asks an exec plugin, and says what it complained about', async () => {
    const plugin = write(
      'plugin',
      `#!/bin/sh
[ "$1" = fail ] && { echo "please log in first" >&2; exit 1; }
echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"plugged","clientCertificateData":"CERT","clientKeyData":"KEY"}}'
`,
    );
    chmodSync(plugin, 0o700);
    const config = (arg: string): string =>
      JSON.stringify({
        'current-context': 'c',
        contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
        clusters: [{ name: 'c', cluster: { server: 'https://c' } }],
        users: [
          {
            name: 'u',
            user: {
              exec: { apiVersion: 'client.authentication.k8s.io/v1', command: './plugin', args: [arg] },
            },
          },
        ],
      });
    const cluster = await right({ paths: [write('good', config('ok'))] });
    expect(cluster).to.include({ clientCertificate: 'CERT', clientKey: 'KEY' });
    expect(await cluster.headers()).to.include({ authorization: 'Bearer plugged' });
    expect(await left({ paths: [write('bad', config('fail'))] })).to.equal(
      'NoCredentials: the credential plugin of user "u" failed: please log in first',
    );
  });

  it('splits $KUBECONFIG', () => {
    expect(kubeconfigPaths('/a::/b')).to.deep.equal(['/a', '/b']);
  });

  describe('fileToken', () => {
    it('reads the file again after 60 s, and keeps the old token when that fails', async () => {
      const path = write('token', 'first');
      let now = 0;
      const { headers } = fileToken(path, () => now);
      const token = async (): Promise<string | undefined> => (await headers()).authorization;
      expect(await token()).to.equal('Bearer first');
      write('token', 'second');
      now = 59_999;
      expect(await token()).to.equal('Bearer first');
      now = 60_000;
      expect(await token()).to.equal('Bearer second');
      rmSync(path);
      now = 120_000;
      expect(await token()).to.equal('Bearer second');
      write('token', 'third');
      now = 180_000;
      expect(await token()).to.equal('Bearer third');
    });
  });

  it('reads a token that the server does not accept again at once', async () => {
    const path = write('token', 'old');
    const server = createServer((request, answer) => {
      const isGood = request.headers.authorization === 'Bearer new';
      answer.writeHead(isGood ? 200 : 401, { 'content-type': 'application/json' });
      answer.end(JSON.stringify({ kind: isGood ? 'Run' : 'Status' }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const kube = kubeClient(
      { server: new URL(`http://127.0.0.1:${port}`), namespace: 'default', ...fileToken(path) },
      { userAgent: 'test' },
    );
    const ask = async (): Promise<boolean> =>
      E.isRight(await firstValueFrom(kube.get(runs, { namespace: 'default', name: 'hello' })));
    try {
      expect(await ask()).to.equal(false);
      write('token', 'new');
      expect(await ask()).to.equal(true);
    } finally {
      kube.close();
      server.close();
    }
  });

  describe('clusterFromServiceAccount', () => {
    it('reads the mounted files', async () => {
      write('token', 'sa\n');
      write('ca.crt', 'CA');
      write('namespace', 'team');
      const cluster = await clusterFromServiceAccount(folder, 'fd00::1', '443');
      if (E.isLeft(cluster)) throw new Error(cluster.left.message);
      const { server, headers, ca, namespace } = cluster.right;
      expect([server.host, ca, namespace]).to.deep.equal(['[fd00::1]', 'CA', 'team']);
      expect(await headers()).to.deep.equal({ authorization: 'Bearer sa' });
    });

    it('names the folder where they are not', async () => {
      const cluster = await clusterFromServiceAccount(folder, '10.0.0.1', 443);
      expect(cluster).to.have.nested.property('left.reason', 'NotInCluster');
      expect(cluster).to.have.nested.property('left.message').that.includes(folder);
    });
  });
});
