/**
 * A small HTTP server on an address, for probes and metrics. What a web page may make a browser send is refused: requests
 * with an Origin, and on loopback those that ask for another host (a name that a foreign DNS server says is ours).
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

import { isIPv4 } from 'node:net';

import { type Address, listen } from './address.js';

/** Something that listens. */
export type Listener = Readonly<{
  /** Where, with the port it really got. */
  address: Address;
  /** Takes no more requests, lets those that run end within a second, and frees the address. */
  close: () => Promise<void>;
}>;

/** One path's answer. */
export type Page = () => Promise<Readonly<{ status: number; type: string; body: string }>>;

const CLOSE_MS = 1000;

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));

/** Why the request is not from a program that knows whom it asks; undefined when it is. */
const strangeness = (address: Address, { headers }: IncomingMessage): string | undefined => {
  if (headers.origin !== undefined) return 'requests from web pages (with an Origin header) are refused';
  const host = (headers.host ?? '')
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return address.kind === 'Tcp' && isLoopback(address.host) && host !== '' && !isLoopback(host)
    ? 'this host is not served here; use 127.0.0.1 or localhost'
    : undefined;
};

/**
 * Serves GET and HEAD of `pages` by path; all else is 404 or 405.
 *
 * @throws Error when the address cannot be bound.
 */
export const servePages = async (
  address: Address,
  pages: Readonly<Record<string, Page>>,
): Promise<Listener> => {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const say = (status: number, type: string, body: string): void => {
      response
        .writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
        .end(body);
    };
    const why = strangeness(address, request);
    if (why !== undefined) return say(403, 'text/plain', `${why}\n`);
    const [pathname = '/'] = (request.url ?? '/').split('?');
    const page = Object.hasOwn(pages, pathname) ? pages[pathname] : undefined;
    if (page === undefined)
      return say(404, 'text/plain', `not here; there are ${Object.keys(pages).join(', ')}\n`);
    if (request.method !== 'GET' && request.method !== 'HEAD') return say(405, 'text/plain', 'only GET\n');
    const { status, type, body } = await page();
    say(status, type, body);
  };
  const server = createServer((request, response) => {
    request.resume();
    answer(request, response).catch((error: unknown) => {
      const body = `${error instanceof Error ? error.message : String(error)}\n`;
      if (response.headersSent) response.destroy();
      else response.writeHead(500, { 'content-type': 'text/plain' }).end(body);
    });
  });
  const bound = await listen(server, address);
  return {
    address: bound,
    close: () =>
      new Promise((resolve) => {
        const limit = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
        server.close(() => {
          clearTimeout(limit);
          resolve();
        });
        server.closeIdleConnections();
      }),
  };
};
