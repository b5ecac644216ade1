/**
 * Removes what an attempt had on disk, all but its log: its workspace, outputs and artifacts, then the records; as long
 * as those are there, a restarted runtimed tries again.
 */
import type { AttemptRef } from '../../decide/sidecar/attempt.js';
import type { AttemptFiles } from './attempt-files.js';

/** Rejects when something could not be removed. */
export const cleanWorkspace = async (ref: AttemptRef, files: AttemptFiles): Promise<void> => {
  await files.removeWorkspace(ref);
  await files.removeOwn(ref);
  files.removeRecord(ref);
};
