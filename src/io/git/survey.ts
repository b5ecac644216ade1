/** How much is in a commit? Read from its trees before a file is written: a small pack may hold very large files. */
import type { SubmoduleLink } from '../../decide/git/submodules.js';
import type { GitLimits } from '../../model/git.js';
import { SourceFailure } from './failure.js';

/** Longest entry of a listing that is waited for. */
const MAX_ENTRY_BYTES = 65_536;
/** Submodules of one commit, those of its submodules included. */
const MAX_SUBMODULES = 64;

/** Adds up one listing after another. */
export type Survey = Readonly<{
  /** The next bytes of `git ls-tree -r -l -z`; false when a bound was passed and no more need come. */
  take: (chunk: Buffer) => boolean;
  /** @throws SourceFailure when a bound was passed. */
  check: () => void;
  /** The submodules seen since this was last asked. */
  takeLinks: () => ReadonlyArray<SubmoduleLink>;
}>;

export const startSurvey = ({ maxBytes, maxEntries }: Pick<GitLimits, 'maxBytes' | 'maxEntries'>): Survey => {
  let rest: Buffer = Buffer.alloc(0);
  let entries = 0;
  let bytes = 0;
  let submodules = 0;
  let links: SubmoduleLink[] = [];
  let problem: string | undefined;

  const takeEntry = (entry: Buffer): void => {
    // "<mode> <type> <object> <size, right-aligned, - for a submodule>\t<path>"
    const tab = entry.indexOf(9);
    const [mode, , object = '', size] = entry.toString('latin1', 0, tab < 0 ? entry.length : tab).split(/ +/);
    entries += 1;
    if (mode === '160000') {
      submodules += 1;
      if (submodules <= MAX_SUBMODULES) links.push({ path: entry.toString('utf8', tab + 1), commit: object });
    } else bytes += Number(size) || 0;
  };

  return {
    take: (chunk) => {
      const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let from = 0;
      for (let end = all.indexOf(0, from); end >= 0; end = all.indexOf(0, from)) {
        takeEntry(all.subarray(from, end));
        from = end + 1;
      }
      rest = all.subarray(from);
      if (bytes > maxBytes)
        problem = `its files have more than ${maxBytes} bytes in all, the limit that spec.git.maxBytes of the Runtime sets`;
      else if (entries > maxEntries) problem = `it has more than ${maxEntries} files`;
      else if (rest.length > MAX_ENTRY_BYTES) problem = 'it has a path that is too long';
      return problem === undefined;
    },
    check: () => {
      if (problem !== undefined)
        throw new SourceFailure('PrepareSource', `the commit is too large: ${problem}`);
    },
    takeLinks: () => {
      if (submodules > MAX_SUBMODULES)
        throw new SourceFailure('PrepareSource', `the commit has more than ${MAX_SUBMODULES} submodules`);
      const taken = links;
      links = [];
      return taken;
    },
  };
};
