/**
 * The API server under test: an embedded one of its own by default, or the cluster of `CONFORMANCE_KUBECONFIG`, whose
 * current context must have a token and the project's CRDs. A cluster without controllers (no garbage collection, no
 * namespace deletion) is told by `CONFORMANCE_CONTROLLERS=none`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as yaml from 'js-yaml';

import { startApiServer } from '../../src/embedded/api/server.js';

/** Anything that came as JSON; tests look into it freely and say what they expect. */
// biome-ignore lint/suspicious/noExplicitAny: the body of an answer is what these tests are about
export type Body = any;

/** An answer. */
export type Reply = Readonly<{ code: number; body: Body; headers: IncomingMessage['headers'] }>;

/** Options of one request. */
export type Options = Readonly<{
  type?: string;
  headers?: Readonly<Record<string, string>>;
  token?: string;
  /** Name the certificate is checked for, when the Host header is another one. */
  serverName?: string;
}>;

/** A watch: its events one by one. */
export type Watching = Readonly<{ next: () => Promise<Body>; stop: () => void }>;

/** The server under test. */
export type Target = Readonly<{
  url: string;
  token: string;
  caPem: string | undefined;
  isEmbedded: boolean;
  /** Whether garbage collection and namespace deletion work. */
  hasControllers: boolean;
  call: (method: string, path: string, body?: unknown, options?: Options) => Promise<Reply>;
  watch: (path: string) => Promise<Watching>;
  close: () => Promise<void>;
}>;

/** A client of any API server. */
export const connect = (
  url: string,
  token: string,
  caPem: string | undefined,
): Pick<Target, 'call' | 'watch' | 'close'> => {
  const agent = new Agent({
    keepAlive: true,
    ...(caPem === undefined ? { rejectUnauthorized: false } : { ca: caPem }),
  });
  const send = (method: string, path: string, body: unknown, options: Options): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
      const headers: Record<string, string> = {
        authorization: `Bearer ${options.token ?? token}`,
        accept: 'application/json',
        ...options.headers,
      };
      if (text !== undefined) headers['content-type'] = options.type ?? 'application/json';
      if (text !== undefined) headers['content-length'] = String(Buffer.byteLength(text));
      const request = httpsRequest(
        new URL(path, url),
        {
          method,
          agent,
          headers,
          ...(options.serverName === undefined ? {} : { servername: options.serverName }),
        },
        resolve,
      );
      request.on('error', reject);
      request.end(text);
    });
  const streams = new Set<IncomingMessage>();
  return {
    call: async (method, path, body, options = {}) => {
      const answer = await send(method, path, body, options);
      const chunks: Buffer[] = [];
      for await (const chunk of answer) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      const isJson = (answer.headers['content-type'] ?? '').includes('json');
      return {
        code: answer.statusCode ?? 0,
        body: isJson && text !== '' ? JSON.parse(text) : text,
        headers: answer.headers,
      };
    },
    watch: async (path) => {
      const stream = await send('GET', path, undefined, {});
      streams.add(stream);
      const lines = createInterface({ input: stream })[Symbol.asyncIterator]();
      return {
        next: async () => {
          const { value, done } = await lines.next();
          return done === true ? undefined : JSON.parse(value);
        },
        stop: () => {
          streams.delete(stream);
          stream.destroy();
        },
      };
    },
    close: async () => {
      for (const stream of streams) stream.destroy();
      agent.destroy();
    },
  };
};

const ofKubeconfig = (path: string): Target => {
  const config = yaml.load(readFileSync(path, 'utf8')) as Body;
  const context = config.contexts.find((item: Body) => item.name === config['current-context']).context;
  const {
    server,
    'certificate-authority': caFile,
    'certificate-authority-data': caData,
  } = config.clusters.find((item: Body) => item.name === context.cluster).cluster;
  const { token } = config.users.find((item: Body) => item.name === context.user).user;
  const caPem =
    caFile !== undefined
      ? readFileSync(caFile, 'utf8')
      : caData === undefined
        ? undefined
        : Buffer.from(caData, 'base64').toString();
  return {
    url: server,
    token,
    caPem,
    isEmbedded: false,
    hasControllers: process.env.CONFORMANCE_CONTROLLERS !== 'none',
    ...connect(server, token, caPem),
  };
};

/** The server under test; close it afterwards. */
export const openTarget = async (): Promise<Target> => {
  const kubeconfig = process.env.CONFORMANCE_KUBECONFIG;
  if (kubeconfig !== undefined) return ofKubeconfig(kubeconfig);
  const dataDir = mkdtempSync(join(tmpdir(), 'kruntimes-conformance-'));
  const server = await startApiServer({ dataDir });
  const client = connect(server.url, server.adminToken, server.caPem);
  return {
    url: server.url,
    token: server.adminToken,
    caPem: server.caPem,
    isEmbedded: true,
    hasControllers: true,
    ...client,
    close: async () => {
      await client.close();
      await server.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
};

/** A namespace of a test's own, with a default ServiceAccount. */
export const newNamespace = async (target: Target): Promise<string> => {
  const { body } = await target.call('POST', '/api/v1/namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { generateName: 'conf-' },
  });
  const name: string = body.metadata.name;
  // On a cluster without controllers nobody makes the account that every pod needs.
  await target.call('POST', `/api/v1/namespaces/${name}/serviceaccounts`, {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: 'default' },
  });
  return name;
};

/** A Run as a user would write it. */
export const aRun = (name: string, spec: object = {}, metadata: object = {}): Body => ({
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Run',
  metadata: { name, ...metadata },
  spec: { runtime: 'bash', args: ['echo hello'], ...spec },
});

/** A ConfigMap. */
export const aConfigMap = (
  name: string,
  data: Readonly<Record<string, string>> = {},
  metadata: object = {},
): Body => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});

/** A Pod that nobody runs. */
export const aPod = (name: string, spec: object = {}): Body => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: {
    containers: [{ name: 'main', image: 'none', env: [{ name: 'A', value: '1' }] }],
    automountServiceAccountToken: false,
    ...spec,
  },
});
