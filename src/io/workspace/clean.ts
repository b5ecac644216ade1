/**
 * Removes what an attempt had on disk, all but its log. Most attempts leave a few small files, or none: their folders
 * go into the stock (see AttemptFiles). Anything more goes the patient way.
 */
import { chmod, lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { AttemptRef } from '../../decide/sidecar/attempt.js';
import { type Folders, placesOf } from '../../decide/sidecar/environment.js';
import type { AttemptFiles } from './attempt-files.js';

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
export const cleanWorkspace = async (
  folders: Folders,
  ref: AttemptRef,
  files: AttemptFiles,
): Promise<void> => {
  const { workspace, own, end, record } = placesOf(folders, ref);
  if (!files.removeWorkspace(workspace)) await removeTree(workspace);
  if (!files.removeOwn(own)) await removeTree(own);
  files.removeEnd(end);
  files.removeRecord(record);
};
