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

/** What was being done to what, e.g. `get run default/hello`, for the line of a failed call. */
export type Doing = string;

const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, '; ').trim();

/** A failed call as a Failure. `server` is named where the cluster itself is the trouble. */
export const failureOf = (error: EffectError, doing: Doing, server: string): Failure => {
  const message = oneLine(error.message);
  const because = `cannot ${doing}: ${message}`;
  switch (error.kind) {
    case 'NotFound':
      return error.reason === 'NotFound' || error.reason === undefined
        ? new Failure('NotFound', because, { cause: error })
        : new Failure('Error', because, { cause: error });
    case 'Unauthorized':
      return new Failure('NoAccess', `cannot ${doing}: ${server} does not accept these credentials`, {
        hint: 'log in again, or choose another cluster with --context or --kubeconfig',
        cause: error,
      });
    case 'Forbidden':
      return new Failure('NoAccess', because, {
        hint: 'ask for the permission, or use another context or namespace',
        cause: error,
      });
    case 'Unavailable':
    case 'Timeout':
      return error.status === undefined
        ? new Failure('NoAccess', `cannot ${doing}: no answer from ${server}: ${message}`, {
            hint: 'is the cluster running? `krt status` shows the local one, `krt up` starts it',
            cause: error,
          })
        : new Failure('Error', `${because} (HTTP ${error.status})`, { hint: 'try again later', cause: error });
    case 'Invalid':
      return new Failure('Error', error.causes?.length ? `cannot ${doing}: refused by the API` : because, {
        details: (error.causes ?? []).map((c) => oneLine(c.field ? `${c.field}: ${c.message}` : c.message)),
        cause: error,
      });
    case 'AlreadyExists':
      return new Failure('Error', because, {
        hint: 'choose another name, or leave --name out',
        cause: error,
      });
    case 'Gone':
    case 'Conflict':
      return new Failure('Error', because, { hint: 'try again', cause: error });
    case 'Cancelled':
      return new Failure('Error', because, { cause: error });
  }
};
