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

/** JSON of a YAML value: YAML knows dates, undefined and other keys than texts. */
const plain = (value: unknown): Json => {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return value;
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
  return String(value);
};

/** Deepest nesting of a body; deeper ones are refused before anything walks them. */
const maxDepth = 200;

const checkDepth = (value: Json, depth = 0): void => {
  if (depth > maxDepth) throw badRequest(`the body is nested more than ${maxDepth} levels deep`);
  if (Array.isArray(value)) for (const item of value) checkDepth(item, depth + 1);
  else if (isObject(value)) for (const key of Object.keys(value)) checkDepth(value[key] ?? null, depth + 1);
};

/** Parses a body by its media type. Throws 400 or 415. */
export const parseBody = (body: Buffer, contentType: string): Json => {
  if (contentType === protobufType) return readProtobuf(body);
  if (!isJson(contentType) && !isYaml(contentType))
    throw unsupportedMediaType(['application/json', 'application/yaml']);
  const text = body.toString();
  let value: Json;
  try {
    value =
      isYaml(contentType) && !text.trimStart().startsWith('{')
        ? plain(yaml.load(text))
        : (JSON.parse(text) as Json);
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw badRequest(
      isYaml(contentType)
        ? `error decoding YAML: ${why}`
        : `couldn't get version/kind; json parse error: ${why}`,
    );
  }
  checkDepth(value);
  return value;
};
