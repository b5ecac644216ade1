/** Files that are there whole or not at all, readable by their owner alone. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

let serial = 0;

/** Writes beside and renames; folders on the way are made 0700. */
export const writeFileAtomically = (path: string, content: string | Uint8Array, mode = 0o600): void => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  serial += 1;
  const beside = `${path}.${process.pid}.${serial}.tmp`;
  try {
    writeFileSync(beside, content, { mode });
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
};
