/**
 * A folder of the volume that runtimed shares with the Runs of its pod, held open.
 *
 * The Runs have the same user id and may put a symbolic link into the place of any folder there at any moment, so a path
 * is not trusted: every step goes from a folder that is held open to one entry of it (through `/proc/self/fd`, what
 * openat(2) is to other languages) and follows no link. Whatever a Run does meanwhile, what is written or removed is
 * on that volume. Where there is no /proc, steps go by path.
 */
import { closeSync, constants, existsSync, fstatSync, openSync, type Stats } from 'node:fs';

const hasProc = existsSync('/proc/self/fd');

/** Where a folder is that is open: by its descriptor, which no rename and no link changes; by its path without /proc. */
export const openedPath = (fd: number, path: string): string => (hasProc ? `/proc/self/fd/${fd}` : path);

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/** Names of files are bytes: what lists a folder of a Run asks for them as such, since as text another file may come of it. */
export type EntryName = string | Buffer;

/** Path of an entry whose name is bytes. */
export const entryPath = (folder: EntryName, name: Buffer): Buffer =>
  Buffer.concat([Buffer.from(folder), Buffer.from('/'), name]);

export class HeldFolder {
  readonly #fd: number;
  readonly #path: string;

  private constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
  }

  /** The first of a walk: its path is runtimed's own, no Run can change it. */
  static open(path: string): HeldFolder {
    return new HeldFolder(openSync(path, O_RDONLY | O_DIRECTORY), path);
  }

  /** Runs `use` with the folder open that is so many steps below `path`. */
  static within<A>(path: string, names: ReadonlyArray<string>, use: (folder: HeldFolder) => A): A {
    let folder = HeldFolder.open(path);
    try {
      for (const name of names) {
        const above = folder;
        folder = above.below(name);
        above.close();
      }
      return use(folder);
    } finally {
      folder.close();
    }
  }

  /** Its own path, for a call that lists it. */
  get self(): string {
    return openedPath(this.#fd, this.#path);
  }

  /** The path of an entry, for a call that does not follow a link there (or opens with O_NOFOLLOW). */
  at(name: string): string;
  at(name: EntryName): EntryName;
  at(name: EntryName): EntryName {
    const text = name.toString();
    if (text === '' || text === '.' || text === '..' || text.includes('/') || text.includes('\0'))
      throw new Error('a name leads out of its folder');
    return typeof name === 'string' ? `${this.self}/${name}` : entryPath(this.self, name);
  }

  /** Opens a folder in it; throws ELOOP or ENOTDIR for a link, also one to a folder. */
  below(name: EntryName): HeldFolder {
    const path = this.at(name);
    return new HeldFolder(
      openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
      `${this.#path}/${name.toString()}`,
    );
  }

  facts(): Stats {
    return fstatSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }
}
