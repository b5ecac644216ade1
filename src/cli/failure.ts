/**
 * What krt can fail with: five kinds, each an exit code.
 *
 * A Failure is one line for a person: what happened, to which object, and (in `hint`) what to do next.
 */
import type { EffectError } from '../model/effect-error.js';

/** 1 error, 2 usage, 3 not found, 4 no cluster or not authorised. `Ended` carries an exit code of its own. */
export type FailureKind = 'Error' | 'Usage' | 'NotFound' | 'NoAccess' | 'Ended';

const EXIT_CODES = { Error: 1, Usage: 2, NotFound: 3, NoAccess: 4 } as const;

/** Thrown by a command, caught once, in `main`. */
export class Failure extends Error {
  readonly kind: FailureKind;
  /** What to do next. */
  readonly hint: string | undefined;
  readonly exitCode: number;
  /** Further lines, e.g. one per field that the API refused. */
  readonly details: ReadonlyArray<string>;

  constructor(
    kind: FailureKind,
    message: string,
    options: Readonly<{
      hint?: string | undefined;
      details?: ReadonlyArray<string>;
      exitCode?: number;
      cause?: unknown;
    }> = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = kind;
    this.hint = options.hint;
    this.details = options.details ?? [];
    this.exitCode = options.exitCode ?? (kind === 'Ended' ? 1 : EXIT_CODES[kind]);
  }
}

/** A wrong flag, argument or combination of them. */
export const usage = (message: string, hint?: string): Failure => new Failure('Usage', message, { hint });

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, '; ').trim();

/** Whether the failed call says that there is no usable cluster: no answer at all, or no permission. */
const isNoAccess = (error: EffectError): boolean =>
  error.kind === 'Unauthorized' ||
  error.kind === 'Forbidden' ||
  ((error.kind === 'Unavailable' || error.kind === 'Timeout') && error.status === undefined);

const HINTS: Readonly<Partial<Record<EffectError['kind'], string>>> = {
  AlreadyExists: 'choose another name, or leave --name out',
  Forbidden: 'ask for the permission, or choose another namespace (-n) or context (--context)',
  Timeout: 'try again, or allow more time with --request-timeout',
  Conflict: 'try again',
  Gone: 'try again',
};

/** A failed call as a Failure; its message already names the object and, for connections, what to try. */
export const failureOf = (error: EffectError): Failure => {
  const kind = isNoAccess(error)
    ? 'NoAccess'
    : error.kind === 'NotFound' && error.reason === 'NotFound'
      ? 'NotFound'
      : 'Error';
  const causes = error.kind === 'Invalid' ? (error.causes ?? []) : [];
  // The server's message repeats all causes in one long line: its first clause, then a line per field, is readable.
  const message =
    causes.length > 0 ? error.message.replace(/ is invalid: .*$/s, ' is invalid') : error.message;
  return new Failure(kind, oneLine(message), {
    hint: HINTS[error.kind],
    details: causes.map(({ field, message: why }) => oneLine(field ? `${field}: ${why}` : why)),
    cause: error,
  });
};

/** Whether the API server answered, with a no; otherwise it could not be asked, and may be again. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof Failure &&
  typeof error.cause === 'object' &&
  error.cause !== null &&
  'status' in error.cause;
