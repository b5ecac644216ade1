/** The files and folders of an attempt: made, or taken from those of attempts that are over; and put back. */

import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';

import { type AttemptRef, idOf } from '../../decide/sidecar/attempt.js';
import { type Folders, OWN_FOLDERS, placesOf } from '../../decide/sidecar/environment.js';
import { errorCode } from '../error-code.js';
import { HeldFolder } from './held-folder.js';
import { moveInto } from './move-into.js';
import { removeTree } from './remove-tree.js';
import { type Place, Stock } from './stock.js';

/** Where an inline source goes (contract). */
export const SCRIPT = 'script';
/** The folder beside the outputs file. */
const ARTIFACTS = 'artifacts';
/** Of the state folder: what is being written for workspaces. */
const INCOMING = 'incoming';

/** What a file in stock holds, so that it is never cut to nothing. */
const BLANK = '\n';

/** What is removed at once: so many entries, files of so many bytes (the disk is slow to let go of a large one). */
const FEW = 16;
const SMALL_BYTES = 1024 * 1024;

/** Opens a file for writing that a Run may have replaced; undefined when it is no file, or has another name, too. */
const openOwn = (path: string): number | undefined => {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const facts = fstatSync(fd);
  if (facts.isFile() && facts.nlink === 1) return fd;
  closeSync(fd);
  return undefined;
};

/**
 * Writes a text over what the file holds, then cuts off the rest. Not the other way round: ext4 sends a file that was
 * cut to nothing to the disk when it is closed, and who cuts it the next time waits until it is there (its option
 * auto_da_alloc; here a millisecond per Run, docs/performance.md).
 */
const replaceText = (fd: number, text: string): void => {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, at);
  if (fstatSync(fd).size > bytes.length) ftruncateSync(fd, bytes.length);
};

/** Runs `use` with a folder open; a link that took its place is not followed. */
const within = <A>({ folder, name }: Place, use: (inner: HeldFolder) => A): A => {
  const inner = folder.below(name);
  try {
    return use(inner);
  } finally {
    inner.close();
  }
};

/** Removes what is in a folder if that is little; false when there is more. Throws when something resists. */
const isEmptied = (folder: HeldFolder, keep: string, budget: { left: number }): boolean => {
  const entries = readdirSync(folder.self, { withFileTypes: true });
  budget.left -= entries.length;
  if (budget.left < 0) return false;
  for (const entry of entries) {
    const { name } = entry;
    const path = folder.at(name);
    if (entry.isDirectory()) {
      if (!within({ folder, name }, (inner) => isEmptied(inner, '', budget))) return false;
      if (name !== keep) rmdirSync(path);
      continue;
    }
    if (lstatSync(path).size > SMALL_BYTES) return false;
    // A file that has another name elsewhere must keep there what is in it.
    const fd = name === keep && entry.isFile() ? openOwn(path) : undefined;
    if (fd === undefined) unlinkSync(path);
    else {
      try {
        replaceText(fd, BLANK);
      } finally {
        closeSync(fd);
      }
    }
  }
  return true;
};

/** Empties a folder and puts it into the stock; false when it has to be removed some other way. */
const putBack = (place: Place, keep: string, stock: Stock): boolean => {
  try {
    return within(place, (folder) => isEmptied(folder, keep, { left: FEW })) && stock.put(place);
  } catch {
    return false;
  }
};

/** Room that a trial asks for, bytes. */
const TRIAL_BYTES = 64 * 1024;

const writeAndRemove = (path: string): void => {
  try {
    writeFileSync(path, Buffer.alloc(TRIAL_BYTES), { mode: 0o600, flag: 'wx' });
  } finally {
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) unlinkSync(path);
  }
};

/** Writes the text into the file of another attempt. Throws when something else is in its place. */
const rewrite = (path: string, text: string): void => {
  const fd = openOwn(path);
  if (fd === undefined) throw new Error('the file of the attempt was replaced');
  try {
    replaceText(fd, text);
  } finally {
    closeSync(fd);
  }
};

/** Opens the folder, which is made where it is missing; a link or a file that a Run put in its place goes. */
const openOwns = (work: HeldFolder): HeldFolder => {
  try {
    return work.below(OWN_FOLDERS);
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') unlinkSync(work.at(OWN_FOLDERS));
    mkdirSync(work.at(OWN_FOLDERS), { mode: 0o770 });
    return work.below(OWN_FOLDERS);
  }
};

type Held = Readonly<Record<'work' | 'attempts', HeldFolder>>;
type Stocks = Readonly<Record<'records' | 'workspaces' | 'own', Stock>>;

export class AttemptFiles {
  readonly #folders: Folders;
  readonly #work: HeldFolder;
  /** Of records: no Run can reach it. */
  readonly #attempts: HeldFolder;
  readonly #stocks: Stocks;

  private constructor(folders: Folders, { work, attempts }: Held, stocks: Stocks) {
    this.#folders = folders;
    this.#work = work;
    this.#attempts = attempts;
    this.#stocks = stocks;
  }

  /**
   * Makes the folders that everything else is put into, and opens them. Once, at the start.
   *
   * @param podUid of this pod: a workspace may be a volume that several pods share
   */
  static async open(folders: Folders, podUid: string): Promise<AttemptFiles> {
    const { work: path, state } = folders;
    await mkdir(path, { recursive: true, mode: 0o770 });
    await rm(join(state, INCOMING), { recursive: true, force: true });
    for (const name of ['attempts', 'ends', 'logs', INCOMING])
      await mkdir(join(state, name), { recursive: true, mode: 0o700 });
    const work = HeldFolder.open(path);
    const attempts = HeldFolder.open(join(state, 'attempts'));
    return new AttemptFiles(
      folders,
      { work, attempts },
      {
        records: await Stock.open(() => HeldFolder.open(state), 'stock'),
        workspaces: await Stock.open(() => openOwns(work), `stock-${podUid}-workspaces`, SCRIPT),
        own: await Stock.open(() => openOwns(work), `stock-${podUid}-own`, ARTIFACTS),
      },
    );
  }

