/**
 * Folders of attempts that are over, for attempts to come: emptied and moved aside instead of removed, moved
 * into place instead of made.
 *
 * Making and removing costs a file system more the more of it was done lately: ext4 does not give out the number of
 * a file that was removed in the last minutes and steps over all of them each time. At some hundred Runs a second
 * that was the largest single cost of a Run (docs/performance.md). Moving makes nothing and removes nothing.
 *
 * What comes out of the stock is as what was just made: nothing is taken in whose owner, rights or links the Run has
 * changed, and nothing is given out that was touched in between.
 */
import { lstatSync, mkdirSync, renameSync, type Stats } from 'node:fs';

import type { HeldFolder } from './held-folder.js';
import { removeTree } from './remove-tree.js';

/** Things kept at most; more ran at once only for a while. */
const MOST = 256;
/** What a folder takes on most file systems. */
const PAGE_BYTES = 4_096;

/** What must be as it was when the thing was made. */
type Form = Readonly<{ isFolder: boolean; mode: number; uid: number; gid: number; size: number }>;
/** What must be as it was when the thing was taken in. */
type Touch = Readonly<{ ino: number; mtimeMs: number; ctimeMs: number }>;

type Kept = Readonly<{ name: string; own: Touch; child: Touch | undefined }>;

const look = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false });

const formOf = (facts: Stats): Form => ({
  isFolder: facts.isDirectory(),
  mode: facts.mode,
  uid: facts.uid,
  gid: facts.gid,
  size: facts.size,
});

const hasForm = (facts: Stats, form: Form | undefined): boolean =>
  form !== undefined &&
  facts.isDirectory() === form.isFolder &&
  facts.mode === form.mode &&
  facts.uid === form.uid &&
  facts.gid === form.gid &&
  // One more link to a file is somebody else's way to it; a folder that once held much stays slow.
  (form.isFolder ? facts.size <= Math.max(form.size, PAGE_BYTES) : facts.nlink === 1);

const touchOf = ({ ino, mtimeMs, ctimeMs }: Stats): Touch => ({ ino, mtimeMs, ctimeMs });

/** A rename changes the time of change of what is renamed, so that of the thing itself says nothing. */
const isUntouched = (facts: Stats | undefined, touch: Touch, isRenamed: boolean): boolean =>
  facts !== undefined &&
  facts.ino === touch.ino &&
  facts.mtimeMs === touch.mtimeMs &&
  (isRenamed || facts.ctimeMs === touch.ctimeMs);

/** What is put in or given out: an entry of a folder that is held open. */
export type Place = Readonly<{ folder: HeldFolder; name: string }>;

/** What was given out. */
export type Taken = Readonly<{ hasChild: boolean }>;

/** Folders of one kind, with at most one entry, always of the same name. */
export class Stock {
  readonly #openParent: () => HeldFolder;
  readonly #name: string;
  readonly #child: string | undefined;
  readonly #kept: Kept[] = [];
  #root: HeldFolder | undefined;
  #form: Form | undefined;
  #childForm: Form | undefined;
  #serial = 0;

  private constructor(openParent: () => HeldFolder, name: string, child: string | undefined) {
    this.#openParent = openParent;
    this.#name = name;
    this.#child = child;
  }

  /**
   * @param openParent opens the folder that the stock's is in
   * @param name of a folder of its own on the disk of the things, which an earlier stock may have left full; it is made
   *   when the first thing is taken in
   * @param child the one entry that a folder may have
   */
  static async open(openParent: () => HeldFolder, name: string, child?: string): Promise<Stock> {
    const stock = new Stock(openParent, name, child);
    await stock.clear();
    return stock;
  }

  /** Notes how a thing looks that was just made there. */
  made({ folder, name }: Place): void {
    this.#form ??= formOf(lstatSync(folder.at(name)));
    const child = this.#lookInto(folder, name);
    if (child !== undefined) this.#childForm ??= formOf(child);
  }

  /** Takes the thing in, which is empty but for its child; false, and nothing was done, when it is not as it was made. */
  put({ folder, name }: Place): boolean {
    const facts = look(folder.at(name));
    if (facts === undefined || this.#kept.length >= MOST || !hasForm(facts, this.#form)) return false;
    const child = this.#lookInto(folder, name);
    if (child !== undefined && !hasForm(child, this.#childForm)) return false;
    const root = this.#open();
    this.#serial += 1;
    const kept = String(this.#serial);
    renameSync(folder.at(name), root.at(kept));
    this.#kept.push({ name: kept, own: touchOf(facts), child: child && touchOf(child) });
    return true;
  }

  /** Gives one out, at this place; undefined when there is none. Throws when something else is there. */
  take({ folder, name }: Place): Taken | undefined {
    const root = this.#root;
    if (root === undefined) return undefined;
    for (let kept = this.#kept.pop(); kept !== undefined; kept = this.#kept.pop()) {
      if (this.#isAsKept(root, kept)) {
        renameSync(root.at(kept.name), folder.at(name));
        return { hasChild: kept.child !== undefined };
      }
      // What cannot be removed now is removed with the stock.
      removeTree(root, kept.name).catch(() => undefined);
    }
    return undefined;
  }

  /** Removes all of it; it can be used again. */
  async clear(): Promise<void> {
    this.#kept.length = 0;
    this.#root?.close();
    this.#root = undefined;
    const parent = this.#openParent();
    await removeTree(parent, this.#name).finally(() => parent.close());
  }

  #open(): HeldFolder {
    if (this.#root !== undefined) return this.#root;
    const parent = this.#openParent();
    try {
      mkdirSync(parent.at(this.#name), { mode: 0o700 });
      this.#root = parent.below(this.#name);
      return this.#root;
    } finally {
      parent.close();
    }
  }

  /** The one entry of a folder. */
  #lookInto(folder: HeldFolder, name: string): Stats | undefined {
    return this.#child === undefined ? undefined : look(`${folder.at(name)}/${this.#child}`);
  }

  #isAsKept(root: HeldFolder, { name, own, child }: Kept): boolean {
    const facts = look(root.at(name));
    if (facts === undefined || !hasForm(facts, this.#form) || !isUntouched(facts, own, true)) return false;
    return child === undefined || isUntouched(this.#lookInto(root, name), child, false);
  }
}
