/** Which commit does a branch or tag mean? By what the server lists, in the order git itself has: tags, then branches. */

/** A whole commit hash, SHA-1 or SHA-256. */
export const isFullHash = (text: string): boolean => /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);

/** What is wrong with the name, or undefined. The rules of git-check-ref-format, and no hash: that is commitSHA. */
export const refProblem = (ref: string): string | undefined => {
  if (ref.length > 255) return 'ref is longer than 255 characters';
  if (isFullHash(ref)) return 'ref is a commit hash; put it into commitSHA';
  const isOdd = ref === '' || /[\p{Cc} ~^:?*[\\]|\.\.|@\{|\/\/|\.lock(?:\/|$)|[./]$|^[-/.]|\/\./u.test(ref);
  return isOdd ? `ref ${JSON.stringify(ref)} is not a name that a branch or tag can have` : undefined;
};

/** Full names it may stand for, the first one that exists counts. */
const candidates = (ref: string): ReadonlyArray<string> =>
  ref === 'HEAD' || ref.startsWith('refs/') ? [ref] : [`refs/tags/${ref}`, `refs/heads/${ref}`];

/** What to ask a server for: what an annotated tag of the name points to, then the name itself. */
export const refPatterns = (ref: string): ReadonlyArray<string> =>
  candidates(ref).flatMap((name) => [`${name}^{}`, name]);

/** The commit by `git ls-remote`'s output; undefined when there is no such branch or tag. */
export const commitOf = (ref: string, listing: string): string | undefined => {
  const listed = new Map(
    listing.split('\n').flatMap((line): ReadonlyArray<readonly [string, string]> => {
      const [hash = '', name = ''] = line.split('\t');
      return isFullHash(hash) ? [[name, hash]] : [];
    }),
  );
  return refPatterns(ref).flatMap((name) => listed.get(name) ?? [])[0];
};
