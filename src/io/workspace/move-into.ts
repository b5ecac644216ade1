/** Moves what is in a folder of runtimed's own into one of the shared volume, without being led elsewhere. */
import { constants, type Stats } from 'node:fs';
import { lstat, mkdir, open, readdir, readlink, rename, symlink } from 'node:fs/promises';
import { errorCode } from '../error-code.js';
import { type EntryName, entryPath, type HeldFolder } from './held-folder.js';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
/** Entries of a folder at a time. */
const AT_ONCE = 8;
/** Folders within folders: each is held open. */
const MAX_DEPTH = 100;
const CHUNK_BYTES = 256 * 1024;

/** Between volumes a rename does not work; then it is copied. */
const isRenamed = async (from: EntryName, to: EntryName): Promise<boolean> => {
  try {
    await rename(from, to);
    return true;
  } catch (cause) {
    if (errorCode(cause) === 'EXDEV') return false;
    throw cause;
  }
};

const copyFile = async (from: EntryName, to: EntryName, { mode }: Stats): Promise<void> => {
  const source = await open(from, O_RDONLY | O_NOFOLLOW);
  try {
    // O_EXCL: nothing is written into what somebody else has put there, nor through a link.
    const target = await open(to, O_WRONLY | O_CREAT | O_EXCL, mode & 0o777);
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    try {
      for (;;) {
        const { bytesRead } = await source.read(buffer, 0, buffer.length);
        if (bytesRead === 0) return;
        await target.writeFile(buffer.subarray(0, bytesRead));
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
};

/** Copies an entry that is no folder. */
const copyLeaf = async (from: EntryName, to: EntryName, facts: Stats): Promise<void> => {
  if (facts.isSymbolicLink()) await symlink(await readlink(from, 'buffer'), to);
  else await copyFile(from, to, facts);
};

const copyAll = async (
  from: EntryName,
  folder: HeldFolder,
  signal: AbortSignal,
  depth: number,
): Promise<void> => {
  const entries = await readdir(from, { withFileTypes: true, encoding: 'buffer' });
  const leaves = entries.filter((entry) => !entry.isDirectory());
  while (leaves.length > 0) {
    signal.throwIfAborted();
    await Promise.all(
      leaves.splice(-AT_ONCE).map(async ({ name }) => {
        const path = entryPath(from, name);
        await copyLeaf(path, folder.at(name), await lstat(path));
      }),
    );
  }
  for (const entry of entries)
    if (entry.isDirectory()) await copyFolder(entryPath(from, entry.name), folder, entry.name, signal, depth);
};

const copyFolder = async (
  from: EntryName,
  parent: HeldFolder,
  name: Buffer,
  signal: AbortSignal,
  depth: number,
): Promise<void> => {
  if (depth > MAX_DEPTH) throw new Error('its folders lie too deep within each other');
  await mkdir(parent.at(name), { mode: (await lstat(from)).mode & 0o777 });
  const folder = parent.below(name);
  try {
    await copyAll(from, folder, signal, depth + 1);
  } finally {
    folder.close();
  }
};

/** Moves all; where it rejects, some of it may be there. */
export const moveInto = async (from: string, folder: HeldFolder, signal: AbortSignal): Promise<void> => {
  for (const name of await readdir(from, 'buffer'))
    if (!(await isRenamed(entryPath(from, name), folder.at(name)))) {
      // Between volumes nothing can be renamed.
      await copyAll(from, folder, signal, 0);
      return;
    }
};
