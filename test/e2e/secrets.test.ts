/**
 * What a local control plane gives away, as another user of the machine or a web page sees it (docs/security.md):
 *
 * - tokens, keys, scripts and values of environment variables are in no command line, log, Event, status or record of
 *   runtimed;
 * - nobody else can read or write what it has on disk, nor reach a socket there, whatever the umask was;
 * - its TCP ports answer nobody who has not proved who they are, but for health and version;
 * - what a browser may be made to send is refused, credentials or not.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { basename, dirname, join, relative } from 'node:path';

import { ChannelCredentials, type ServiceError } from '@grpc/grpc-js';
import { expect } from 'chai';

import { events } from '../../src/model/resources.js';
import { type FromOperator, SessionsClient } from '../../src/proto/gen/session.js';
import { answer, type ControlPlane } from './attach.js';
import { startControlPlane } from './control-plane.js';

const VALUE = 'value-of-a-variable-7f3a91';
const SCRIPT = 'word-of-a-script-7f3a91';

/** Files below a folder; sockets and links are none. */
const filesBelow = (root: string): ReadonlyArray<string> =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/** Whatever a file system may do meanwhile. */
const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

/** Whether somebody else may go through every folder from `root` to what is in `path`. */
const isReachable = (root: string, path: string): boolean => {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o011) === 0) return false;
    if (folder === root || folder === dirname(folder)) return true;
  }
};

/** What is worth stealing: tokens, and the lines of private keys. */
const secretsOf = (dataDir: string): ReadonlyMap<string, string> => {
  const secrets = new Map([
    [VALUE, 'env'],
    [SCRIPT, 'script'],
  ]);
  for (const path of filesBelow(dataDir)) {
    if (!/(\.key|kubeconfig|tokens\.json|token)$/.test(path)) continue;
    const text = textOf(path);
    const found = [
      ...text.matchAll(/^\s*token:\s*"?([^\s"]{16,})/gm),
      ...text.matchAll(/"?([A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,})/g),
      ...(text.includes('PRIVATE KEY') ? text.matchAll(/^([A-Za-z0-9+/=]{40,})$/gm) : []),
      ...(basename(path) === 'tokens.json' ? text.matchAll(/"([A-Za-z0-9_-]{24,})"/g) : []),
    ];
    for (const [, secret = ''] of found) secrets.set(secret, relative(dataDir, path));
  }
  return secrets;
};

/** Pids of the control plane: those with its mark in their environment, and all that they started. */
const pidsOf = (plane: ControlPlane): ReadonlyArray<number> =>
  ['control-plane.js', 'apiserver.js', 'controller.js', 'kubelet.js', 'runtimed.js', 'bash'].flatMap(
    (program) => [...plane.pidsOf(program)],
  );

/** Ports on which these processes listen. */
const portsOf = (pids: ReadonlyArray<number>): ReadonlyArray<number> => {
  const inodes = new Set(
    pids.flatMap((pid) => {
      try {
        return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      } catch {
        return [];
      }
    }),
  );
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    textOf(table)
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode]) => state === '0A' && inodes.has(`socket:[${inode}]`))
      .map(([, local = '']) => Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16)),
  );
};

/** Status of a request over TLS, or how it failed. */
const get = (port: number, path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> =>
  new Promise((resolve) => {
    const call = request(
      { host: '127.0.0.1', port, path, headers, rejectUnauthorized: false, agent: false, timeout: 5_000 },
      (response) => {
        response.resume();
        response.on('end', () => resolve(String(response.statusCode)));
      },
    );
    call.on('timeout', () => call.destroy(new Error('silent')));
    call.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    call.end();
  });

/** What a port says to HTTP without TLS. */
const plain = (port: number): Promise<string> =>
  new Promise((resolve) => {
    let said = '';
    const socket = connect({ port, host: '127.0.0.1' }, () =>
      socket.write('GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n'),
    );
    socket.setTimeout(1_000, () => socket.destroy());
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(said));
  });

