/**
 * Removes what an attempt had on disk, all but its log.
 *
 * Most attempts leave a few small files, or none; those go by synchronous calls, a few microseconds each, where a turn
 * of node's thread pool costs ten times as much. Anything more, and anything large, goes the patient way.
 */
import { lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { chmod, lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { AttemptRef } from '../../decide/sidecar/attempt.js';
import { type Folders, placesOf } from '../../decide/sidecar/environment.js';

/** What is removed at once: so many entries, files of so many bytes (the disk is slow to let go of a large one). */
const FEW = 16;
const SMALL_BYTES = 1024 * 1024;

/** Removes a folder with a few small things in it; false when there is more, or something resists. */
const removeFew = (path: string, budget: { left: number }): boolean => {
  const entries = readdirSync(path, { withFileTypes: true });
  budget.left -= entries.length;
  if (budget.left < 0) return false;
  for (const entry of entries) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) {
      if (!removeFew(inner, budget)) return false;
    } else if (lstatSync(inner).size > SMALL_BYTES) return false;
    else unlinkSync(inner);
  }
  rmdirSync(path);
  return true;
};

const isRemovedAtOnce = (path: string): boolean => {
  try {
    return removeFew(path, { left: FEW });
  } catch {
    return false;
  }
};

const removeFile = (path: string): void => {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) unlinkSync(path);
};

/** Makes every folder below `path` (and itself) writable for its owner; never follows a link. */
const openUp = async (path: string): Promise<void> => {
  if (!(await lstat(path)).isDirectory()) return;
  await chmod(path, 0o700);
  for (const entry of await readdir(path, { withFileTypes: true }))
    if (entry.isDirectory()) await openUp(join(path, entry.name));
};

/** Also a tree whose folders the Run made unwritable. */
export const removeTree = async (path: string): Promise<void> => {
  try {
    await rm(path, { recursive: true, force: true });
  } catch {
    await openUp(path);
    await rm(path, { recursive: true, force: true });
  }
};

/**
 * Workspace, outputs, artifacts, then the records: as long as those are there, a restarted runtimed tries again.
 * Rejects when something could not be removed.
 */
export const cleanWorkspace = async (folders: Folders, ref: AttemptRef): Promise<void> => {
  const places = placesOf(folders, ref);
  for (const path of [places.workspace, places.own]) if (!isRemovedAtOnce(path)) await removeTree(path);
  removeFile(places.end);
  removeFile(places.record);
};
