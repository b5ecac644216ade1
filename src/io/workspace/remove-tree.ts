/**
 * Removes a tree that a Run has left, also one whose folders it made unwritable, and nothing else, whatever the Runs
 * beside it put into its place meanwhile (see HeldFolder).
 */

import { randomUUID } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import { chmod, open, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { errorCode } from '../error-code.js';
import type { EntryName, HeldFolder } from './held-folder.js';

/** Folders held open at a time: what lies deeper is moved up first. */
const MAX_DEPTH = 32;
/** Times that a folder is listed again in which something new was found. */
const MAX_ROUNDS = 10_000;
/** Files removed at a time. */
const AT_ONCE = 32;
/** Opens what may not even be read, only to name it; the value is the same on x86-64 and arm64. */
const O_PATH = 0o10000000;

/** Undefined when it was done, else the code of its failure if that is one of those expected. */
const failureOf = async (
  call: Promise<unknown>,
  expected: ReadonlyArray<string>,
): Promise<string | undefined> => {
  try {
    await call;
    return undefined;
  } catch (cause) {
    const code = errorCode(cause);
    if (expected.includes(code)) return code;
    throw cause;
  }
};

/** What the system says of a folder where only files are expected: EISDIR on Linux, EPERM elsewhere. */
const IS_FOLDER = ['EISDIR', 'EPERM'];
const IS_NO_FOLDER = ['ENOTDIR', 'ELOOP'];

/** Gives the owner every right to a folder; a link in its place is left as it is. */
const openUp = async (parent: HeldFolder, name: EntryName): Promise<void> => {
  const { O_DIRECTORY, O_NOFOLLOW } = constants;
  const handle = await open(parent.at(name), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    await chmod(`/proc/self/fd/${handle.fd}`, 0o700);
  } finally {
    await handle.close();
  }
};

const isOpen = ({ mode }: Stats): boolean => (mode & 0o700) === 0o700;

/** Opens a folder to remove what is in it; undefined when there is none, or something else. */
const enter = async (parent: HeldFolder, name: EntryName): Promise<HeldFolder | undefined> => {
  for (let isSecond = false; ; isSecond = true) {
    let folder: HeldFolder;
    try {
      folder = parent.below(name);
    } catch (cause) {
      const code = errorCode(cause);
      if (code === 'ENOENT' || IS_NO_FOLDER.includes(code)) return undefined;
      if (code !== 'EACCES' || isSecond) throw cause;
      await openUp(parent, name);
      continue;
    }
    if (isSecond || isOpen(folder.facts())) return folder;
    folder.close();
    // Another's folder may be left as it is and still be empty.
    await openUp(parent, name).catch(() => undefined);
  }
};

/** Removes what is in a folder, as far as it is seen at this moment. */
const empty = async (folder: HeldFolder, top: HeldFolder, depth: number): Promise<void> => {
  const entries = await readdir(folder.self, { withFileTypes: true, encoding: 'buffer' });
  const files = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  while (files.length > 0)
    await Promise.all(
      files.splice(-AT_ONCE).map((name) => failureOf(unlink(folder.at(name)), ['ENOENT', ...IS_FOLDER])),
    );
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    if (depth < MAX_DEPTH) await removeEntry(folder, entry.name, top, depth + 1);
    else {
      // Its own rights, too, say whether it may be moved.
      await openUp(folder, entry.name).catch(() => undefined);
      await failureOf(rename(folder.at(entry.name), top.at(`.${randomUUID()}`)), ['ENOENT']);
    }
  }
};

/** @param top where what lies too deep is put; the folder itself, when it is the uppermost */
const removeEntry = async (
  parent: HeldFolder,
  name: EntryName,
  top: HeldFolder | undefined,
  depth: number,
): Promise<void> => {
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const folder = await enter(parent, name);
    let failure: string | undefined;
    if (folder === undefined) failure = await failureOf(unlink(parent.at(name)), ['ENOENT', ...IS_FOLDER]);
    else {
      try {
        await empty(folder, top ?? folder, depth);
      } finally {
        folder.close();
      }
      failure = await failureOf(rmdir(parent.at(name)), ['ENOENT', 'ENOTEMPTY', 'EEXIST', ...IS_NO_FOLDER]);
    }
    if (failure === undefined || failure === 'ENOENT') return;
  }
  throw new Error('a folder is filled faster than it can be removed');
};

/** Removes the entry, whatever it is; nothing is done when there is none. */
export const removeTree = (parent: HeldFolder, name: EntryName): Promise<void> =>
  removeEntry(parent, name, undefined, 0);
