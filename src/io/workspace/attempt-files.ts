/** The files and folders of an attempt: made, or taken from those of attempts that are over; and put back. */

import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';

import { type AttemptRef, idOf } from '../../decide/sidecar/attempt.js';
import { type Folders, OWN_FOLDERS, placesOf } from '../../decide/sidecar/environment.js';
import { isEmptyFolder } from '../artifacts/empty.js';
import { errorCode } from '../error-code.js';
import { HeldFolder } from './held-folder.js';
import { moveInto } from './move-into.js';
import { RecordFiles } from './record-files.js';
import { removeTree } from './remove-tree.js';
import { replaceText } from './replace-text.js';
import { type Place, Stock, type Taken } from './stock.js';

/** Where an inline source goes (contract). */
export const SCRIPT = 'script';
/** The folder beside the outputs file. */
const ARTIFACTS = 'artifacts';
/** Of the state folder: what is being written for workspaces. */
const INCOMING = 'incoming';

const recordOf = (ref: AttemptRef): string => `${idOf(ref)}.json`;

/** What a file in stock holds, so that it is never cut to nothing. */
const BLANK = '\n';

/** What is removed at once: so many entries, files of so many bytes (the disk is slow to let go of a large one). */
const FEW = 16;
const SMALL_BYTES = 1024 * 1024;

type OwnFile = Readonly<{ fd: number; size: number }>;

/** Opens a file for writing that a Run may have replaced; undefined when it is no file, or has another name, too. */
const openOwn = (path: string): OwnFile | undefined => {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  const facts = fstatSync(fd);
  if (facts.isFile() && facts.nlink === 1) return { fd, size: facts.size };
  closeSync(fd);
  return undefined;
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

/** Writes nothing into the file that is kept; false when it is too large for that. */
const isBlanked = ({ fd, size }: OwnFile): boolean => {
  try {
    if (size > SMALL_BYTES) return false;
    replaceText(fd, BLANK, size);
    return true;
  } finally {
    closeSync(fd);
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
      if (name === keep && isEmptyFolder(path)) continue;
      if (!within({ folder, name }, (inner) => isEmptied(inner, '', budget))) return false;
      if (name !== keep) rmdirSync(path);
      continue;
    }
    // A file that has another name elsewhere must keep there what is in it.
    const own = name === keep && entry.isFile() ? openOwn(path) : undefined;
    if (own !== undefined) {
      if (!isBlanked(own)) return false;
    } else if (lstatSync(path).size > SMALL_BYTES) return false;
    else unlinkSync(path);
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
  const own = openOwn(path);
  if (own === undefined) throw new Error('the file of the attempt was replaced');
  try {
    replaceText(own.fd, text, own.size);
  } finally {
    closeSync(own.fd);
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

type Stocks = Readonly<Record<'workspaces' | 'own', Stock>>;

export class AttemptFiles {
  readonly #folders: Folders;
  readonly #work: HeldFolder;
  readonly #records: RecordFiles;
  readonly #stocks: Stocks;

  private constructor(folders: Folders, work: HeldFolder, records: RecordFiles, stocks: Stocks) {
    this.#folders = folders;
    this.#work = work;
    this.#records = records;
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
    return new AttemptFiles(folders, work, await RecordFiles.open(state), {
      workspaces: await Stock.open(() => openOwns(work), `stock-${podUid}-workspaces`, SCRIPT),
      own: await Stock.open(() => openOwns(work), `stock-${podUid}-own`, ARTIFACTS),
    });
  }

  /** Writes a record, whole or not at all where there was one in stock. */
  writeRecord(ref: AttemptRef, text: string): void {
    this.#records.write(recordOf(ref), text);
  }

  /** Removes the record of an attempt, and its end, which is kept only while the API is away. */
  removeRecord(ref: AttemptRef): void {
    const { end } = placesOf(this.#folders, ref);
    if (lstatSync(end, { throwIfNoEntry: false }) !== undefined) unlinkSync(end);
    this.#records.remove(recordOf(ref));
  }

  /** An empty folder for what is beside the workspace, with an empty one for artifacts in it. */
  async makeOwn(ref: AttemptRef): Promise<void> {
    const folder = openOwns(this.#work);
    try {
      const place = { folder, name: idOf(ref) };
      const taken = await this.#fresh(place, this.#stocks.own);
      if (taken?.hasChild) return;
      within(place, (own) => mkdirSync(own.at(ARTIFACTS), { mode: 0o770 }));
      if (taken === undefined) this.#stocks.own.made(place);
    } finally {
      folder.close();
    }
  }

  /** An empty folder, with the script in it where there is one. */
  async makeWorkspace({ uid }: AttemptRef, script: string | undefined): Promise<void> {
    const place = { folder: this.#work, name: uid };
    const taken = await this.#fresh(place, this.#stocks.workspaces);
    within(place, (workspace) => {
      const path = workspace.at(SCRIPT);
      if (taken?.hasChild) {
        if (script === undefined) unlinkSync(path);
        else rewrite(path, script);
      } else if (script !== undefined) writeFileSync(path, script, { mode: 0o770, flag: 'wx' });
    });
    if (taken === undefined) this.#stocks.workspaces.made(place);
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
    if (this.#work.facts().nlink === 0 || this.#records.folder.facts().nlink === 0)
      throw new Error(
        'the folder of workspaces or of records was removed; it is made anew at the next start',
      );
    const name = `trial-${randomUUID()}`;
    try {
      writeAndRemove(this.#records.folder.at(name));
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
    await Promise.all([this.#records, ...Object.values(this.#stocks)].map((each) => each.clear()));
  }

  async #remove(place: Place, keep: string, stock: Stock): Promise<void> {
    if (!putBack(place, keep, stock)) await removeTree(place.folder, place.name);
  }

  /** Makes the folder, or takes one, and says what was taken. What may have been left behind there goes. */
  async #fresh(place: Place, stock: Stock): Promise<Taken | undefined> {
    const { folder, name } = place;
    try {
      const taken = stock.take(place);
      if (taken !== undefined) return taken;
      // Others of the pod's group may use it: its fsGroup is shared.
      mkdirSync(folder.at(name), { mode: 0o770 });
    } catch (cause) {
      if (!['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(errorCode(cause))) throw cause;
      await removeTree(folder, name);
      mkdirSync(folder.at(name), { mode: 0o770 });
    }
    return undefined;
  }
}
