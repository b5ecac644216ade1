/** What a failed system call says in one word: `ENOENT`; of an error without a code, its text. */
export const errorCode = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
