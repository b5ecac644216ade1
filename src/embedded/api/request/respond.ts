/** Sends answers: status line, warnings, compression of large ones, and of the largest no more than is read. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline, type Writable } from 'node:stream';
import { createGzip, gzip } from 'node:zlib';

import type { JsonObject } from '../json.js';
import { writePaced } from './paced.js';

/** Answers from this size on are compressed for clients that ask for it, bytes; as kube-apiserver's. */
const gzipFromBytes = 128 * 1024;

/** A warning's text as the header wants it: RFC 7234 quoted, bounded. */
const warningHeader = (text: string): string =>
  `299 - "${text
    .slice(0, 4096)
    .replace(/[\\"]/g, '\\$&')
    .replace(/[\r\n]+/g, ' ')
    .replace(/[^\x20-\x7e]/g, '?')}"`;

/** Name and value in turn, all at once: node writes such a list as it is. Without `bytes` the length is not told. */
const headerList = (
  warnings: readonly string[],
  headers: Readonly<Record<string, string>>,
  bytes?: number,
): string[] => {
  const list = ['content-type', headers['content-type'] ?? 'application/json'];
  list.push('cache-control', 'no-cache, private');
  for (const name of Object.keys(headers)) if (name !== 'content-type') list.push(name, headers[name] ?? '');
  for (const text of warnings) list.push('warning', warningHeader(text));
  if (bytes !== undefined) list.push('content-length', String(bytes));
  return list;
};

const COMPRESSED = { 'content-encoding': 'gzip', vary: 'Accept-Encoding' };

const wantsGzip = (request: IncomingMessage, bytes: number): boolean =>
  bytes >= gzipFromBytes && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));

/** Parts put together to about this size before they are written, bytes: a list has one for each object and comma. */
const PIECE_BYTES = 64 * 1024;

/** The parts in larger pieces; each is made when it is asked for. */
const piecesOf = function* (parts: Iterable<Buffer | string>): Generator<Buffer> {
  let gathered: Buffer[] = [];
  let bytes = 0;
  for (const part of parts) {
    const buffer = typeof part === 'string' ? Buffer.from(part) : part;
    gathered.push(buffer);
    bytes += buffer.length;
    if (bytes < PIECE_BYTES) continue;
    yield gathered.length === 1 ? buffer : Buffer.concat(gathered);
    gathered = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(gathered);
};

/** Takes pieces until these are large enough to be compressed. */
const beginningOf = (pieces: Iterator<Buffer>): Readonly<{ first: Buffer; isAll: boolean }> => {
  const taken: Buffer[] = [];
  for (let bytes = 0; bytes < gzipFromBytes; ) {
    const { done, value } = pieces.next();
    if (done) return { first: Buffer.concat(taken), isAll: true };
    taken.push(value);
    bytes += value.length;
  }
  return { first: Buffer.concat(taken), isAll: false };
};

/**
 * Sends a body that is JSON text in parts. A long one is made as fast as it is read, and compressed so: whatever its
 * length, a client that reads slowly, or never, has a quarter of a MiB of it waiting, and is cut off by and by.
 *
 * @param parts may be asked after this call; asked no further when the client has gone
 * @param stalledMs how long a client may take nothing; default 30 s
 */
export const sendParts = (
  request: IncomingMessage,
  response: ServerResponse,
  parts: Iterable<Buffer | string>,
  warnings: readonly string[],
  stalledMs?: number,
): void => {
  const pieces = piecesOf(parts);
  const { first, isAll } = beginningOf(pieces);
  if (isAll) {
    sendJson(request, response, 200, first, warnings);
    return;
  }
  if (request.method === 'HEAD') {
    response.writeHead(200, headerList(warnings, {})).end();
    return;
  }
  let sink: Writable = response;
  if (wantsGzip(request, first.length)) {
    response.writeHead(200, headerList(warnings, COMPRESSED));
    const zip = createGzip({ level: 1 });
    // Whichever of the two ends first takes the other with it.
    pipeline(zip, response, () => undefined);
    sink = zip;
  } else response.writeHead(200, headerList(warnings, {}));
  const all = function* (): Generator<Buffer> {
    yield first;
    yield* pieces;
    sink.end();
  };
  sink.once('close', writePaced(sink, all(), stalledMs));
};

/** Sends a body that is JSON text already. */
export const sendJson = (
  request: IncomingMessage,
  response: ServerResponse,
  code: number,
  body: Buffer,
  warnings: readonly string[] = [],
  headers: Readonly<Record<string, string>> = {},
): void => {
  if (!wantsGzip(request, body.length)) {
    response.writeHead(code, headerList(warnings, headers, body.length));
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  gzip(body, { level: 1 }, (error, compressed) => {
    if (error !== null) {
      response.destroy(error);
      return;
    }
    response.writeHead(code, headerList(warnings, { ...headers, ...COMPRESSED }, compressed.length));
    response.end(compressed);
  });
};

/** Sends an object. */
export const sendObject = (
  request: IncomingMessage,
  response: ServerResponse,
  code: number,
  object: JsonObject,
  warnings: readonly string[] = [],
  headers: Readonly<Record<string, string>> = {},
): void => sendJson(request, response, code, Buffer.from(JSON.stringify(object)), warnings, headers);
