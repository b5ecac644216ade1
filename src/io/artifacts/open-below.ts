/**
 * Opening what a Run left, without ever being led elsewhere.
 *
 * A path is not trusted twice (see HeldFolder): each step opens one entry of a folder that is held open, never follows a
 * link, and makes sure that what was opened is what was looked at. Where there is no /proc, the step goes by path, with
 * the same check after it.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

import { errorCode } from '../error-code.js';
import { isPodTrouble } from '../pod-trouble.js';
import { openedPath } from '../workspace/held-folder.js';

/** What cannot be an artifact, in words that begin with its name. Nothing else is to be tried again. */
export class ArtifactProblem extends Error {
  override readonly name = 'ArtifactProblem';
}

/** A folder held open. */
export type OpenFolder = Readonly<{ handle: FileHandle; path: string }>;

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

const entryPath = ({ handle, path }: OpenFolder, name: string): string =>
  join(openedPath(handle.fd, path), name);

/**
 * The first folder of a walk.
 *
 * @param path one that no Run can change
 * @param steps from there, each of which a Run may have replaced
 */
export const openFolder = async (path: string, steps: ReadonlyArray<string>): Promise<OpenFolder> => {
  let folder: OpenFolder = { handle: await open(path, O_RDONLY | O_DIRECTORY), path };
  for (const name of steps) {
    const above = folder;
    try {
      const handle = await open(entryPath(above, name), O_RDONLY | O_NOFOLLOW | O_DIRECTORY);
      folder = { handle, path: join(above.path, name) };
    } finally {
      await above.handle.close();
    }
  }
  return folder;
};

/** Names of its entries, sorted by code unit so that the order depends on nothing else. */
export const entriesOf = async (folder: OpenFolder): Promise<ReadonlyArray<string>> =>
  (await readdir(openedPath(folder.handle.fd, folder.path))).sort();

/** What the entry is, itself, not what it leads to. */
export const look = (folder: OpenFolder, name: string): Promise<Stats> => lstat(entryPath(folder, name));

/** What an entry is called that is neither file nor folder; undefined for those. */
export const kindProblem = (facts: Stats): string | undefined => {
  if (facts.isFile() || facts.isDirectory()) return undefined;
  if (facts.isSymbolicLink()) return 'is a symbolic link; links are not stored';
  if (facts.isFIFO()) return 'is a FIFO; only files and directories are stored';
  if (facts.isSocket()) return 'is a socket; only files and directories are stored';
  return 'is a device; only files and directories are stored';
};

/** An entry that is open, and what it is. */
export type OpenEntry = Readonly<{ handle: FileHandle; facts: Stats }>;

/**
 * Opens a file or folder. O_NONBLOCK, so that a FIFO cannot hold us.
 *
 * @param label its name in messages
 * @param seen what `look` has shown; left out, whatever it is now
 * @throws ArtifactProblem when it cannot be opened, is neither file nor folder, or is no longer what was seen
 */
export const openEntry = async (
  folder: OpenFolder,
  name: string,
  label: string,
  seen?: Stats,
): Promise<OpenEntry> => {
  const handle = await open(entryPath(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(
    (cause: unknown) => {
      throw asProblem(label, cause);
    },
  );
  try {
    const facts = await handle.stat();
    const problem = kindProblem(facts);
    if (problem) throw new ArtifactProblem(`${label} ${problem}`);
    if (seen && (facts.dev !== seen.dev || facts.ino !== seen.ino))
      throw new ArtifactProblem(`${label} was replaced while it was stored`);
    return { handle, facts };
  } catch (cause) {
    await handle.close();
    throw cause;
  }
};

/** Runs `use` with it open; `below` is the folder, if it is one. */
export const withEntry = async <A>(
  folder: OpenFolder,
  name: string,
  label: string,
  seen: Stats | undefined,
  use: (entry: OpenEntry, below: OpenFolder) => Promise<A>,
): Promise<A> => {
  const entry = await openEntry(folder, name, label, seen);
  try {
    return await use(entry, { handle: entry.handle, path: join(folder.path, name) });
  } finally {
    await entry.handle.close();
  }
};

/** Bytes read at a time. */
const CHUNK_BYTES = 256 * 1024;

/** The first `sizeBytes` bytes, exactly: of a file that grows meanwhile, what was there when it was looked at. */
export const bytesOf = async function* (
  handle: FileHandle,
  label: string,
  sizeBytes: number,
): AsyncGenerator<Buffer> {
  for (let at = 0; at < sizeBytes; ) {
    const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, sizeBytes - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) throw new ArtifactProblem(`${label} became shorter while it was stored`);
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
};

const CODES: Readonly<Record<string, string>> = {
  ELOOP: 'is a symbolic link; links are not stored',
  ENOTDIR: 'was replaced while it was stored',
  ENOENT: 'was removed while it was stored',
  EACCES: 'may not be read; make it readable for all, or for the group',
  EPERM: 'may not be read',
  ENXIO: 'is a socket; only files and directories are stored',
  ENAMETOOLONG: 'has a path that is too long',
};

/** A failed call on an entry as an ArtifactProblem; one already made is kept, and a trouble of the pod. */
export const asProblem = (label: string, cause: unknown): Error => {
  if (cause instanceof ArtifactProblem) return cause;
  // It says nothing about the artifact.
  if (cause instanceof Error && isPodTrouble(cause)) return cause;
  const code = errorCode(cause);
  return new ArtifactProblem(`${label} ${CODES[code] ?? `cannot be read: ${code}`}`, { cause });
};
