/** Archives that are the same whoever makes them: names sorted, one time, no owner. */
import { createReadStream, createWriteStream, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';

/** Files below a folder, as relative paths with slashes, sorted by bytes. */
export const filesBelow = (folder) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort((a, b) => (a < b ? -1 : 1));

/** Writes a .tar.gz with these files, `[name inside, path]`, in this order. */
export const writeArchive = async (path, files, date) => {
  const archive = pack();
  const written = pipeline(archive, createGzip({ level: 9 }), createWriteStream(path));
  for (const [name, source] of files) {
    const { size, mode } = lstatSync(source);
    const header = { name, size, mode: mode & 0o111 ? 0o755 : 0o644, mtime: date, uid: 0, gid: 0 };
    if (size < 1024 * 1024) archive.entry(header, readFileSync(source));
    else await pipeline(createReadStream(source), archive.entry(header));
  }
  archive.finalize();
  await written;
};
