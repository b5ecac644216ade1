/**
 * The main script of the single executable: unpacks the programs once per version and runs the one that is asked for,
 * krt unless the first argument is one of them: that is how the parts of `krt up` start each other.
 *
 * They are unpacked because node gives a script inside an executable no modules of its own. Where: `$KRT_PROGRAMS`,
 * else krt/ in the user's cache folder, else a folder of the user's in the temporary one.
 */
const { createHash } = require('node:crypto');
const {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} = require('node:fs');
const { createRequire } = require('node:module');
const { homedir, tmpdir } = require('node:os');
const { basename, dirname, isAbsolute, join } = require('node:path');
const { getAsset, getRawAsset } = require('node:sea');
const { brotliDecompressSync } = require('node:zlib');

const id = getAsset('id', 'utf8');

/** Nobody else may have put something there for us to run. */
const isOurs = (folder) => {
  const { uid, mode } = lstatSync(folder);
  return lstatSync(folder).isDirectory() && uid === process.getuid() && (mode & 0o022) === 0;
};

/** Writes all files beside the place and moves them there in one step. */
const unpack = (parent, place) => {
  const packed = Buffer.from(getRawAsset('programs'));
  if (createHash('sha256').update(packed).digest('hex').slice(0, 16) !== id.split('-').at(-1))
    throw new Error('this executable is damaged');
  const scratch = mkdtempSync(join(parent, '.unpacking-'));
  try {
    for (const [path, text] of Object.entries(JSON.parse(brotliDecompressSync(packed).toString()))) {
      mkdirSync(dirname(join(scratch, path)), { recursive: true });
      writeFileSync(join(scratch, path), text);
    }
    renameSync(scratch, place);
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true });
    // Another one was quicker.
    if (!existsSync(join(place, 'boot.cjs'))) throw error;
  }
};

const programs = () => {
  const cache = process.env.XDG_CACHE_HOME;
  const parents = process.env.KRT_PROGRAMS
    ? [process.env.KRT_PROGRAMS]
    : [
        join(cache && isAbsolute(cache) ? cache : join(homedir(), '.cache'), 'krt'),
        join(tmpdir(), `krt-${process.getuid()}`),
      ];
  let reason;
  for (const parent of parents)
    try {
      const place = join(parent, id);
      mkdirSync(parent, { recursive: true, mode: 0o700 });
      if (!isOurs(parent)) throw new Error(`${parent} belongs to somebody else, or others may write to it`);
      if (!existsSync(join(place, 'boot.cjs'))) unpack(parent, place);
      if (!isOurs(place)) throw new Error(`${place} belongs to somebody else, or others may write to it`);
      return place;
    } catch (error) {
      reason ??= error;
    }
  throw new Error(`krt has no place to unpack itself (${reason.message}); name one with KRT_PROGRAMS`);
};

/** Where a program of ours has been unpacked; its starter may have had another home than we have. */
const placeOf = (program) => {
  const place = dirname(dirname(program));
  return isAbsolute(program) && basename(place) === id && existsSync(join(place, 'boot.cjs')) && isOurs(place)
    ? place
    : undefined;
};

try {
  const [execPath, , ...rest] = process.argv;
  const known = rest[0] === undefined ? undefined : placeOf(rest[0]);
  const place = known ?? programs();
  process.argv = known ? [execPath, ...rest] : [execPath, join(place, 'dist/krt.js'), ...rest];
  createRequire(join(place, 'boot.cjs'))('./boot.cjs');
} catch (error) {
  process.stderr.write(`krt: ${error.message}\n`);
  process.exit(1);
}
