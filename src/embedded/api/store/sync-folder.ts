/** Makes creation, renaming and removal of a folder's files durable. */
import { closeSync, fsyncSync, openSync } from 'node:fs';

/** Returns when it is on disk. */
export const syncFolder = (folder: string): void => {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
};
