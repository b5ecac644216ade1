/** Reads a request's body within bounds, as JSON or YAML. */
import type { IncomingMessage } from 'node:http';
import * as yaml from 'js-yaml';

import { badRequest, tooLarge, unsupportedMediaType } from '../errors.js';
import type { Json } from '../json.js';
import { isObject } from '../json.js';
import { protobufType, readProtobuf } from './protobuf.js';

/** Largest body, bytes; as kube-apiserver's. */
export const maxBodyBytes = 3 * 1024 * 1024;

/** The whole body. Rejects with 413 when it is too large. */
export const readBody = (request: IncomingMessage): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBodyBytes) {
        chunks.length = 0;
        reject(tooLarge(maxBodyBytes));
        return;
      }
      chunks.push(chunk);
    });
    request.on('end', () =>
      resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.alloc(0)) : Buffer.concat(chunks)),
    );
    request.on('error', reject);
    request.on('aborted', () => reject(badRequest('the client went away before its request was complete')));
  });

/** Media types that are read as YAML. */
const isYaml = (contentType: string): boolean =>
  contentType === 'application/yaml' || contentType === 'application/apply-patch+yaml';

const isJson = (contentType: string): boolean =>
  contentType === '' || contentType === 'application/json' || contentType.endsWith('+json');

/** Nodes that aliases may add to those that stand in a YAML text, of which each takes a byte at least. */
const ALIASED_NODES = 10_000;

/** JSON of a YAML value: YAML knows dates, undefined and other keys than texts. `nodes`: how many it may still have. */
const plain = (value: unknown, budget: { nodes: number }): Json => {
  budget.nodes -= 1;
  if (budget.nodes < 0) throw new Error('its aliases make it many times larger than it is');
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((item) => plain(item, budget));
  if (typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner, budget)]));
  return String(value);
};

/** Deepest nesting of a body; deeper ones are refused before anything walks them. */
const maxDepth = 200;

/** Refuses what code that walks objects cannot be trusted with: depth without end, and the name of the prototype. */
const checkShape = (value: Json, depth = 0): void => {
  if (depth > maxDepth) throw badRequest(`the body is nested more than ${maxDepth} levels deep`);
  if (Array.isArray(value)) for (const item of value) checkShape(item, depth + 1);
  else if (isObject(value))
    for (const key of Object.keys(value)) {
      if (key === '__proto__')
        throw badRequest('the body has a field named __proto__, which is not served here');
      checkShape(value[key] ?? null, depth + 1);
    }
};

/** Parses a body by its media type. Throws 400 or 415. */
export const parseBody = (body: Buffer, contentType: string): Json => {
  const value = contentType === protobufType ? readProtobuf(body) : parseText(body, contentType);
  checkShape(value);
  return value;
};

/** What a parser says is wrong, without the part of the text that it shows: it may be anything, a secret too. */
const parserWords = (error: unknown): string =>
  (error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error))
    .replace(/(, )?(\.\.\.)?".*"(\.\.\.)?/s, '')
    .trim();

const parseText = (body: Buffer, contentType: string): Json => {
  if (!isJson(contentType) && !isYaml(contentType))
    throw unsupportedMediaType(['application/json', 'application/yaml']);
  const text = body.toString();
  try {
    return isYaml(contentType) && !text.trimStart().startsWith('{')
      ? plain(yaml.load(text), { nodes: text.length + ALIASED_NODES })
      : (JSON.parse(text) as Json);
  } catch (error) {
    const why = parserWords(error);
    throw badRequest(
      isYaml(contentType)
        ? `error decoding YAML: ${why}`
        : `couldn't get version/kind; json parse error: ${why}`,
    );
  }
};
