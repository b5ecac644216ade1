/**
 * Artifacts in a bucket of S3, or of a service that speaks its protocol.
 *
 * What is larger than a part goes up in parts, two in memory at a time; an object appears when the last part is
 * there. Rests of uploads that never ended cost money until they are aborted: `sweep` does it for those a day old whose
 * keys are such as we write, because others may use the bucket as well.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';

import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { isKeyOfRun, keyProblem } from '../../decide/artifacts/keys.js';
import { type ArtifactStore, type StoredKey, StoreError, type StoreErrorKind } from './store.js';

/** Bytes of a part; with 10,000 parts at most, the largest object has 80 GB. */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 2;
const ABANDONED_MS = 24 * 3600 * 1000;
/** Credentials are read anew this often, so that a rotated Secret is noticed. */
const CREDENTIALS_MS = 300_000;
/** Silence on a connection, milliseconds. */
const SILENCE_MS = 30_000;

export type S3Options = Readonly<{
  bucket: string;
  prefix?: string;
  region?: string;
  endpoint?: string;
  forcePathStyle?: boolean;
  /** Folder with the files accessKeyID and secretAccessKey; without it the environment's identity is used. */
  credentialsFolder?: string;
  /** Tries of one request, for tests of failures. */
  maxAttempts?: number;
  now?: () => number;
}>;

const Answered = t.type({ $metadata: t.partial({ httpStatusCode: t.number }) });

const credentialsFrom = (folder: string) => async () => {
  const [id, secret] = await Promise.all(
    ['accessKeyID', 'secretAccessKey'].map(async (file) => {
      const text = await readFile(join(folder, file), 'utf8').catch((cause: unknown) => {
        throw new StoreError(
          'Refused',
          `the Secret with its credentials is not there or has no key ${file}`,
          cause,
        );
      });
      return text.trim();
    }),
  );
  return {
    accessKeyId: id ?? '',
    secretAccessKey: secret ?? '',
    expiration: new Date(Date.now() + CREDENTIALS_MS),
  };
};

/** Status of the answer, also of one that could not be understood; 0 where there was none. */
const statusOf = (cause: unknown): number => {
  const read = Answered.decode(cause);
  return E.isRight(read) ? (read.right.$metadata.httpStatusCode ?? 0) : 0;
};

const kindOf = (cause: unknown): StoreErrorKind => {
  if (!(cause instanceof Error)) return 'Unavailable';
  const status = statusOf(cause);
  if (cause.name === 'NoSuchKey' || cause.name === 'NoSuchUpload') return 'NotFound';
  if (cause.name === 'CredentialsProviderError') return 'Refused';
  if ('code' in cause && cause.code === 'ENOENT') return 'Refused';
  if (status >= 500 || status === 429 || status === 408 || status === 0) return 'Unavailable';
  return 'Refused';
};

