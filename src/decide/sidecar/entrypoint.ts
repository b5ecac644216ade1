/** Which entrypoints are allowed: the rule on the text; that the file is there is looked up in the workspace. */

/** Longest path (contract). */
const MAX_LENGTH = 4096;

/** What is wrong with it, for the Run's owner; undefined when it is allowed. */
export const entrypointProblem = (entrypoint: string): string | undefined => {
  if (entrypoint === '') return 'entrypoint is empty; name a file of the workspace';
  if (entrypoint.length > MAX_LENGTH) return `entrypoint is longer than ${MAX_LENGTH} characters`;
  if (entrypoint.startsWith('/')) return `entrypoint ${entrypoint} must be a path relative to the workspace`;
  if (entrypoint.includes('\0')) return 'entrypoint holds a NUL character';
  return entrypoint.split('/').includes('..')
    ? `entrypoint ${entrypoint} must not contain a '..' segment`
    : undefined;
};
