/**
 * Where do unix sockets live? Their paths are limited to 103 bytes and whoever can reach the folder can connect, so:
 * a short folder of mode 0700 that is ours, in the data folder if that is short enough, else made under the
 * temporary folder and recorded in the data folder so that a later start finds and a stop removes it.
 */
import { lstatSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { writeFileAtomically } from './files.js';

/** Longest path of a unix socket that every platform takes, bytes. */
const LONGEST_SOCKET_PATH = 103;
/** What we put below the folder: `/<8 characters>/<5 digits>.sock` or `/<name>.sock`. */
const OUR_PART = 26;

const RECORD = 'socket-folder';

/** Whether the folder is a real one, ours and closed to others; a link or a folder of somebody else is not. */
const isOurs = (folder: string): boolean => {
  try {
    const stat = lstatSync(folder);
    return stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0;
  } catch {
    return false;
  }
};

/**
 * The folder for sockets of the control plane on `dataDir`. The same one as long as it exists; every process of the
 * control plane gets the same answer once the supervisor (or whichever came first) has asked.
 */
export const socketFolder = (dataDir: string, temporary: string = tmpdir()): string => {
  const own = join(dataDir, 'run');
  if (Buffer.byteLength(own) + OUR_PART <= LONGEST_SOCKET_PATH) {
    mkdirSync(own, { recursive: true, mode: 0o700 });
    if (!isOurs(own)) throw new Error(`${own} must be a folder of yours with mode 0700: chmod 700 ${own}`);
    return own;
  }
  const record = join(dataDir, RECORD);
  try {
    const recorded = readFileSync(record, 'utf8').trim();
    if (isOurs(recorded)) return recorded;
  } catch {
    // Not recorded yet.
  }
  const base = Buffer.byteLength(temporary) + 11 + OUR_PART <= LONGEST_SOCKET_PATH ? temporary : '/tmp';
  const made = mkdtempSync(join(realpathSync(base), 'krt-'));
  writeFileAtomically(record, `${made}\n`, 0o600);
  return made;
};

/** The folder if there is one already; makes nothing. For those who only ask whether somebody is there. */
export const existingSocketFolder = (dataDir: string): string | undefined => {
  const own = join(dataDir, 'run');
  if (isOurs(own)) return own;
  try {
    const recorded = readFileSync(join(dataDir, RECORD), 'utf8').trim();
    return isOurs(recorded) ? recorded : undefined;
  } catch {
    return undefined;
  }
};

/** Removes the folder and what is in it. */
export const removeSocketFolder = (dataDir: string): void => {
  const record = join(dataDir, RECORD);
  try {
    const recorded = readFileSync(record, 'utf8').trim();
    if (isOurs(recorded)) rmSync(recorded, { recursive: true, force: true });
  } catch {
    // Nothing recorded.
  }
  rmSync(record, { force: true });
  rmSync(join(dataDir, 'run'), { recursive: true, force: true });
};
