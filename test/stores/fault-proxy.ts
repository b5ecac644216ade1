/**
 * A proxy between a client and a store that can be told to misbehave: answers of its own, connections that break in the
 * middle of a body, no connections at all. What it is not told to spoil it hands through as it is.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import { type Observable, Subject } from 'rxjs';

/** What happens to one request. */
export type Fault =
  /** Answered by the proxy; the body is read and thrown away. */
  | Readonly<{ kind: 'Status'; status: number; body?: string }>
  /** The connection is reset after so many bytes of the request's body have gone through. */
  | Readonly<{ kind: 'Reset'; afterBytes: number }>;

/** Asked for each request; undefined: hand it through. */
export type Judge = (
  asked: Readonly<{ method: string; url: string; count: number; authorization: string | undefined }>,
) => Fault | undefined;

const reset = (request: IncomingMessage): void => {
  request.socket.resetAndDestroy();
};

/** Listens on loopback, on a port of its own that stays the same. */
export class FaultProxy {
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #judge: Judge = () => undefined;
  #count = 0;
  #port = 0;
  /** Requests that were handed through or spoilt, as `METHOD path`. */
  readonly seen: string[] = [];
  readonly #answeredSubject = new Subject<string>();
  /** Requests that the store has answered, as `STATUS METHOD path`. */
  readonly answered$: Observable<string> = this.#answeredSubject;
  /** Of resumable uploads to GCS, what the server has said that it has. */
  readonly #ranges = new Map<string, string>();
  /** Where the store is: `127.0.0.1`'s port. */
  target = 0;

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Opens the port; again after `close`. */
  async open(): Promise<void> {
    const server = createServer((incoming, outgoing) => this.#serve(incoming, outgoing));
    server.requestTimeout = 0;
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => undefined);
    });
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** The store is away: connections that are open break, new ones are refused. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (!server) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }

  /** From now on; without a judge nothing is spoilt. */
  spoil(judge: Judge = () => undefined): void {
    this.#judge = judge;
    this.#count = 0;
  }

  #serve(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = '', url = '' } = incoming;
    this.#count += 1;
    this.seen.push(`${method} ${url}`);
    const fault = this.#judge({
      method,
      url,
      count: this.#count,
      authorization: incoming.headers.authorization,
    });
    if (fault?.kind === 'Status') {
      incoming.resume().on('end', () => {
        outgoing.writeHead(fault.status, { 'content-type': 'text/plain' }).end(fault.body ?? '');
      });
      return;
    }
    const upload = /[?&]upload_id=([^&]+)/.exec(url)?.[1];
    // fake-gcs-server takes the question how far an upload is for its end.
    if (upload !== undefined && incoming.headers['content-range']?.startsWith('bytes */')) {
      const range = this.#ranges.get(upload);
      incoming.resume().on('end', () => outgoing.writeHead(308, range === undefined ? {} : { range }).end());
      return;
    }
    const onward = request(
      {
        host: '127.0.0.1',
        port: this.target,
        method,
        path: url,
        headers: incoming.rawHeaders.length > 0 ? headersOf(incoming.rawHeaders) : {},
        agent: false,
      },
      (answer) => {
        const { range } = answer.headers;
        if (upload !== undefined && typeof range === 'string') this.#ranges.set(upload, range);
        outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
        answer.pipe(outgoing);
        answer.on('end', () => this.#answeredSubject.next(`${answer.statusCode} ${method} ${url}`));
        answer.on('error', () => reset(incoming));
      },
    );
    onward.on('error', () => reset(incoming));
    outgoing.on('close', () => onward.destroy());
    if (fault) {
      let bytes = 0;
      incoming.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes < fault.afterBytes) return;
        onward.destroy();
        reset(incoming);
      });
    }
    incoming.pipe(onward);
  }
}

/** Raw headers with their case, several of a name together. */
const headersOf = (raw: ReadonlyArray<string>): Record<string, string | string[]> => {
  const headers: Record<string, string | string[]> = {};
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const [name = '', value = ''] = [raw[at], raw[at + 1]];
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
};
