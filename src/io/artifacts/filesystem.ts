/**
 * Artifacts in a folder: of a volume claim on a cluster, of the data folder on one machine.
 *
 * An object is written beside, under a name of its own below `.uploads`, flushed to disk and renamed, so that it is
 * whole or not there. Folders are 0700, files 0600. Keys are checked and the folder belongs to runtimed alone, so no
 * name leads out of it. `owner` (the pod's UID) begins the names of unfinished writes, and the key's folder ends them:
 * after a restart `sweep` knows its own, `remove` takes those of its prefix along, and what is left of pods that are
 * gone goes when it is a day old.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { keyProblem } from '../../decide/artifacts/keys.js';
import {
  type ArtifactStore,
  type StoredKey,
  StoreError,
  type StoreErrorKind,
  type WriteOptions,
} from './store.js';

const UPLOADS = '.uploads';
/** Age at which an unfinished write is nobody's, milliseconds: longer than any upload is tried. */
const ABANDONED_MS = 24 * 3600 * 1000;

const codeOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : '';

const KINDS: Readonly<Record<string, StoreErrorKind>> = {
  ENOENT: 'NotFound',
  ENOSPC: 'Full',
  EDQUOT: 'Full',
  EACCES: 'Refused',
  EPERM: 'Refused',
  ENAMETOOLONG: 'Refused',
};

export type FilesystemOptions = Readonly<{
  /** Folder of the store; made when it is not there. */
  folder: string;
  /** Name of the claim, for locations and messages. */
  claim: string;
  /** Who writes: the pod's UID. */
  owner: string;
  now?: () => number;
}>;

const write = async (
  file: FileHandle,
  bytes: AsyncIterable<Buffer>,
  { signal, sync = true }: WriteOptions,
): Promise<void> => {
  for await (const chunk of bytes) {
    signal?.throwIfAborted();
    for (let at = 0; at < chunk.length; ) {
      const { bytesWritten } = await file.write(chunk, at);
      at += bytesWritten;
    }
  }
  if (sync) await file.sync();
};

/** Calls, and once more after making the folder, where that is missing. */
const inFolder = async <A>(folder: string, call: () => Promise<A>): Promise<A> => {
  try {
    return await call();
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') throw cause;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return call();
  }
};

/** So that the entry itself survives a power cut. */
const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};

/** The store in that folder. */
export const filesystemStore = ({
  folder,
  claim,
  owner,
  now = Date.now,
}: FilesystemOptions): ArtifactStore => {
  const name = `claim ${claim}`;
  const uploads = join(folder, UPLOADS);
  /** Where the last object went: the next one of a Run has its folder. */
  let lastFolder = '';
  /** What this process writes, `sweep` leaves alone. */
  const life = `${owner}.${randomUUID()}`;

  const failure = (what: string, cause: unknown): StoreError => {
    if (cause instanceof StoreError) return cause;
    const code = codeOf(cause);
    const kind = KINDS[code] ?? 'Unavailable';
    const why =
      kind === 'Full'
        ? 'there is no room left'
        : kind === 'NotFound'
          ? 'it is not there'
          : // ext4 turns so where its disk fails, until somebody has mended it.
            code === 'EROFS'
            ? 'its file system is read-only'
            : code;
    return new StoreError(
      kind,
      `${what} in ${name}: ${why || (cause instanceof Error ? cause.message : cause)}`,
      cause,
    );
  };

  const pathOf = (key: string): string => {
    const problem = keyProblem(key);
    if (problem || key.startsWith(`${UPLOADS}/`))
      throw new StoreError('Refused', `key ${JSON.stringify(key)} ${problem ?? 'is reserved'}`);
    return join(folder, key);
  };

  /** A prefix as part of the name of an unfinished write. */
  const flat = (prefix: string): string => prefix.replaceAll('/', '+');

  const uploading = async (): Promise<ReadonlyArray<string>> => {
    try {
      return await readdir(uploads);
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return [];
      throw cause;
    }
  };

  const walk = async function* (path: string, key: string): AsyncGenerator<StoredKey> {
    let entries: ReadonlyArray<string>;
    try {
      entries = await readdir(path);
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return;
      throw failure(`${key} cannot be listed`, cause);
    }
    for (const entry of entries) {
      const facts = await lstat(join(path, entry)).catch((cause: unknown) => {
        if (codeOf(cause) === 'ENOENT') return undefined;
        throw failure(`${key}${entry} cannot be read`, cause);
      });
      if (facts?.isDirectory()) yield* walk(join(path, entry), `${key}${entry}/`);
      else if (facts?.isFile())
        yield { key: `${key}${entry}`, sizeBytes: facts.size, modifiedMs: facts.mtimeMs };
    }
  };

  return {
    driver: 'filesystem',
    name,
    write: async (key, bytes, options) => {
      const target = pathOf(key);
      const own = join(uploads, `${life}.${randomUUID()}.${flat(dirname(key))}.`);
      const stored = (cause: unknown): StoreError => failure(`${key} cannot be stored`, cause);
      let sourceFailed = false;
      const watched = async function* (): AsyncGenerator<Buffer> {
        try {
          yield* bytes;
        } catch (cause) {
          sourceFailed = true;
          throw cause;
        }
      };
      try {
        const file = await inFolder(uploads, () => open(own, 'wx', 0o600));
        try {
          await write(file, watched(), options);
        } finally {
          await file.close();
        }
        const into = dirname(target);
        if (into !== lastFolder) await mkdir(into, { recursive: true, mode: 0o700 });
        lastFolder = into;
        await inFolder(into, () => rename(own, target));
        if (options.sync !== false) await syncFolder(into);
      } catch (cause) {
        await rm(own, { force: true }).catch(() => undefined);
        if (sourceFailed) throw cause;
        // Somebody removed a folder of ours meanwhile: it can be made again.
        throw codeOf(cause) === 'ENOENT'
          ? new StoreError('Unavailable', `${key} cannot be stored in ${name}: its folder was removed`, cause)
          : stored(cause);
      }
      return `${claim}/${key}`;
    },
    read: async (key, fromByte) => {
      const path = pathOf(key);
      let file: FileHandle;
      try {
        file = await open(path, 'r');
      } catch (cause) {
        throw failure(`${key} cannot be read`, cause);
      }
      return createReadStream(path, { fd: file, start: fromByte, highWaterMark: 256 * 1024 });
    },
    list: (prefix) => walk(pathOf(prefix), prefix),
    // `pathOf` wants two segments: the second is not there.
    listNamespace: (namespace) => walk(dirname(pathOf(`${namespace}/any`)), `${namespace}/`),
    remove: async (prefix) => {
      try {
        await rm(pathOf(prefix), { recursive: true, force: true });
        // `a/b/` is part of `.a+b.`, and of `.a+b+1.`.
        const parts = ['.', '+'].map((end) => `.${flat(prefix.replace(/\/$/, ''))}${end}`);
        for (const entry of await uploading())
          if (parts.some((part) => entry.includes(part))) await rm(join(uploads, entry), { force: true });
      } catch (cause) {
        throw failure(`${prefix} cannot be removed`, cause);
      }
    },
    sweep: async () => {
      try {
        for (const entry of await uploading()) {
          const path = join(uploads, entry);
          const facts = await lstat(path).catch(() => undefined);
          const isOwn = entry.startsWith(`${owner}.`) && !entry.startsWith(`${life}.`);
          if (isOwn || (facts && now() - facts.mtimeMs > ABANDONED_MS)) await rm(path, { force: true });
        }
      } catch (cause) {
        throw failure('unfinished uploads cannot be removed', cause);
      }
    },
  };
};
