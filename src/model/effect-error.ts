/**
 * What can go wrong with one call to the outside, in the words of the Kubernetes API.
 *
 * Made where the library or socket is called (`src/io`), read everywhere; nothing else throws across a border.
 */

/** The classes of failure that decisions tell apart. */
export type EffectErrorKind =
  /** 409 on a stale write, or a failed precondition; 422 of a JSON patch whose `test` did not hold. */
  | 'Conflict'
  /** 409 AlreadyExists on create. */
  | 'AlreadyExists'
  /** 404. */
  | 'NotFound'
  /** 410: the version asked for is no longer kept; 504 of one that is newer than all that the server has. */
  | 'Gone'
  /** 401: no or wrong credentials. */
  | 'Unauthorized'
  /** 403. */
  | 'Forbidden'
  /** 400, 413, 415, 422: the request itself is wrong. */
  | 'Invalid'
  /** Refused connection, reset, 429, 5xx: may work later. */
  | 'Unavailable'
  /** No answer in time. */
  | 'Timeout'
  /** We gave up on it ourselves. */
  | 'Cancelled';

/** One failed call. `message` says what happened to which object and is fit for a person; it holds no secret. */
export type EffectError = Readonly<{
  kind: EffectErrorKind;
  message: string;
  /** `reason` of the Kubernetes Status body, e.g. `AlreadyExists`. */
  reason?: string;
  /** HTTP status, where there was an answer. */
  status?: number;
  /** From Retry-After, milliseconds. */
  retryAfterMs?: number;
  /** `details.causes` of the Status body. */
  causes?: ReadonlyArray<Readonly<{ field: string; message: string }>>;
}>;

/** Whether the same call may succeed later without anything else changing. */
export const isRetryable = (error: EffectError): boolean =>
  error.kind === 'Unavailable' || error.kind === 'Timeout';
