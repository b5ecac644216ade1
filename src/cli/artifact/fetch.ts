/**
 * Fetches one artifact into a file: beside it first (`NAME.part`), taken up where an earlier fetch ended, put in its
 * place when its digest is right.
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

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants;

/** The bytes from one on, as they come. */
export type ReadFrom = (fromByte: number) => AsyncIterable<Uint8Array>;

export type FetchOptions = Readonly<{
  directory: string;
  /** Told of the bytes that are there. */
  onBytes: (bytes: number) => void;
}>;

/** Name of the file: a directory is stored as an archive. Errors: Failure for a name that leads elsewhere. */
export const fileName = ({ name, type }: ArtifactRef): string => {
  const problem = nameProblem(name);
  if (problem)
    throw new Failure('Error', `artifact ${shownName(name)} ${problem}; it is not written to a file`);
  return type === 'directory' ? `${name}.tar.gz` : name;
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

const tooLong = ({ name, sizeBytes }: ArtifactRef): TooLong =>
  new TooLong(
    'Error',
    `artifact ${shownName(name)} is not what the Run stored: more came than ${sizeBytes} bytes`,
    {
      hint: 'look at what is in the store',
    },
  );

/** Fetches it; the path it is at. `read` may throw: what has come is kept for the next time. */
export const fetchArtifact = async (
  ref: ArtifactRef,
  read: ReadFrom,
  { directory, onBytes }: FetchOptions,
): Promise<string> => {
  const path = join(directory, fileName(ref));
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
    if (ref.sizeBytes !== undefined && length > ref.sizeBytes) {
      // Of something else.
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
    if (cause instanceof TooLong) await rm(part, { force: true });
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
  await rename(part, path).catch((cause: unknown) => {
    throw notWritten(path, cause);
  });
  return path;
};