/** The bucket as a store. */
export const s3Store = ({
  bucket,
  prefix = '',
  region = 'us-east-1',
  endpoint,
  forcePathStyle = false,
  credentialsFolder,
  maxAttempts = 3,
  now = Date.now,
}: S3Options): ArtifactStore => {
  const base = prefix === '' ? '' : `${prefix.replace(/\/+$/, '')}/`;
  const name = `s3://${bucket}/${base}`.replace(/\/$/, '');
  const client = new S3Client({
    region,
    forcePathStyle,
    maxAttempts,
    // What S3 itself does not need, others do not always have.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: 5_000, socketTimeout: SILENCE_MS },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentialsFolder === undefined ? {} : { credentials: credentialsFrom(credentialsFolder) }),
  });

  const failure = (what: string, cause: unknown): StoreError => {
    if (cause instanceof StoreError) return cause;
    const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    return new StoreError(kindOf(cause), `${what} in ${name}: ${why}`, cause);
  };
  const told = async <A>(what: string, call: Promise<A>): Promise<A> =>
    call.catch((cause: unknown) => {
      throw failure(what, cause);
    });
  const checked = (key: string): string => {
    const problem = key.startsWith('/') ? 'begins with a slash' : keyProblem(key);
    if (problem) throw new StoreError('Refused', `key ${JSON.stringify(key)} ${problem}`);
    return base + key;
  };

  const list = async function* (below: string, Prefix = checked(below)): AsyncGenerator<StoredKey> {
    let token: string | undefined;
    do {
      const page = await told(
        `${below} cannot be listed`,
        client.send(
          new ListObjectsV2Command({
            Bucket: bucket,
            Prefix,
            ...(token === undefined ? {} : { ContinuationToken: token }),
          }),
        ),
      );
      for (const { Key, Size, LastModified } of page.Contents ?? [])
        if (Key !== undefined)
          yield {
            key: Key.slice(base.length),
            sizeBytes: Size ?? 0,
            modifiedMs: LastModified?.getTime() ?? Date.now(),
          };
      token = page.NextContinuationToken;
    } while (token !== undefined);
  };

  /** Ends the uploads below a prefix of the bucket that have not ended and are to go, by their key and when they began. */
  const abortUploads = async (
    Prefix: string,
    isToGo: (key: string, begunMs: number | undefined) => boolean,
  ): Promise<void> => {
    let marker: Readonly<{ KeyMarker?: string; UploadIdMarker?: string }> | undefined = {};
    while (marker) {
      const page: ListMultipartUploadsCommandOutput = await told(
        'unfinished uploads cannot be listed',
        client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix, ...marker })),
      );
      for (const { Key, UploadId, Initiated } of page.Uploads ?? [])
        if (isToGo((Key ?? '').slice(base.length), Initiated?.getTime()))
          await told(
            'an unfinished upload cannot be removed',
            client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId })),
          ).catch((error: unknown) => {
            // It has ended by itself.
            if (!(error instanceof StoreError && error.kind === 'NotFound')) throw error;
          });
      const { NextKeyMarker, NextUploadIdMarker } = page;
      marker =
        page.IsTruncated && NextKeyMarker !== undefined
          ? {
              KeyMarker: NextKeyMarker,
              ...(NextUploadIdMarker === undefined ? {} : { UploadIdMarker: NextUploadIdMarker }),
            }
          : undefined;
    }
  };

  return {
    driver: 's3',
    name,
    write: async (key, bytes, { contentType, signal }) => {
      const Key = checked(key);
      const upload = new Upload({
        client,
        params: {
          Bucket: bucket,
          Key,
          Body: Readable.from(bytes, { objectMode: false }),
          ContentType: contentType,
        },
        partSize: PART_BYTES,
        queueSize: PARTS_AT_ONCE,
      });
      const stop = (): void => {
        upload.abort().catch(() => undefined);
      };
      signal?.addEventListener('abort', stop, { once: true });
      try {
        signal?.throwIfAborted();
        await upload.done();
      } catch (cause) {
        throw failure(`${key} cannot be stored`, cause);
      } finally {
        signal?.removeEventListener('abort', stop);
      }
      return `${name}/${key}`;
    },
    read: async (key, fromByte) => {
      const call = client.send(
        new GetObjectCommand({
          Bucket: bucket,
          Key: checked(key),
          ...(fromByte === 0 ? {} : { Range: `bytes=${fromByte}-` }),
        }),
      );
      try {
        const { Body } = await call;
        return Body instanceof Readable ? Body : Readable.from([]);
      } catch (cause) {
        // Nothing is left from there on.
        if (statusOf(cause) === 416) return Readable.from([]);
        throw failure(`${key} cannot be read`, cause);
      }
    },
    list: (below) => list(below),
    listNamespace: (namespace) => list(`${namespace}/`, `${base}${namespace}/`),
    remove: async (below) => {
      for await (const { key } of list(below))
        await told(
          `${key} cannot be removed`,
          client.send(new DeleteObjectCommand({ Bucket: bucket, Key: base + key })),
        );
      await abortUploads(checked(below), () => true);
    },
    sweep: () => {
      const beforeMs = now() - ABANDONED_MS;
      return abortUploads(base, (key, begunMs = beforeMs) => begunMs < beforeMs && isKeyOfRun(key));
    },
  };
};
