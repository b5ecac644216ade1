/**
 * An API server that plays one scenario: it expects requests in order and answers each as told, over real HTTPS.
 *
 * For adapter tests, which look at bytes, headers, connections and aborts. A request that was not expected is answered
 * with 500 and makes `finished()` reject, as does a scenario that does not come to its end in time.
 */
import { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

import type { Cluster } from '../../src/io/kube/cluster.js';

x509.cryptoProvider.set(webcrypto);

/** What came in. */
type Received = Readonly<{
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
  /** 0 for the first connection to the server, 1 for the second, ... */
  connection: number;
}>;

/** How a step answers; `breakOff` resets the connection. */
export type Answer = (response: ServerResponse, breakOff: () => void) => void;

/** One expected request. `url` may be the whole of it or a pattern. */
export type Step = Readonly<{ method: string; url: string | RegExp; answer: Answer }>;

export type Scenario = Readonly<{
  cluster: Cluster;
  /** All requests so far. */
  received: ReadonlyArray<Received>;
  /** Connections accepted so far. */
  connections: () => number;
  /** Resolves when the client has closed the request of this step (0-based) before it was answered in full. */
  aborted: (step: number) => Promise<void>;
  /** Resolves when every step has been asked for; rejects on a wrong request or after `limitMs`. */
  finished: (limitMs?: number) => Promise<void>;
  close: () => Promise<void>;
}>;

/** A JSON answer. */
export const json =
  (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };

/** A plain text answer. */
export const text =
  (status: number, body: string): Answer =>
  (response) => {
    response.writeHead(status, { 'content-type': 'text/plain' }).end(body);
  };

/** No answer, ever. */
export const silence: Answer = () => undefined;

/** The connection is reset before a byte of the answer. */
export const reset: Answer = (_response, breakOff) => {
  breakOff();
};

/** Lines of a watch, written as given (objects as JSON), and then the end, a reset, or nothing more. */
export const lines =
  (given: ReadonlyArray<unknown>, then: 'end' | 'reset' | 'stay' = 'stay'): Answer =>
  (response, breakOff) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const bytes = given.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join('');
    response.write(bytes, () => {
      if (then === 'reset') breakOff();
    });
    if (then === 'end') response.end();
  };

/** A Kubernetes Status. */
export const status = (code: number, reason: string, message: string, details: object = {}): unknown => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  reason,
  message,
  details,
});

/** A promise and the two ways to settle it. */
const settleable = <T>(): {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: Error) => void;
} => {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
};

let identity: Promise<Readonly<{ key: string; cert: string }>> | undefined;

/** A self-signed certificate for 127.0.0.1, made once per process. */
const selfSigned = async (): Promise<Readonly<{ key: string; cert: string }>> => {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=scenario',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
    extensions: [
      new x509.BasicConstraintsExtension(true),
      new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }]),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
    cert: certificate.toString('pem'),
  };
};

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
};

/** Starts a server that plays `steps`. */
export const playScenario = async (steps: ReadonlyArray<Step>): Promise<Scenario> => {
  identity ??= selfSigned();
  const { key, cert } = await identity;
  const received: Received[] = [];
  const sockets: Socket[] = [];
  const rawSockets = new Map<number | undefined, Socket>();
  const problems: string[] = [];
  const aborts = steps.map(() => settleable<void>());
  const end = settleable<void>();
  let next = 0;

  const play = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const index = next;
    next += 1;
    const step = steps[index];
    const { method = '', url = '' } = request;
    response.once('close', () => {
      if (!response.writableFinished) aborts[index]?.resolve();
    });
    const entry: Received = {
      method,
      url,
      headers: request.headers,
      body: await bodyOf(request),
      connection: sockets.indexOf(request.socket),
    };
    received.push(entry);
    const matches =
      step !== undefined &&
      step.method === method &&
      (typeof step.url === 'string' ? step.url === url : step.url.test(url));
    if (!matches) {
      const wanted = step === undefined ? 'nothing more' : `${step.method} ${step.url}`;
      problems.push(`request ${index} was ${method} ${url}, expected was ${wanted}`);
      end.reject(new Error(problems.join('; ')));
      response.writeHead(500).end('unexpected request');
      return;
    }
    step.answer(response, () => rawSockets.get(request.socket.remotePort)?.resetAndDestroy());
    if (next === steps.length && problems.length === 0) end.resolve();
  };

  const server: Server = createServer({ key, cert, keepAliveTimeout: 60_000 }, (request, response) => {
    play(request, response).catch(() => response.destroy());
  });
  // Only the socket below TLS can be reset; a client's port tells which one that is.
  server.on('connection', (socket: Socket) => rawSockets.set(socket.remotePort, socket));
  server.on('secureConnection', (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
  });
  end.promise.catch(() => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    cluster: {
      server: new URL(`https://127.0.0.1:${port}`),
      ca: cert,
      namespace: 'default',
      headers: () => Promise.resolve({ authorization: 'Bearer sesame' }),
    },
    received,
    connections: () => sockets.length,
    aborted: (step) => aborts[step]?.promise ?? Promise.reject(new Error(`there is no step ${step}`)),
    finished: async (limitMs = 60_000) => {
      const late = settleable<never>();
      const timer = setTimeout(
        () => late.reject(new Error(`the scenario stopped at step ${next} of ${steps.length}`)),
        limitMs,
      );
      await Promise.race([end.promise, late.promise]).finally(() => clearTimeout(timer));
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
};
