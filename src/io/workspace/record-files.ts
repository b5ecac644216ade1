/**
 * The files of records, in folders that no Run can reach: those of attempts that are over are written over and moved
 * into place, for the reason that `stock.ts` gives, but without its suspicion.
 */
import { closeSync, openSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { errorCode } from '../error-code.js';
import { HeldFolder } from './held-folder.js';
import { replaceText } from './replace-text.js';

/** Files kept at most; more ran at once only for a while. */
const MOST = 256;
/** Of the state folder. */
const STOCK = 'stock';

export class RecordFiles {
  readonly #folder: HeldFolder;
  readonly #stock: string;
  readonly #spare: string[] = [];
  #serial = 0;

  private constructor(folder: HeldFolder, stock: string) {
    this.#folder = folder;
    this.#stock = stock;
  }

  /** Once, at the start. @param state the folder of runtimed's own volume; its folder `attempts` is there */
  static async open(state: string): Promise<RecordFiles> {
    const files = new RecordFiles(HeldFolder.open(join(state, 'attempts')), join(state, STOCK));
    await files.clear();
    return files;
  }

  /** The folder of records, held open. */
  get folder(): HeldFolder {
    return this.#folder;
  }

  /** Writes a record of that name: whole or not at all where there was a file to spare. */
  write(name: string, text: string): void {
    const place = this.#folder.at(name);
    const spare = this.#spare.pop();
    if (spare === undefined || !this.#rewrite(spare, text)) writeFileSync(place, text, { mode: 0o600 });
    else renameSync(spare, place);
  }

  /** Removes a record, if there is one. */
  remove(name: string): void {
    const place = this.#folder.at(name);
    try {
      if (this.#spare.length >= MOST) unlinkSync(place);
      else {
        this.#serial += 1;
        const spare = join(this.#stock, String(this.#serial));
        renameSync(place, spare);
        this.#spare.push(spare);
      }
    } catch (cause) {
      if (errorCode(cause) !== 'ENOENT') throw cause;
      // Either there is no record, or no stock.
      rmSync(place, { force: true });
    }
  }

  /** Removes what is kept for attempts to come. */
  async clear(): Promise<void> {
    this.#spare.length = 0;
    await rm(this.#stock, { recursive: true, force: true });
    await mkdir(this.#stock, { recursive: true, mode: 0o700 });
  }

  #rewrite(spare: string, text: string): boolean {
    let fd: number;
    try {
      fd = openSync(spare, 'r+');
    } catch {
      return false;
    }
    try {
      replaceText(fd, text);
      return true;
    } finally {
      closeSync(fd);
    }
  }
}
