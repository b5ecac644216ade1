/**
 * Artifacts in a bucket of Google Cloud Storage, or of an emulator of it.
 *
 * Uploads are resumable, in chunks, so that a connection that breaks costs one chunk; an object appears with its last
 * one. Sessions of uploads that never ended hold nothing visible and expire on Google's side.
 */
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { ApiError, IdempotencyStrategy, Storage } from '@google-cloud/storage';

import { keyProblem } from '../../decide/artifacts/keys.js';
import { type ArtifactStore, type StoredKey, StoreError, type StoreErrorKind } from './store.js';

/** Bytes of a chunk, which is kept in memory until it has arrived. A multiple of 256 KiB, as the protocol wants. */
const CHUNK_BYTES = 8 * 1024 * 1024;

export type GcsOptions = Readonly<{
  bucket: string;
  prefix?: string;
  /** Instead of Google's. Without credentials nothing is sent that would prove who we are. */
  endpoint?: string;
  /** Folder with the file key.json; without it the environment's identity (workload identity) is used. */
  credentialsFolder?: string;
  /** Tries of one request after the first, and seconds for them; for tests of failures. */
  retries?: number;
  retrySeconds?: number;
}>;

const statusOf = (cause: unknown): number => {
  if (typeof cause !== 'object' || cause === null) return 0;
  // The library's own errors have a code, those of its transport a status.
  for (const value of ['code' in cause ? cause.code : '', 'status' in cause ? cause.status : ''])
    if (typeof value === 'number' || /^\d{3}$/.test(String(value))) return Number(value);
  return 0;
};

const kindOf = (cause: unknown, what: 'object' | 'bucket'): StoreErrorKind => {
  const status = statusOf(cause);
  if (status === 404) return what === 'object' ? 'NotFound' : 'Refused';
  if (status >= 500 || status === 429 || status === 408) return 'Unavailable';
  if (status >= 400) return 'Refused';
  const text = cause instanceof Error ? cause.message : '';
  const isOfCredentials =
    /credential|invalid_grant|private[_ ]key|client_email|DECODER|JSON|ENOENT/i.test(text) &&
    !/ECONN|ETIMEDOUT|EAI_AGAIN/.test(text);
  return isOfCredentials ? 'Refused' : 'Unavailable';
};

/** The bucket as a store. */
export const gcsStore = ({
  bucket: bucketName,
  prefix = '',
  endpoint,
  credentialsFolder,
  retries = 3,
  retrySeconds = 60,
}: GcsOptions): ArtifactStore => {
  const base = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
  const name = `gs://${bucketName}/${base}`.replace(/\/$/, '');
  const storage = new Storage({
    ...(endpoint === undefined ? {} : { apiEndpoint: endpoint, projectId: 'none' }),
    ...(credentialsFolder === undefined ? {} : { keyFilename: join(credentialsFolder, 'key.json') }),
    ...(endpoint !== undefined && credentialsFolder !== undefined ? { useAuthWithCustomEndpoint: true } : {}),
    retryOptions: {
      autoRetry: retries > 0,
      maxRetries: retries,
      totalTimeout: retrySeconds,
      // An object is written whole under a key of its own: once more does no harm.
      idempotencyStrategy: IdempotencyStrategy.RetryAlways,
    },
  });
  const bucket = storage.bucket(bucketName);

  const failure = (what: string, cause: unknown, of: 'object' | 'bucket' = 'bucket'): StoreError => {
    if (cause instanceof StoreError) return cause;
    const status = statusOf(cause);
    const told = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    // Whoever knows the session of an upload may write to it.
    const text = told.replace(/upload_id=[^&\s]+/g, 'upload_id=…');
    return new StoreError(
      kindOf(cause, of),
      `${what} in ${name}: ${status > 0 ? `${status} ` : ''}${text}`,
      cause instanceof ApiError ? undefined : cause,
    );
  };
  const checked = (key: string): string => {
    const problem = key.startsWith('/') ? 'begins with a slash' : keyProblem(key);
    if (problem) throw new StoreError('Refused', `key ${JSON.stringify(key)} ${problem}`);
    return base + key;
  };

  const list = async function* (below: string, prefixed = checked(below)): AsyncGenerator<StoredKey> {
    let pageToken: string | undefined;
    do {
      try {
        const [files, next] = await bucket.getFiles({
          prefix: prefixed,
          autoPaginate: false,
          ...(pageToken === undefined ? {} : { pageToken }),
        });
        for (const file of files)
          yield {
            key: file.name.slice(base.length),
            sizeBytes: Number(file.metadata.size ?? 0),
            modifiedMs: Date.parse(file.metadata.updated ?? '') || Date.now(),
          };
        pageToken =
          next && 'pageToken' in next && typeof next.pageToken === 'string' ? next.pageToken : undefined;
      } catch (cause) {
        throw failure(`${below} cannot be listed`, cause);
      }
    } while (pageToken !== undefined);
  };

  return {
    driver: 'gcs',
    name,
    write: async (key, bytes, { contentType, signal }) => {
      const file = bucket.file(checked(key));
      let hasBegun = false;
      try {
        if (endpoint !== undefined && credentialsFolder !== undefined) {
          // The library sends no credentials along with an upload to another endpoint than Google's, whatever it is told.
          const authorization = await storage.authClient.getRequestHeaders();
          file.interceptors.push({
            // Its types want a uri, which uploads do not have.
            request: (options) => ({
              uri: '',
              ...options,
              headers: { ...options.headers, ...authorization },
            }),
          });
        }
        const upload = file.createWriteStream({
          resumable: true,
          chunkSize: CHUNK_BYTES,
          contentType,
          validation: 'crc32c',
        });
        upload.once('uri', () => {
          hasBegun = true;
        });
        await pipeline(Readable.from(bytes, { objectMode: false }), upload, signal ? { signal } : {});
      } catch (cause) {
        const status = statusOf(cause);
        // Not the bucket is missing but the session: it has expired or was lost, and the whole is to be sent again.
        if (hasBegun && (status === 404 || status === 410))
          throw new StoreError(
            'Unavailable',
            `${key} cannot be stored in ${name}: its upload was lost`,
            cause,
          );
        throw failure(`${key} cannot be stored`, cause);
      }
      return `${name}/${key}`;
    },
    read: (key, fromByte) =>
      new Promise<Readable>((resolve, reject) => {
        const stream = bucket
          .file(checked(key))
          .createReadStream({ start: fromByte, validation: false, decompress: false });
        // A refusal is told as a response first, and then as an error.
        stream.once('response', ({ statusCode = 0 }: Readonly<{ statusCode?: number }>) => {
          if (statusCode < 300) resolve(stream);
        });
        stream.once('error', (cause) => {
          if (statusOf(cause) === 416) resolve(Readable.from([]));
          else reject(failure(`${key} cannot be read`, cause, 'object'));
        });
        // Without a reader it does not begin; it stops again at once until somebody takes it.
        stream.pause();
        stream.read(0);
      }),
    list: (below) => list(below),
    listNamespace: (namespace) => list(`${namespace}/`, `${base}${namespace}/`),
    remove: async (below) => {
      for await (const { key } of list(below))
        try {
          await bucket.file(base + key).delete({ ignoreNotFound: true });
        } catch (cause) {
          throw failure(`${key} cannot be removed`, cause, 'object');
        }
    },
    sweep: async () => undefined,
  };
};
