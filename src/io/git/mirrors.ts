/**
 * What this pod keeps of repositories: one bare repository each, with the commits that were fetched whole.
 *
 *     <folder>/mirrors/<hash of URL>.<random>/   packs, packed-refs, shallow
 *     <folder>/fetches/<random>/                 one fetch or checkout: its HOME and a repository that borrows the mirror's objects
 *
 * A fetch writes into a folder of its own and never into a mirror; what it brought is moved in afterwards, packs by
 * rename, then the note of them. So fetches of one repository do not wait for each other, one that is broken off at any
 * moment leaves a folder that is removed at the next start, and a mirror needs no lock files.
 *
 * Bounded: beyond `cacheBytes` the mirrors that were not used for longest go, but never one in use. All mirrors and the
 * fetches under way together stay below `diskBytes`: a fetch has its room before it begins, or waits for it. What makes
 * room are mirrors that are not in use, the least recently used first; where those in use fill it, they are retired:
 * whoever comes later begins anew, and they go with their last user. Who waits for room holds no mirror, and who holds one
 * waits for nobody, so there is always somebody who goes on.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { makeRepository, readCommits, readShallow, writeCommits } from './repository.js';

/** More packs than this slow every command down; such a mirror is begun anew. */
const MAX_PACKS = 64;

type Mirror = {
  readonly path: string;
  readonly hashLength: number;
  readonly commits: Set<string>;
  packs: number;
  bytes: number;
  users: number;
};

export type MirrorBounds = Readonly<{ cacheBytes: number; diskBytes: number }>;

type Waiter = Readonly<{ bytes: number; begin: () => void }>;

/** A mirror in use. It is not removed before `release`. */
export type Lease = Readonly<{
  /** Its objects; nothing else of it is ever read by git. */
  objects: string;
  has: (commit: string) => boolean;
  /** Makes a repository that knows what the mirror has, for a fetch to write into. */
  prepare: (repository: string) => Promise<void>;
  /** Moves in what a fetch has brought; `commit` is whole from then on. */
  adopt: (repository: string, commit: string) => Promise<void>;
  /** It is damaged: what is in it is fetched anew. */
  condemn: () => void;
  /** The same mirror for another user. */
  share: () => Lease;
  release: () => void;
}>;

const packsOf = async (path: string): Promise<ReadonlyArray<string>> =>
  (await readdir(join(path, 'objects', 'pack'))).filter((name) =>
    /^pack-[0-9a-f]+\.(?:pack|idx|rev)$/.test(name),
  );

const sizeOf = async (path: string): Promise<Readonly<{ packs: number; bytes: number }>> => {
  const folder = join(path, 'objects', 'pack');
  const names = await packsOf(path);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return {
    packs: names.filter((name) => name.endsWith('.pack')).length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
  };
};

export class Mirrors {
  readonly #folder: string;
  readonly #bounds: MirrorBounds;
  /** By key, the least recently used first. */
  readonly #mirrors: Map<string, Mirror>;
  /** In use, and to go when they no longer are. */
  readonly #retired = new Set<Mirror>();
  /** Of those that are being removed. */
  #goingBytes = 0;
  /** Of fetches that have begun. */
  #reservedBytes = 0;
  /** Fetches without room, in the order they came. */
  readonly #waiters = new Set<Waiter>();
  /** Changes of mirrors, one after the other; all are short. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(folder: string, bounds: MirrorBounds, mirrors: Map<string, Mirror>) {
    this.#folder = folder;
    this.#bounds = bounds;
    this.#mirrors = mirrors;
  }

  /** Opens the folder, made if need be: rests of fetches go, mirrors that cannot be read go, too. */
  static async open(folder: string, bounds: MirrorBounds): Promise<Mirrors> {
    await rm(join(folder, 'fetches'), { recursive: true, force: true });
    await mkdir(join(folder, 'fetches'), { recursive: true, mode: 0o700 });
    await mkdir(join(folder, 'mirrors'), { recursive: true, mode: 0o700 });
    const found: Array<Readonly<{ key: string; mirror: Mirror; usedMs: number }>> = [];
    for (const name of await readdir(join(folder, 'mirrors'))) {
      const path = join(folder, 'mirrors', name);
      const [key = ''] = name.split('.');
      try {
        const commits = await readCommits(path);
        const [first] = commits;
        if (first === undefined) throw new Error('nothing whole is in it');
        const { mtimeMs: usedMs } = await stat(join(path, 'packed-refs'));
        const mirror: Mirror = {
          path,
          hashLength: first.length,
          commits: new Set(commits),
          users: 0,
          ...(await sizeOf(path)),
        };
        found.push({ key, mirror, usedMs });
      } catch {
        await rm(path, { recursive: true, force: true });
      }
    }
    found.sort((a, b) => a.usedMs - b.usedMs);
    const mirrors = new Map<string, Mirror>();
    for (const { key, mirror } of found) {
      // One that was retired, and its successor.
      const older = mirrors.get(key);
      if (older) await rm(older.path, { recursive: true, force: true });
      mirrors.delete(key);
      mirrors.set(key, mirror);
    }
    return new Mirrors(folder, bounds, mirrors);
  }

