/** Sends answers: status line, warnings, compression of large ones, and of the largest no more than is read. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzip } from 'node:zlib';

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

/** Name and value in turn, all at once: node writes such a list as it is. */
const headerList = (
  warnings: readonly string[],
  headers: Readonly<Record<string, string>>,
  bytes: number,
): string[] => {
  const list = ['content-type', headers['content-type'] ?? 'application/json'];
  list.push('cache-control', 'no-cache, private');
  for (const name of Object.keys(headers)) if (name !== 'content-type') list.push(name, headers[name] ?? '');
  for (const text of warnings) list.push('warning', warningHeader(text));
  list.push('content-length', String(bytes));
  return list;
};

const wantsGzip = (request: IncomingMessage, bytes: number): boolean =>
  bytes >= gzipFromBytes && /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''));

/**
 * Sends a body that is JSON text in parts, which are not copied: with many of them in memory anyway, a client that does
 * not read costs nothing more.
 */
export const sendParts = (
  request: IncomingMessage,
  response: ServerResponse,
  parts: readonly Buffer[],
  warnings: readonly string[],
): void => {
  const bytes = parts.reduce((sum, { length }) => sum + length, 0);
  if (bytes < gzipFromBytes || wantsGzip(request, bytes) || request.method === 'HEAD') {
    sendJson(request, response, 200, Buffer.concat(parts), warnings);
    return;
  }
  response.writeHead(200, headerList(warnings, {}, bytes));
  const all = function* (): Generator<Buffer> {
    yield* parts;
    response.end();
  };
  response.once('close', writePaced(response, all()));
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
    const compressing = { ...headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' };
    response.writeHead(code, headerList(warnings, compressing, compressed.length));
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
