/** git's own HTTP server (git http-backend, a CGI program) behind a TLS server of node on loopback. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { issueCertificate, type KeyPair } from '../../../src/io/session/certificates.js';

/** What is done before git gets the request; true when it was answered. */
export type Before = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

const backend = (): string =>
  join(execFileSync('git', ['--exec-path'], { encoding: 'utf8' }).trim(), 'git-http-backend');

/** Passes a request to the CGI program and its answer back. */
const serveCgi = (root: string, request: IncomingMessage, response: ServerResponse, isOld: boolean): void => {
  const url = new URL(request.url ?? '/', 'https://x');
  const protocol = request.headers['git-protocol'];
  const child = spawn(backend(), [], {
    env: {
      PATH: process.env.PATH ?? '',
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'safe.directory',
      GIT_CONFIG_VALUE_0: '*',
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? 'GET',
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      ...(request.headers['content-encoding'] === undefined
        ? {}
        : { HTTP_CONTENT_ENCODING: request.headers['content-encoding'] }),
      ...(protocol === undefined || isOld ? {} : { GIT_PROTOCOL: String(protocol) }),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  response.on('close', () => child.kill());
  let head = Buffer.alloc(0);
  const takeHead = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    child.stdout.off('data', takeHead);
    for (const line of head.subarray(0, end).toString().split('\r\n')) {
      const [name = '', value = ''] = line.split(/: (.*)/);
      if (name.toLowerCase() === 'status') response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', takeHead);
};

export class GitHttpServer {
  /** Paths of the requests, with their queries. */
  readonly requests: string[] = [];
  /** `Authorization` of each request that had one. */
  readonly authorizations: string[] = [];
  /** Bytes sent. */
  sent = 0;
  before: Before = () => false;
  /** An old one: protocol 0 alone, which gives out only what branches and tags point to. */
  isOld = false;

  private constructor(
    private readonly server: Server,
    /** PEM text of the CA that signed its certificate. */
    readonly ca: string,
  ) {}

  static async start(root: string, authority: KeyPair): Promise<GitHttpServer> {
    const { certificate, privateKey } = await issueCertificate(authority, ['localhost', '127.0.0.1']);
    const server = createServer({ cert: certificate, key: privateKey });
    const self = new GitHttpServer(server, authority.certificate);
    server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
      self.requests.push(request.url ?? '');
      if (request.headers.authorization !== undefined)
        self.authorizations.push(request.headers.authorization);
      response.on('close', () => {
        self.sent += response.socket?.bytesWritten ?? 0;
      });
      if (!(await self.before(request, response))) serveCgi(root, request, response, self.isOld);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return self;
  }

  /** `localhost:port`. */
  get host(): string {
    return `localhost:${(this.server.address() as AddressInfo).port}`;
  }

  url(repository: string): string {
    return `https://${this.host}/${repository}`;
  }

  /** Ends all connections. */
  dropAll(): void {
    this.server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

/** Wants this user and password. */
export const basicAuth =
  (user: string, password: string): Before =>
  ({ headers }, response) => {
    const wanted = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    if (headers.authorization === wanted) return false;
    response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    return true;
  };