  /** A path for one fetch or checkout. Nobody can guess it, so nobody can have put settings for git there. */
  fetchFolder(): string {
    return join(this.#folder, 'fetches', randomUUID());
  }

  /** Bytes of all mirrors, those that are going included. */
  get bytes(): number {
    return [...this.#mirrors.values(), ...this.#retired].reduce(
      (sum, { bytes }) => sum + bytes,
      this.#goingBytes,
    );
  }

  /** Room for a fetch of so many bytes at most; to be given back. Rejects when the signal is raised before there is any. */
  reserve(bytes: number, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        bytes,
        begin: () => {
          signal.removeEventListener('abort', leave);
          this.#reservedBytes += bytes;
          let isBack = false;
          resolve(() => {
            if (isBack) return;
            isBack = true;
            this.#reservedBytes -= bytes;
            this.#admit();
          });
        },
      };
      const leave = (): void => {
        this.#waiters.delete(waiter);
        reject(signal.reason);
        this.#admit();
      };
      if (signal.aborted) {
        reject(signal.reason);
        return;
      }
      signal.addEventListener('abort', leave, { once: true });
      this.#waiters.add(waiter);
      this.#admit();
    });
  }

  /** Whether a fetch of that size is over the bound, by how much. */
  #excess(bytes: number): number {
    return this.bytes + this.#reservedBytes + bytes - this.#bounds.diskBytes;
  }

  /** Those who wait begin, in their order, as far as there is room or can be made. */
  #admit(): void {
    for (const waiter of this.#waiters) {
      if (this.#excess(waiter.bytes) > 0) this.#makeRoom(waiter.bytes);
      const isAlone = this.#reservedBytes === 0 && this.bytes === 0;
      if (this.#excess(waiter.bytes) > 0 && !isAlone) return;
      this.#waiters.delete(waiter);
      waiter.begin();
    }
  }

  /** What is going counts until it is gone: it is not begun with again. */
  #makeRoom(bytes: number): void {
    let excess = this.#excess(bytes) - this.#goingBytes;
    for (const [key, mirror] of this.#mirrors) {
      if (excess <= 0) return;
      if (mirror.users > 0) continue;
      excess -= mirror.bytes;
      this.#remove(key, mirror);
    }
    // Fetches under way end by themselves; mirrors that are used again and again might not.
    if (excess <= 0 || this.#reservedBytes > 0) return;
    for (const [key, mirror] of this.#mirrors) {
      this.#mirrors.delete(key);
      this.#retired.add(mirror);
    }
  }

  /** Takes the mirror of a repository into use. */
  lease(url: string, hashLength: number): Lease {
    const key = createHash('sha256').update(`${hashLength} ${url}`).digest('hex').slice(0, 32);
    let mirror = this.#mirrors.get(key);
    if (mirror !== undefined && mirror.users === 0 && mirror.packs > MAX_PACKS) {
      this.#remove(key, mirror);
      mirror = undefined;
    }
    mirror ??= {
      path: join(this.#folder, 'mirrors', `${key}.${randomUUID()}`),
      hashLength,
      commits: new Set(),
      packs: 0,
      bytes: 0,
      users: 0,
    };
    // To the end: the most recently used.
    this.#mirrors.delete(key);
    this.#mirrors.set(key, mirror);
    return this.#leaseOf(mirror);
  }

  #leaseOf(mirror: Mirror): Lease {
    mirror.users += 1;
    let isReleased = false;
    return {
      objects: join(mirror.path, 'objects'),
      has: (commit) => mirror.commits.has(commit),
      prepare: (repository) => this.#inTurn(() => this.#prepare(mirror, repository)),
      adopt: (repository, commit) => this.#inTurn(() => this.#adopt(mirror, repository, commit)),
      condemn: () => mirror.commits.clear(),
      share: () => this.#leaseOf(mirror),
      release: () => {
        if (isReleased) return;
        isReleased = true;
        mirror.users -= 1;
        if (mirror.users === 0 && this.#retired.delete(mirror)) this.#discard(mirror);
        this.#evict();
        this.#admit();
      },
    };
  }

  #inTurn<A>(change: () => Promise<A>): Promise<A> {
    const result = this.#turn.then(change);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #prepare({ path, hashLength, commits }: Mirror, repository: string): Promise<void> {
    if (commits.size === 0) {
      await makeRepository(repository, hashLength);
      return;
    }
    await makeRepository(repository, hashLength, join(path, 'objects'));
    await writeCommits(repository, [...commits], await readShallow(path));
  }

  async #adopt(mirror: Mirror, repository: string, commit: string): Promise<void> {
    const { path, hashLength, commits } = mirror;
    if (commits.size === 0) {
      await rm(path, { recursive: true, force: true });
      await makeRepository(path, hashLength);
    }
    // The index last: without it a pack is not looked at.
    const names = [...(await packsOf(repository))].sort(
      (a, b) => Number(a.endsWith('.idx')) - Number(b.endsWith('.idx')),
    );
    for (const name of names)
      await rename(join(repository, 'objects', 'pack', name), join(path, 'objects', 'pack', name));
    const shallow = new Set([...(await readShallow(path)), ...(await readShallow(repository))]);
    await writeCommits(path, [...commits, commit], [...shallow]);
    commits.add(commit);
    Object.assign(mirror, await sizeOf(path));
  }

  #evict(): void {
    let over = this.bytes - this.#goingBytes - this.#bounds.cacheBytes;
    for (const [key, mirror] of this.#mirrors) {
      if (mirror.users > 0) continue;
      if (over <= 0 && mirror.commits.size > 0) continue;
      over -= mirror.bytes;
      this.#remove(key, mirror);
    }
  }

  /** Out of the way at once, by rename; the rest takes its time. */
  #remove(key: string, mirror: Mirror): void {
    this.#mirrors.delete(key);
    this.#discard(mirror);
  }

  #discard({ path, bytes }: Mirror): void {
    this.#goingBytes += bytes;
    const rest = this.fetchFolder();
    this.#inTurn(() => rename(path, rest))
      .then(() => rm(rest, { recursive: true, force: true }))
      .catch(() => undefined)
      .finally(() => {
        this.#goingBytes -= bytes;
        this.#admit();
      });
  }
}
