/**
 * A directory as a tar.gz whose bytes depend on names, contents and executability alone: entries sorted, owners and
 * times zero, modes 0755 or 0644. Streamed: one file open at a time, besides the directories above it.
 */
import type { Stats } from 'node:fs';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';

import * as tar from 'tar-stream';

import { shownName } from '../../decide/artifacts/rules.js';
import { bytesOf, entriesOf, type OpenFolder, withEntry } from './open-below.js';

const EPOCH = new Date(0);
const OWNER = { uid: 0, gid: 0, uname: '', gname: '', mtime: EPOCH };

const ended = (pack: tar.Pack): Promise<never> =>
  new Promise((_resolve, reject) => {
    pack.once('close', () => reject(new Error('the reader of the archive has gone')));
  });

/** Writes one file; `gone` rejects when nobody reads any more. */
const packFile = async (
  pack: tar.Pack,
  path: string,
  facts: Stats,
  bytes: AsyncIterable<Buffer>,
  gone: Promise<never>,
): Promise<void> => {
  const mode = (facts.mode & 0o111) === 0 ? 0o644 : 0o755;
  let settle: (error?: Error | null) => void = () => undefined;
  const written = new Promise<void>((resolve, reject) => {
    settle = (error) => (error ? reject(error) : resolve());
  });
  const entry = pack.entry({ ...OWNER, name: path, size: facts.size, mode, type: 'file' }, (error) =>
    settle(error),
  );
  for await (const chunk of bytes)
    if (!entry.write(chunk))
      await Promise.race([new Promise((resolve) => entry.once('drain', resolve)), gone]);
  entry.end();
  await Promise.race([written, gone]);
};

const packBelow = async (
  pack: tar.Pack,
  folder: OpenFolder,
  path: string,
  gone: Promise<never>,
): Promise<void> => {
  pack.entry({ ...OWNER, name: `${path}/`, mode: 0o755, type: 'directory' });
  for (const name of await entriesOf(folder)) {
    const below = `${path}/${name}`;
    const label = shownName(below);
    await withEntry(folder, name, label, undefined, ({ handle, facts }, inner) =>
      facts.isDirectory()
        ? packBelow(pack, inner, below, gone)
        : packFile(pack, below, facts, bytesOf(handle, label, facts.size), gone),
    );
  }
};

const BATCH_BYTES = 128 * 1024;

/** The same bytes in larger chunks: each write to zlib is a round to its thread. */
const batched = async function* (chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    held.push(chunk);
    size += chunk.length;
    if (size < BATCH_BYTES) continue;
    yield Buffer.concat(held, size);
    held = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(held, size);
};

/** The archive of the directory `name` of `root`; throws ArtifactProblem where something cannot be packed. */
export const packed = async function* (root: OpenFolder, name: string, seen: Stats): AsyncGenerator<Buffer> {
  const pack = tar.pack();
  const gone = ended(pack);
  gone.catch(() => undefined);
  let failure: unknown;
  const packing = withEntry(root, name, shownName(name), seen, (_entry, folder) =>
    packBelow(pack, folder, name, gone),
  ).then(
    () => pack.finalize(),
    (cause: unknown) => {
      failure ??= cause;
      pack.destroy(cause instanceof Error ? cause : new Error(String(cause)));
    },
  );
  const source = Readable.from(batched(pack));
  const gzip = createGzip();
  source.on('error', (cause) => gzip.destroy(cause));
  source.pipe(gzip);
  try {
    for await (const chunk of gzip) yield chunk as Buffer;
  } catch (cause) {
    throw failure ?? cause;
  } finally {
    source.destroy();
    gzip.destroy();
    pack.destroy();
    await packing;
  }
};
