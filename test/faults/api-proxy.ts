/**
 * A proxy before the API server, with the API server's own certificate: what goes through it may be refused, lost,
 * late, repeated or broken off. Its faults are set by the test and last until they are cleared.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Agent, createServer, request } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';

/** What may be done to one call. */
export type Mishap =
  /** Answered by the proxy; the API server never hears of it. */
  | Readonly<{ kind: 'answer'; status: 409 | 429 | 500 | 503; retryAfterSeconds?: number }>
  /** The connection is reset before, or after, the API server has done it. */
  | Readonly<{ kind: 'reset'; when: 'before' | 'after' }>
  | Readonly<{ kind: 'delay'; ms: number }>
  /** Nothing is ever answered: a half-open connection. */
  | Readonly<{ kind: 'silence' }>
  /** The API server has done it, and half of what it answered is the whole answer. */
  | Readonly<{ kind: 'halve' }>
  /** Of a watch: each line is sent twice, or late, or half of it; it is broken off in the middle of one; it says 410. */
  | Readonly<{ kind: 'watch'; how: WatchMishap }>;
export type WatchMishap = 'repeat' | 'late' | 'halve' | 'cut' | 'gone';

/** A call as a fault sees it. */
export type Call = Readonly<{ method: string; path: string; isWatch: boolean; agent: string }>;
export type Rule = (call: Call) => Mishap | undefined;

export type ApiProxy = Readonly<{
  url: string;
  /** From now on; undefined: no more faults. Resets what is open, when asked to. */
  set: (rule: Rule | undefined) => void;
  /** Breaks off every connection through it. */
  breakOff: () => void;
  /** Calls that met with a fault. */
  hits: () => number;
  close: () => Promise<void>;
}>;

const GONE = {
  type: 'ERROR',
  object: {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    reason: 'Expired',
    code: 410,
    message: 'too old',
  },
};
const LATE_MS = 400;

const statusText = (code: number): string =>
  JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    code,
    message: 'a fault of the test',
  });

/** Who the API server is, and whom it is trusted by. */
export type ApiIdentity = Readonly<{ certFile: string; keyFile: string; caPem: string }>;

/** Starts it before the API server at `target`. */
export const startApiProxy = async (
  target: string,
  { certFile, keyFile, caPem }: ApiIdentity,
): Promise<ApiProxy> => {
  const { hostname, port } = new URL(target);
  const agent = new Agent({ keepAlive: true, ca: caPem });
  const sockets = new Set<Socket>();
  let rule: Rule | undefined;
  let hits = 0;

  const pipeWatch = (from: IncomingMessage, to: ServerResponse, how: WatchMishap) => {
    let held = '';
    const send = (text: string): void => {
      if (!to.destroyed) to.write(text);
    };
    if (how === 'gone') {
      to.end(`${JSON.stringify(GONE)}\n`);
      from.destroy();
      return;
    }
    from.on('data', (chunk: Buffer) => {
      held += chunk.toString();
      const lines = held.split('\n');
      held = lines.pop() ?? '';
      for (const line of lines) {
        if (how === 'repeat') send(`${line}\n${line}\n`);
        else if (how === 'halve') send(`${line.slice(0, line.length / 2)}\n`);
        else if (how === 'late') setTimeout(() => send(`${line}\n`), LATE_MS);
        else {
          send(line.slice(0, line.length / 2));
          setImmediate(() => to.socket?.destroy());
          from.destroy();
          return;
        }
      }
    });
    from.on('close', () => setTimeout(() => to.end(), how === 'late' ? LATE_MS + 50 : 0));
  };

  const forward = (incoming: IncomingMessage, answer: ServerResponse, mishap: Mishap | undefined): void => {
    const outgoing = request(
      {
        host: hostname,
        port,
        agent,
        method: incoming.method,
        path: incoming.url,
        headers: { ...incoming.headers, host: `${hostname}:${port}` },
      },
      (response) => {
        if (mishap?.kind === 'reset') {
          response.resume();
          response.on('end', () => answer.socket?.destroy());
          return;
        }
        if (mishap?.kind === 'halve') {
          const { 'content-length': _length, ...headers } = response.headers;
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('end', () => {
            const body = Buffer.concat(chunks);
            answer.writeHead(response.statusCode ?? 502, headers).end(body.subarray(0, body.length / 2));
          });
          return;
        }
        answer.writeHead(response.statusCode ?? 502, response.headers);
        answer.flushHeaders();
        if (mishap?.kind === 'watch') pipeWatch(response, answer, mishap.how);
        else response.pipe(answer);
        response.on('error', () => answer.destroy());
      },
    );
    outgoing.on('error', () => answer.socket?.destroy());
    answer.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  };

  const server = createServer(
    { cert: readFileSync(certFile), key: readFileSync(keyFile) },
    (incoming, answer) => {
      const path = incoming.url ?? '/';
      const isWatch = /[?&]watch=(1|true)/.test(path);
      const mishap = rule?.({
        method: incoming.method ?? 'GET',
        path,
        isWatch,
        agent: incoming.headers['user-agent'] ?? '',
      });
      if (mishap) hits += 1;
      switch (mishap?.kind) {
        case 'answer': {
          incoming.resume();
          const { status, retryAfterSeconds } = mishap;
          const headers = {
            'content-type': 'application/json',
            ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
          };
          answer.writeHead(status, headers).end(statusText(status));
          return;
        }
        case 'reset':
          if (mishap.when === 'after') forward(incoming, answer, mishap);
          else incoming.socket.destroy();
          return;
        case 'halve':
          forward(incoming, answer, isWatch ? { kind: 'watch', how: 'halve' } : mishap);
          return;
        case 'delay':
          setTimeout(() => forward(incoming, answer, mishap), mishap.ms);
          return;
        case 'silence':
          incoming.resume();
          return;
        default:
          forward(incoming, answer, isWatch ? mishap : undefined);
      }
    },
  );
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const breakOff = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set: (next) => {
      rule = next;
    },
    breakOff,
    hits: () => hits,
    close: async () => {
      breakOff();
      agent.destroy();
      server.close();
    },
  };
};
