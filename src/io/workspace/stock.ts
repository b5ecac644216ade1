/**
 * Folders and files of attempts that are over, for attempts to come: emptied and moved aside instead of removed, moved
 * into place instead of made.
 *
 * Making and removing costs a file system more the more of it was done lately: ext4 does not give out the number of
 * a file that was removed in the last minutes and steps over all of them each time. At some hundred Runs a second
 * that was the largest single cost of a Run (docs/performance.md). Moving makes nothing and removes nothing.
 *
 * What comes out of the stock is as what was just made: nothing is taken in whose owner, rights or links the Run has
 * changed, and nothing is given out that was touched in between.
 */
import { lstatSync, mkdirSync, renameSync, rmSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** Things kept at most; more ran at once only for a while. */
const MOST = 256;
/** What a folder takes on most file systems. */
const PAGE_BYTES = 4_096;

/** What must be as it was when the thing was made. */
type Form = Readonly<{ isFolder: boolean; mode: number; uid: number; gid: number; size: number }>;
/** What must be as it was when the thing was taken in. */
type Touch = Readonly<{ ino: number; mtimeMs: number; ctimeMs: number }>;

type Kept = Readonly<{ at: string; own: Touch; child: Touch | undefined }>;

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

/** Things of one kind: files, or folders with at most one entry, always of the same name. */
export class Stock {
  readonly #root: string;
  readonly #child: string | undefined;
  readonly #kept: Kept[] = [];
  #form: Form | undefined;
  #childForm: Form | undefined;
  #serial = 0;

  /**
   * @param root a folder of its own on the disk of the things, which an earlier stock may have left full; it is made
   *   when the first thing is taken in
   * @param child the one entry that a folder may have
   */
  constructor(root: string, child?: string) {
    this.#root = root;
    this.#child = child;
    rmSync(root, { recursive: true, force: true });
  }

  /** Notes how a thing looks that was just made there. */
  made(path: string): void {
    this.#form ??= formOf(lstatSync(path));
    const child = this.#child === undefined ? undefined : look(join(path, this.#child));
    if (child !== undefined) this.#childForm ??= formOf(child);
  }

  /** Takes the thing in, which is empty but for its child; false, and nothing was done, when it is not as it was made. */
  put(path: string): boolean {
    const facts = look(path);
    if (facts === undefined || this.#kept.length >= MOST || !hasForm(facts, this.#form)) return false;
    const child = this.#child === undefined ? undefined : look(join(path, this.#child));
    if (child !== undefined && !hasForm(child, this.#childForm)) return false;
    if (this.#serial === 0) mkdirSync(this.#root, { mode: 0o700 });
    this.#serial += 1;
    const at = join(this.#root, String(this.#serial));
    renameSync(path, at);
    this.#kept.push({ at, own: touchOf(facts), child: child && touchOf(child) });
    return true;
  }

  /**
   * Gives one out, at this path; false when there is none. Throws when something else is there.
   *
   * @param prepare what is to be done to it before it is there, given where it is
   */
  take(path: string, prepare: (at: string) => void = () => undefined): boolean {
    for (let kept = this.#kept.pop(); kept !== undefined; kept = this.#kept.pop()) {
      if (this.#isAsKept(kept)) {
        prepare(kept.at);
        renameSync(kept.at, path);
        return true;
      }
      rmSync(kept.at, { recursive: true, force: true });
    }
    return false;
  }

  /** Removes all of it. */
  clear(): void {
    this.#kept.length = 0;
    this.#serial = 0;
    rmSync(this.#root, { recursive: true, force: true });
  }

  #isAsKept({ at, own, child }: Kept): boolean {
    const facts = look(at);
    if (facts === undefined || !hasForm(facts, this.#form) || !isUntouched(facts, own, true)) return false;
    return child === undefined || this.#child === undefined
      ? true
      : isUntouched(look(join(at, this.#child)), child, false);
  }
}