/** What the sessions' port says to a caller with that token. */
const session = (port: number, dataDir: string): Promise<string> =>
  new Promise((resolve) => {
    // Its CA is another; whom the client trusts says nothing about whom the server lets in.
    const insecure = ChannelCredentials.createSsl(null, null, null, { rejectUnauthorized: false });
    const client = new SessionsClient(`127.0.0.1:${port}`, insecure, {
      'grpc.ssl_target_name_override': 'localhost',
    });
    const stream = client.connect();
    const over = (what: string): void => {
      client.close();
      resolve(what);
    };
    stream.on('data', (message: FromOperator) => over(`said ${Object.keys(message).join()} in ${dataDir}`));
    stream.on('error', (error: ServiceError) => over(`code ${error.code}`));
    stream.on('end', () => over('end'));
  });

for (const umask of [0, 0o077])
  describe(`a local control plane, started with umask ${umask.toString(8)}`, () => {
    let plane: ControlPlane;
    before(async function () {
      if (process.env.CLUSTER_BINARIES !== undefined || process.platform !== 'linux') this.skip();
      const old = process.umask(umask);
      process.env.KRUNTIME_LOG_LEVEL = 'trace';
      try {
        plane = await startControlPlane({ replicas: 1 });
      } finally {
        process.umask(old);
        delete process.env.KRUNTIME_LOG_LEVEL;
      }
    });
    after(async () => {
      await plane?.stop();
    });

    it('has no secret in a command line, log, Event, status or record, while a Run is there and after it', async () => {
      const secrets = secretsOf(plane.dataDir);
      expect([...secrets.values()].filter((from) => from.includes('token'))).to.not.be.empty;
      const found: string[] = [];
      let searched = '';
      const search = (text: string, where: string): void => {
        searched += text;
        for (const [secret, what] of secrets) if (text.includes(secret)) found.push(`${what} in ${where}`);
      };
      const searchDisk = (): void => {
        for (const path of filesBelow(plane.dataDir))
          if (/(\.log(\.\d+)?|\/(attempts|ends)\/[^/]*)$/.test(path))
            search(textOf(path), relative(plane.dataDir, path));
      };
      const work = (rest: string): Record<string, unknown> => ({
        env: { API_KEY: VALUE },
        source: { inline: `: ${SCRIPT}\n${rest}\n` },
      });
      await plane.create('waits', { ...work('sleep 987402'), timeout: '60s' });
      await plane.whenRun('waits', ({ status }) => status?.phase === 'Running');
      for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry)))
        search(textOf(`/proc/${pid}/cmdline`), `the command line of ${textOf(`/proc/${pid}/comm`).trim()}`);
      searchDisk();
      await plane.patchRun('waits', { spec: { cancelRequested: true } });
      await plane.create('fails', work('echo words >&2; exit 3'));
      await plane.create('is-over', { ...work('sleep 987402'), timeout: '1s' });
      await plane.create('is-missing', { ...work(''), entrypoint: 'no-such-file' });
      await plane.create('spoils', work('echo no-equals-sign > "$KRUNTIME_OUTPUTS"'));
      for (const name of ['waits', 'fails', 'is-over', 'is-missing', 'spoils'])
        search(JSON.stringify((await plane.end(name)).status), `the status of ${name}`);
      search(JSON.stringify((await answer(plane.kube.list(events, {}))).items), 'Events');
      searchDisk();
      expect(found).to.deep.equal([]);
      // It was looked at: what runtimed and the operator said of the Run.
      expect(searched).to.contain('attempt admitted').and.to.contain('command done');
    });

    it('lets nobody else read, write or reach what it has on disk', () => {
      expect(statSync(plane.dataDir).mode & 0o777).to.equal(0o700);
      const secrets = [...secretsOf(plane.dataDir).keys()].filter(
        (secret) => secret !== VALUE && secret !== SCRIPT,
      );
      const open = filesBelow(plane.dataDir).filter((path) => {
        if (!secrets.some((secret) => textOf(path).includes(secret))) return false;
        // A pod's token is for its group, behind folders that are closed.
        return (statSync(path).mode & 0o007) !== 0 && isReachable(join(plane.dataDir, 'pods'), path);
      });
      expect(open).to.deep.equal([]);
      const closed = ['kubeconfig', 'operator.kubeconfig', 'kubelet.kubeconfig', 'tokens.json', 'pki/ca.key'];
      for (const name of closed)
        expect((statSync(join(plane.dataDir, name)).mode & 0o077).toString(8), name).to.equal('0');
      const sockets = textOf('/proc/net/unix')
        .split('\n')
        .map((line) => line.slice(line.indexOf('/')))
        .filter((path) => path.startsWith(plane.dataDir));
      expect(sockets).to.not.be.empty;
      expect(sockets.filter((path) => isReachable('/', path))).to.deep.equal([]);
    });

    it('answers on TCP nobody who has not proved who they are, and no page of another site', async () => {
      const ports = [...new Set(portsOf(pidsOf(plane)))];
      // The API and the sessions; a new listener has to be thought about here.
      expect(ports).to.have.length(2);
      const server = /server: "?https:\/\/127\.0\.0\.1:(\d+)/.exec(textOf(plane.kubeconfig))?.[1];
      const api = Number(server);
      const token = /token: "?([^\s"]+)/.exec(textOf(plane.kubeconfig))?.[1] ?? '';
      expect(ports).to.include(api);
      const [sessions = 0] = ports.filter((port) => port !== api);
      const SECRETS = '/api/v1/namespaces/default/secrets';
      const bearer = { authorization: `Bearer ${token}` };
      expect(await get(api, SECRETS, bearer)).to.equal('200');
      const refused: ReadonlyArray<readonly [string, Readonly<Record<string, string>>?]> = [
        [SECRETS],
        ['/apis/kruntimes.io/v1alpha1/runs'],
        ['/api'],
        ['/openapi/v3'],
        ['/metrics'],
        ['/api/v1/namespaces/default/pods/x/log'],
        [SECRETS, { authorization: 'Bearer x' }],
        [SECRETS, { authorization: `Basic ${Buffer.from('admin:admin').toString('base64')}` }],
        [SECRETS, { 'x-remote-user': 'admin', 'x-remote-group': 'system:masters' }],
        [SECRETS, { 'impersonate-user': 'admin' }],
        [SECRETS, { ...bearer, host: 'rebound.example' }],
        [SECRETS, { ...bearer, host: `127.0.0.1.rebound.example:${api}` }],
        [SECRETS, { ...bearer, origin: 'https://page.example' }],
        [SECRETS, { ...bearer, origin: 'null' }],
      ];
      for (const [path, headers] of refused)
        expect(await get(api, path, headers), `${path} ${Object.keys(headers ?? {}).join()}`).to.match(
          /^40[13]$/,
        );
      for (const path of ['/healthz', '/livez', '/readyz', '/version'])
        expect(await get(api, path), path).to.equal('200');
      for (const port of ports) expect(await plain(port)).to.not.match(/^HTTP\/1\.1 2/);
      expect(await session(sessions, plane.dataDir)).to.equal('code 16');
      expect(await get(sessions, '/metrics')).to.not.match(/^2/);
    });

    it('opens no debugger to who signals its programs', async () => {
      const programs = pidsOf(plane).filter((pid) => textOf(`/proc/${pid}/cmdline`).includes('.js\0'));
      expect(programs.length).to.be.at.least(5);
      for (const pid of programs) process.kill(pid, 'SIGUSR1');
      // All of them have done something after it.
      await plane.create('after-signals', { source: { inline: 'true' } });
      expect((await plane.end('after-signals')).status?.phase).to.equal('Succeeded');
      expect(new Set(portsOf(programs)).size).to.equal(2);
    });
  });
