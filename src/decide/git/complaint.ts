/**
 * What does git's standard error say, in one line fit for a status? Git repeats URLs, and a server may repeat whatever
 * it was sent: nothing that looks like credentials, and no known secret, gets through.
 */

const MAX_LENGTH = 400;

/** Lines that say what failed rather than how it was done. */
const TELLING =
  /^(?:fatal|error|remote|ssh|kex_exchange_identification|Host key verification|.*Permission denied|@ *WARNING)/;

/** Takes userinfo out of URLs and known secrets out of everything. */
export const scrubbed = (text: string, secrets: ReadonlyArray<string>): string =>
  secrets
    .filter((secret) => secret.length >= 4)
    .toSorted((a, b) => b.length - a.length)
    .reduce((left, secret) => left.replaceAll(secret, '***'), text)
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^/\s]*@/gi, '$1')
    .replaceAll(/\b(authorization|x-[a-z-]*token)\s*[:=]\s*\S+(?:\s+\S+)?/gi, '$1: ***');

/** The telling lines, joined; all lines where none is telling. */
export const complaintOf = (stderr: string, secrets: ReadonlyArray<string>): string => {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) =>
      line
        .replaceAll(/\p{Cc}(?:\[[0-9;]*[A-Za-z])?/gu, ' ')
        .replaceAll(/ {2,}/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '');
  const telling = lines.filter((line) => TELLING.test(line));
  const text = scrubbed([...new Set(telling.length > 0 ? telling : lines)].join('; '), secrets);
  return text.length <= MAX_LENGTH ? text : `${text.slice(0, MAX_LENGTH - 1)}…`;
};

/** The server has the commit, perhaps, but gives out only what its branches and tags point to. */
export const isBareHashRefused = (stderr: string): boolean =>
  /Server does not allow request for unadvertised object|want [0-9a-f]+ not valid/i.test(stderr);

/** The server looked and has no such object. */
export const isObjectMissing = (stderr: string): boolean => /not our ref/.test(stderr);
