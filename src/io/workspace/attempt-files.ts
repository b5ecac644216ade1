/** The files and folders of an attempt: made, or taken from those of attempts that are over; and put back. */
import {
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { Folders } from '../../decide/sidecar/environment.js';
import { Stock } from './stock.js';

/** Where an inline source goes (contract). */
export const SCRIPT = 'script';
/** The folder beside the outputs file. */
const ARTIFACTS = 'artifacts';

/** What is removed at once: so many entries, files of so many bytes (the disk is slow to let go of a large one). */
const FEW = 16;
const SMALL_BYTES = 1024 * 1024;

const errorCode = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);

/** Removes what is in a folder if that is little; false when there is more. Throws when something resists. */
const emptied = (path: string, keep: string, budget: { left: number }): boolean => {
  const entries = readdirSync(path, { withFileTypes: true });
  budget.left -= entries.length;
  if (budget.left < 0) return false;
  for (const entry of entries) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) {
      if (!emptied(inner, '', budget)) return false;
      if (entry.name !== keep) rmdirSync(inner);
      continue;
    }
    const { size, nlink } = lstatSync(inner);
    if (size > SMALL_BYTES) return false;
    // A file that has another name elsewhere must keep there what is in it.
    if (entry.name === keep && entry.isFile() && nlink === 1) truncateSync(inner, 0);
    else unlinkSync(inner);
  }
  return true;
};

/** Empties a folder and puts it into the stock; false when it has to be removed some other way. */
const putBack = (path: string, keep: string, stock: Stock): boolean => {
  try {
    // A link that took the folder's place leads elsewhere: nothing there is ours to empty.
    return lstatSync(path).isDirectory() && emptied(path, keep, { left: FEW }) && stock.put(path);
  } catch {
    return false;
  }
};

export class AttemptFiles {
  readonly #records: Stock;
  readonly #workspaces: Stock;
  readonly #own: Stock;

  /** @param podUid of this pod: a workspace may be a volume that several pods share */
  constructor({ work, state }: Folders, podUid: string) {
    this.#records = new Stock(join(state, 'stock'));
    this.#workspaces = new Stock(join(work, '.kruntimes', `stock-${podUid}-workspaces`), SCRIPT);
    this.#own = new Stock(join(work, '.kruntimes', `stock-${podUid}-own`), ARTIFACTS);
  }

  /** Writes a record, whole or not at all where there was one in stock. */
  writeRecord(path: string, text: string): void {
    if (this.#records.take(path, (at) => writeFileSync(at, text))) return;
    writeFileSync(path, text, { mode: 0o600 });
    this.#records.made(path);
  }

  removeRecord(path: string): void {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined && !this.#records.put(path))
      unlinkSync(path);
  }

  /** Ends are kept only while the API is away. */
  removeEnd(path: string): void {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) unlinkSync(path);
  }

  /** An empty folder at `own` with an empty one for artifacts in it. */
  async makeOwn(own: string): Promise<void> {
    const isTaken = await this.#fresh(own, this.#own);
    const artifacts = join(own, ARTIFACTS);
    if (isTaken && lstatSync(artifacts, { throwIfNoEntry: false }) !== undefined) return;
    mkdirSync(artifacts, { mode: 0o770 });
    if (!isTaken) this.#own.made(own);
  }

  /** An empty folder, with the script in it where there is one. */
  async makeWorkspace(workspace: string, script: string | undefined): Promise<void> {
    const isTaken = await this.#fresh(workspace, this.#workspaces);
    const path = join(workspace, SCRIPT);
    const isThere = isTaken && lstatSync(path, { throwIfNoEntry: false }) !== undefined;
    if (script === undefined) {
      if (isThere) unlinkSync(path);
    } else if (isThere) {
      const fd = openSync(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW);
      try {
        writeFileSync(fd, script);
      } finally {
        closeSync(fd);
      }
    } else writeFileSync(path, script, { mode: 0o770, flag: 'wx' });
    if (!isTaken) this.#workspaces.made(workspace);
  }

  /** Removes what is kept for attempts to come. */
  clear(): void {
    for (const stock of [this.#records, this.#workspaces, this.#own]) stock.clear();
  }

  /** False when it is still there: too much is in it, or something resists. */
  removeWorkspace(workspace: string): boolean {
    return putBack(workspace, SCRIPT, this.#workspaces);
  }

  /** The same of `own`. */
  removeOwn(own: string): boolean {
    return putBack(own, ARTIFACTS, this.#own);
  }

  /** Makes the folder, or takes one; true when it was taken. What may have been left behind there goes. */
  async #fresh(path: string, stock: Stock): Promise<boolean> {
    try {
      if (stock.take(path)) return true;
      // Others of the pod's group may use it: its fsGroup is shared.
      mkdirSync(path, { mode: 0o770 });
    } catch (cause) {
      if (!['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(errorCode(cause))) throw cause;
      await rm(path, { recursive: true, force: true });
      mkdirSync(path, { mode: 0o770 });
    }
    return false;
  }
}
