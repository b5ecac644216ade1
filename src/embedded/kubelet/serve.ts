/**
 * The kubelet's own API, on a unix socket that only its owner reaches: container logs and port-forward, which the
 * API server hands on to kubectl and krt, and /healthz for the supervisor.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import * as E from 'fp-ts/lib/Either.js';

import { readLog } from './log-read.js';
import type { PodWorker } from './pod-worker.js';

export type KubeletApi = Readonly<{ close: () => Promise<void> }>;

export type FindPod = (namespace: string, name: string) => PodWorker | undefined;

const refuse = (response: ServerResponse, status: number, message: string): void => {
  response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(`${message}\n`);
};

const isTrue = (value: string | null): boolean => value === 'true' || value === '1' || value === '';

/** A whole number >= 0, undefined where absent; a Left names the parameter. */
const wholeNumber = (query: URLSearchParams, name: string): E.Either<string, number | undefined> => {
  const text = query.get(name);
  if (text === null || text === '') return E.right(undefined);
  return /^\d{1,15}$/.test(text) ? E.right(Number(text)) : E.left(`${name} must be a whole number`);
};

const serveLogs = async (
  find: FindPod,
  [namespace = '', name = '', container = '']: ReadonlyArray<string>,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> => {
  const worker = find(namespace, name);
  if (worker === undefined)
    return refuse(response, 404, `pod ${namespace}/${name} does not run on this node`);
  const source = worker.logOf(container, isTrue(query.get('previous') ?? 'false'));
  if (E.isLeft(source)) return refuse(response, 400, source.left);
  const tailLines = wholeNumber(query, 'tailLines');
  const limitBytes = wholeNumber(query, 'limitBytes');
  const sinceSeconds = wholeNumber(query, 'sinceSeconds');
  if (E.isLeft(tailLines) || E.isLeft(limitBytes) || E.isLeft(sinceSeconds)) {
    const wrong = [tailLines, limitBytes, sinceSeconds].flatMap((one) => (E.isLeft(one) ? [one.left] : []));
    refuse(response, 400, wrong.join('; '));
    return;
  }
  const sinceTime = Date.parse(query.get('sinceTime') ?? '');
  const sinceMs =
    sinceSeconds.right !== undefined
      ? Date.now() - sinceSeconds.right * 1000
      : Number.isNaN(sinceTime)
        ? undefined
        : sinceTime;
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.flushHeaders();
  const text = readLog(
    source.right.path,
    isTrue(query.get('follow') ?? 'false') ? source.right.live : undefined,
    {
      timestamps: isTrue(query.get('timestamps') ?? 'false'),
      ...(tailLines.right === undefined ? {} : { tailLines: tailLines.right }),
      ...(limitBytes.right === undefined ? {} : { limitBytes: limitBytes.right }),
      ...(sinceMs === undefined ? {} : { sinceMs }),
    },
    gone.signal,
  );
  await pipeline(Readable.from(text), response);
};

const segments = (url: URL): ReadonlyArray<string> =>
  url.pathname.split('/').slice(1).map(decodeURIComponent);

const parse = (request: IncomingMessage): URL | undefined => {
  const text = `http://kubelet${request.url ?? '/'}`;
  return URL.canParse(text) ? new URL(text) : undefined;
};

const answer = async (find: FindPod, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const url = parse(request);
  if (url === undefined || request.method !== 'GET') {
    refuse(response, 400, 'only GET of a path');
    return;
  }
  const [what, ...rest] = segments(url);
  if (what === 'healthz') {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end('ok');
    return;
  }
  if (what === 'containerLogs' && rest.length === 3) return serveLogs(find, rest, url.searchParams, response);
  refuse(response, 404, `no ${url.pathname} here`);
};

/** `GET /portForward/<namespace>/<pod>/<port>` with `Upgrade: tcp`: 101, then the bytes of the connection. */
const forward = (find: FindPod, request: IncomingMessage, socket: Socket, head: Buffer): void => {
  const refuseRaw = (status: string, message: string): void => {
    const text = `${message}\n`;
    socket.end(
      `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
    );
  };
  socket.on('error', () => socket.destroy());
  const url = parse(request);
  const [what, namespace = '', name = '', portText = ''] = url === undefined ? [] : segments(url);
  const port = Number(portText);
  if (what !== 'portForward' || !Number.isInteger(port) || port < 1 || port > 65_535) {
    refuseRaw('404 Not Found', 'no such thing to upgrade to');
    return;
  }
  const worker = find(namespace, name);
  if (worker === undefined) {
    refuseRaw('404 Not Found', `pod ${namespace}/${name} does not run on this node`);
    return;
  }
  const address = worker.address(port);
  const upstream = 'path' in address ? connect(address.path) : connect(address.port, address.host);
  upstream.once('error', (error) => {
    if (!isOpen)
      refuseRaw(
        '502 Bad Gateway',
        `pod ${namespace}/${name} does not listen on port ${port}: ${error.message}`,
      );
    else socket.destroy();
  });
  let isOpen = false;
  upstream.once('connect', () => {
    isOpen = true;
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n');
    if (head.length > 0) upstream.write(head);
    socket.pipe(upstream).pipe(socket);
  });
  upstream.on('close', () => socket.destroySoon());
  socket.on('close', () => upstream.destroy());
};

const listen = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });

/** Serves at `path`, replacing a socket that an earlier life left there. */
export const serveKubeletApi = async (path: string, find: FindPod): Promise<KubeletApi> => {
  const open = new Set<Socket>();
  const server = createServer((request, response) => {
    answer(find, request, response).catch((error: unknown) => {
      if (!response.headersSent)
        refuse(response, 500, error instanceof Error ? error.message : String(error));
      else response.destroy();
    });
  });
  // What is upgraded is a plain connection for node's HTTP server to forget, but not for us.
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
    forward(find, request, socket, head),
  );
  rmSync(path, { force: true });
  await listen(server, path);
  chmodSync(path, 0o600);
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
};
