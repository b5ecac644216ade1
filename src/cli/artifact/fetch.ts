/**
 * Fetches one artifact into a file: beside it first (`NAME.part`), taken up where an earlier fetch ended, put in its
 * place when its digest is right. Of what a failed attempt left no digest is known, nor whether it is an archive of a
 * directory: such a one is always fetched from its beginning, and looked at before it gets its name.
 *
 * The name comes from the cluster and is not trusted: it is one segment below the target folder or nothing, and no
 * link is followed.
 */
import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { nameProblem, shownName } from '../../decide/artifacts/rules.js';
import { errorCode } from '../../io/error-code.js';
import type { ArtifactRef } from '../../model/run.js';
import { Failure } from '../failure.js';
import { isArchiveOf } from './archive.js';

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;

/** What is to be fetched: a reference of the status, or what the store has of an attempt that it does not refer to. */
export type Wanted = Readonly<{
  name: string;
  type: ArtifactRef['type'] | 'unknown';
  location: string;
  sizeBytes?: number;
  digest?: string;
}>;

/** The bytes from one on, as they come. */
export type ReadFrom = (fromByte: number) => AsyncIterable<Uint8Array>;

export type FetchOptions = Readonly<{
  directory: string;
  /** Told of the bytes that are there. */
  onBytes: (bytes: number) => void;
}>;

/** Names of an artifact's file, one of which it will have: a directory is stored as an archive. Errors: Failure for a name that leads elsewhere. */
export const fileNames = ({ name, type }: Wanted): readonly [string, ...string[]] => {
  const problem = nameProblem(name);
  if (problem)
    throw new Failure('Error', `artifact ${shownName(name)} ${problem}; it is not written to a file`);
  const archive = `${name}.tar.gz`;
  return type === 'unknown' ? [name, archive] : [type === 'directory' ? archive : name];
};

const hashFile = async (file: FileHandle, hash: Hash): Promise<number> => {
  const buffer = Buffer.alloc(1024 * 1024);
  let length = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, length);
    if (bytesRead === 0) return length;
    hash.update(buffer.subarray(0, bytesRead));
    length += bytesRead;
  }
};

/** Digest of a file that is there, undefined where there is none. */
const digestOf = async (path: string): Promise<string | undefined> => {
  if (!(await lstat(path).catch(() => undefined))?.isFile()) return undefined;
  const file = await open(path, constants.O_RDONLY | O_NOFOLLOW);
  try {
    const hash = createHash('sha256');
    await hashFile(file, hash);
    return `sha256:${hash.digest('hex')}`;
  } finally {
    await file.close();
  }
};

const notWritten = (path: string, cause: unknown): Failure => {
  const code = errorCode(cause);
  const why = code === 'ELOOP' ? 'it is a symbolic link' : code === 'EISDIR' ? 'it is a folder' : code;
  return new Failure('Error', `cannot write ${path}: ${why}`, { hint: 'choose another folder with -d' });
};

class TooLong extends Failure {}

const tooLong = ({ name, sizeBytes }: Wanted): TooLong =>
  new TooLong(
    'Error',
    `artifact ${shownName(name)} is not what the Run stored: more came than ${sizeBytes} bytes`,
    {
      hint: 'look at what is in the store',
    },
  );

/** Fetches it; the path it is at. `read` may throw: what has come is kept for the next time. */
export const fetchArtifact = async (
  ref: Wanted,
  read: ReadFrom,
  { directory, onBytes }: FetchOptions,
): Promise<string> => {
  const [first, second = first] = fileNames(ref);
  const path = join(directory, first);
  const part = `${path}.part`;
  await mkdir(directory, { recursive: true }).catch((cause: unknown) => {
    throw notWritten(directory, cause);
  });
  if (ref.digest !== undefined && (await digestOf(path)) === ref.digest) {
    onBytes(ref.sizeBytes ?? 0);
    return path;
  }
  const file = await open(part, O_RDWR | O_CREAT | O_NOFOLLOW, 0o666).catch((cause: unknown) => {
    throw notWritten(part, cause);
  });
  let digest: string;
  let length: number;
  try {
    let hash = createHash('sha256');
    length = await hashFile(file, hash);
    if (ref.digest === undefined || (ref.sizeBytes !== undefined && length > ref.sizeBytes)) {
      // Of something else, or perhaps so.
      await file.truncate(0);
      hash = createHash('sha256');
      length = 0;
    }
    onBytes(length);
    if (length !== ref.sizeBytes)
      for await (const bytes of read(length)) {
        // An end that never comes would fill the disk.
        if (ref.sizeBytes !== undefined && length + bytes.length > ref.sizeBytes) throw tooLong(ref);
        hash.update(bytes);
        await file.write(bytes, 0, bytes.length, length).catch((cause: unknown) => {
          throw notWritten(part, cause);
        });
        length += bytes.length;
        onBytes(length);
      }
    digest = `sha256:${hash.digest('hex')}`;
    await file.sync();
  } catch (cause) {
    // What has come of something else is of no use for the next time.
    if (cause instanceof TooLong || ref.digest === undefined) await rm(part, { force: true });
    throw cause;
  } finally {
    await file.close();
  }
  if (ref.digest !== undefined && digest !== ref.digest) {
    await rm(part, { force: true });
    throw new Failure(
      'Error',
      `artifact ${shownName(ref.name)} came damaged: ${length} bytes with digest ${digest}, not ${ref.digest}`,
      { hint: 'try again' },
    );
  }
  if (ref.digest === undefined && length !== (ref.sizeBytes ?? length)) {
    await rm(part, { force: true });
    throw new Failure(
      'Error',
      `artifact ${shownName(ref.name)} came damaged: ${length} of ${ref.sizeBytes} bytes`,
      { hint: 'try again' },
    );
  }
  const isArchive = ref.type === 'unknown' && (await isArchiveOf(ref.name, part));
  const target = isArchive ? join(directory, second) : path;
  await rename(part, target).catch((cause: unknown) => {
    throw notWritten(target, cause);
  });
  return target;
};
