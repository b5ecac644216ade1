/** Where do the submodules of a commit come from? By its `.gitmodules`, and relative to the repository's own URL. */
import * as E from 'fp-ts/lib/Either.js';

import { type GitRemote, gitRemote } from './remote.js';

/** A submodule as the tree of a commit has it. */
export type SubmoduleLink = Readonly<{ path: string; commit: string }>;

/** Path → URL, by the output of `git config -z --get-regexp` over `.gitmodules`. */
export const submoduleUrls = (listing: string): ReadonlyMap<string, string> => {
  const values = new Map(
    listing.split('\0').flatMap((entry): ReadonlyArray<readonly [string, string]> => {
      const newline = entry.indexOf('\n');
      return newline < 0 ? [] : [[entry.slice(0, newline), entry.slice(newline + 1)]];
    }),
  );
  return new Map(
    [...values].flatMap(([key, path]): ReadonlyArray<readonly [string, string]> => {
      const url = values.get(key.replace(/\.path$/, '.url'));
      return key.endsWith('.path') && url !== undefined ? [[path, url]] : [];
    }),
  );
};

/** Takes as many folders off the end of a URL's path as `../` ask for; undefined when there are not so many. */
const resolved = (base: string, relative: string): string | undefined => {
  // "https://host/", "ssh://user@host/" or "user@host:", then the path.
  const [, head, path] = /^([a-z]+:\/\/[^/]*\/|[^/:]*:)(.*)$/.exec(base) ?? [];
  if (head === undefined || path === undefined) return undefined;
  const folders = path.replace(/\/+$/, '').split('/');
  for (const step of relative.split('/')) {
    if (step === '.' || step === '') continue;
    if (step !== '..') folders.push(step);
    else if (folders.pop() === undefined) return undefined;
  }
  return folders.length === 0 ? undefined : `${head}${folders.join('/')}`;
};

/** The repository of a submodule, under the same rules as any other; or what is wrong with its URL. */
export const submoduleRemote = (parent: string, url: string | undefined): E.Either<string, GitRemote> => {
  if (url === undefined) return E.left('.gitmodules has no URL for it');
  const isRelative = url.startsWith('./') || url.startsWith('../');
  const whole = isRelative ? resolved(parent, url) : url;
  const remote = whole === undefined ? E.left('its URL leads above the host') : gitRemote(whole);
  return E.mapLeft((problem: string) => problem.replace('repoURL', 'its URL in .gitmodules'))(remote);
};
