/** How much is in a commit? Read from its trees before a file is written: a small pack may hold very large files. */
import type { GitLimits } from '../../model/git.js';
import { SourceFailure } from './failure.js';

/** Longest entry of a listing that is waited for. */
const MAX_ENTRY_BYTES = 65_536;

/** Adds up `git ls-tree -r -l -z`; returns false when a bound is passed, and `problem` says which. */
export const surveyor = ({ maxBytes, maxEntries }: GitLimits) => {
  let rest: Buffer = Buffer.alloc(0);
  let entries = 0;
  let bytes = 0;
  let problem: string | undefined;
  return {
    take: (chunk: Buffer): boolean => {
      let from = 0;
      const all = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (let end = all.indexOf(0, from); end >= 0; end = all.indexOf(0, from)) {
        // "<mode> <type> <object> <size, right-aligned, - for a submodule>\t<path>"
        const tab = all.indexOf(9, from);
        const size = Number(all.toString('latin1', from, tab < 0 || tab > end ? end : tab).split(/ +/)[3]);
        entries += 1;
        bytes += Number.isFinite(size) ? size : 0;
        from = end + 1;
      }
      rest = all.subarray(from);
      if (bytes > maxBytes)
        problem = `its files have more than ${maxBytes} bytes in all, the limit that spec.git.maxBytes of the Runtime sets`;
      else if (entries > maxEntries) problem = `it has more than ${maxEntries} files`;
      else if (rest.length > MAX_ENTRY_BYTES) problem = 'it has a path that is too long';
      return problem === undefined;
    },
    /** @throws SourceFailure when a bound was passed. */
    check: (): void => {
      if (problem !== undefined)
        throw new SourceFailure('PrepareSource', `the commit is too large: ${problem}`);
    },
  };
};
