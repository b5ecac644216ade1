/** A bare repository written by hand: nothing but what git needs, so that no template, hook or setting comes along. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the ref that keeps a fetched commit is. */
const PREFIX = 'refs/kruntimes/';

export const refOfCommit = (commit: string): string => `${PREFIX}${commit}`;

/** `sha1` or `sha256`, by the length of a hash. */
const configOf = (hashLength: number): string =>
  hashLength === 64
    ? '[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = sha256\n'
    : '[core]\n\trepositoryformatversion = 0\n\tbare = true\n';

/** Makes an empty one; `objects` is a folder of objects it has, besides its own. */
export const makeRepository = async (path: string, hashLength: number, objects?: string): Promise<void> => {
  await mkdir(join(path, 'objects', 'info'), { recursive: true, mode: 0o700 });
  await mkdir(join(path, 'objects', 'pack'), { mode: 0o700 });
  await mkdir(join(path, 'refs'), { mode: 0o700 });
  await writeFile(join(path, 'config'), configOf(hashLength));
  if (objects !== undefined) await writeFile(join(path, 'objects', 'info', 'alternates'), `${objects}\n`);
  await writeFile(join(path, 'HEAD'), 'ref: refs/heads/none\n');
};

const readLines = async (path: string): Promise<ReadonlyArray<string>> => {
  try {
    return (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
  } catch {
    return [];
  }
};

const replace = async (path: string, text: string): Promise<void> => {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
};

/** Commits that are there whole, with all their files. */
export const readCommits = async (path: string): Promise<ReadonlyArray<string>> =>
  (await readLines(join(path, 'packed-refs'))).flatMap((line) => {
    const [commit = '', name] = line.split(' ');
    return name === refOfCommit(commit) ? [commit] : [];
  });

/** Commits whose parents are not there. */
export const readShallow = (path: string): Promise<ReadonlyArray<string>> => readLines(join(path, 'shallow'));

/**
 * Notes what is there, `shallow` first: a ref must never lead to a commit whose missing parents are not known to be.
 */
export const writeCommits = async (
  path: string,
  commits: ReadonlyArray<string>,
  shallow: ReadonlyArray<string>,
): Promise<void> => {
  if (shallow.length > 0) await replace(join(path, 'shallow'), `${[...shallow].sort().join('\n')}\n`);
  const refs = [...commits].sort().map((commit) => `${commit} ${refOfCommit(commit)}`);
  await replace(
    join(path, 'packed-refs'),
    `# pack-refs with: peeled fully-peeled sorted \n${refs.join('\n')}\n`,
  );
};