  /** Writes a record, whole or not at all where there was one in stock. */
  writeRecord(ref: AttemptRef, text: string): void {
    const place = this.#recordOf(ref);
    if (this.#stocks.records.take(place, (at) => rewrite(at, text))) return;
    writeFileSync(place.folder.at(place.name), text, { mode: 0o600 });
    this.#stocks.records.made(place);
  }

  /** Removes the record of an attempt, and its end, which is kept only while the API is away. */
  removeRecord(ref: AttemptRef): void {
    const { end } = placesOf(this.#folders, ref);
    if (lstatSync(end, { throwIfNoEntry: false }) !== undefined) unlinkSync(end);
    const place = this.#recordOf(ref);
    const path = place.folder.at(place.name);
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined && !this.#stocks.records.put(place))
      unlinkSync(path);
  }

  /** An empty folder for what is beside the workspace, with an empty one for artifacts in it. */
  async makeOwn(ref: AttemptRef): Promise<void> {
    const folder = openOwns(this.#work);
    try {
      const place = { folder, name: idOf(ref) };
      const isTaken = await this.#fresh(place, this.#stocks.own);
      within(place, (own) => {
        const path = own.at(ARTIFACTS);
        if (!isTaken || lstatSync(path, { throwIfNoEntry: false }) === undefined)
          mkdirSync(path, { mode: 0o770 });
      });
      if (!isTaken) this.#stocks.own.made(place);
    } finally {
      folder.close();
    }
  }

  /** An empty folder, with the script in it where there is one. */
  async makeWorkspace({ uid }: AttemptRef, script: string | undefined): Promise<void> {
    const place = { folder: this.#work, name: uid };
    const isTaken = await this.#fresh(place, this.#stocks.workspaces);
    within(place, (workspace) => {
      const path = workspace.at(SCRIPT);
      const isThere = isTaken && lstatSync(path, { throwIfNoEntry: false }) !== undefined;
      if (isThere && script !== undefined) rewrite(path, script);
      else if (isThere) unlinkSync(path);
      else if (script !== undefined) writeFileSync(path, script, { mode: 0o770, flag: 'wx' });
    });
    if (!isTaken) this.#stocks.workspaces.made(place);
  }

  /**
   * Puts into the workspace what `write` has written into a folder that no Run can reach: what another program writes
   * by path can be led elsewhere.
   */
  async fillWorkspace<A>(
    { uid }: AttemptRef,
    write: (folder: string) => Promise<E.Either<A, string>>,
    signal: AbortSignal,
  ): Promise<E.Either<A, string>> {
    const incoming = join(this.#folders.state, INCOMING, randomUUID());
    await mkdir(incoming, { mode: 0o770 });
    try {
      const written = await write(incoming);
      if (E.isLeft(written)) return written;
      const workspace = this.#work.below(uid);
      try {
        await moveInto(incoming, workspace, signal);
      } finally {
        workspace.close();
      }
      return written;
    } finally {
      await rm(incoming, { recursive: true, force: true });
    }
  }

  /** Removes it, whatever is in it. */
  removeWorkspace({ uid }: AttemptRef): Promise<void> {
    return this.#remove({ folder: this.#work, name: uid }, SCRIPT, this.#stocks.workspaces);
  }

  /** The same of what is beside it. */
  async removeOwn(ref: AttemptRef): Promise<void> {
    const folder = openOwns(this.#work);
    try {
      await this.#remove({ folder, name: idOf(ref) }, ARTIFACTS, this.#stocks.own);
    } finally {
      folder.close();
    }
  }

  /**
   * Makes what an attempt needs, and removes it. Why that cannot be, or ''. Throws when a folder that is held open is no
   * longer there: only who begins anew makes it again.
   */
  tryOut(): string {
    if (this.#work.facts().nlink === 0 || this.#attempts.facts().nlink === 0)
      throw new Error(
        'the folder of workspaces or of records was removed; it is made anew at the next start',
      );
    const name = `trial-${randomUUID()}`;
    try {
      writeAndRemove(this.#attempts.at(name));
      const folder = openOwns(this.#work);
      try {
        mkdirSync(folder.at(name), { mode: 0o770 });
        try {
          within({ folder, name }, (own) => writeAndRemove(own.at(SCRIPT)));
        } finally {
          rmdirSync(folder.at(name));
        }
      } finally {
        folder.close();
      }
      return '';
    } catch (cause) {
      return errorCode(cause);
    }
  }

  /** Removes what is kept for attempts to come. */
  async clear(): Promise<void> {
    await Promise.all(Object.values(this.#stocks).map((stock) => stock.clear()));
  }

  #recordOf(ref: AttemptRef): Place {
    return { folder: this.#attempts, name: `${idOf(ref)}.json` };
  }

  async #remove(place: Place, keep: string, stock: Stock): Promise<void> {
    if (!putBack(place, keep, stock)) await removeTree(place.folder, place.name);
  }

  /** Makes the folder, or takes one; true when it was taken. What may have been left behind there goes. */
  async #fresh(place: Place, stock: Stock): Promise<boolean> {
    const { folder, name } = place;
    try {
      if (stock.take(place)) return true;
      // Others of the pod's group may use it: its fsGroup is shared.
      mkdirSync(folder.at(name), { mode: 0o770 });
    } catch (cause) {
      if (!['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(errorCode(cause))) throw cause;
      await removeTree(folder, name);
      mkdirSync(folder.at(name), { mode: 0o770 });
    }
    return false;
  }
}
