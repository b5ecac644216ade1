/** What an answer that is no success means: Kubernetes Status → EffectError. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import type { EffectError, EffectErrorKind } from '../../model/effect-error.js';

const Status = t.intersection([
  t.type({ kind: t.literal('Status') }),
  t.partial({
    code: t.number,
    reason: t.string,
    message: t.string,
    details: t.partial({
      retryAfterSeconds: t.number,
      causes: t.array(t.partial({ field: t.string, message: t.string, reason: t.string })),
    }),
  }),
]);
type Status = t.TypeOf<typeof Status>;

/** What was asked, for the message: `get Run default/hello`. */
export type Asked = Readonly<{
  /** Verb and object. */
  what: string;
  /** The one object's name, where there is one: a server message that quotes it needs no further address. */
  name?: string;
  /** The request was a JSON patch, whose 422 may mean a refused `test`. */
  jsonPatch?: boolean;
}>;

/** An answer with a status that is no success. `body` is the parsed body, or its text. */
export type Refusal = Readonly<{ status: number; body: unknown; retryAfter?: string | undefined }>;

const BY_STATUS: Readonly<Record<number, EffectErrorKind>> = {
  400: 'Invalid',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'Invalid',
  406: 'Invalid',
  408: 'Timeout',
  409: 'Conflict',
  410: 'Gone',
  413: 'Invalid',
  415: 'Invalid',
  422: 'Invalid',
  429: 'Unavailable',
  504: 'Timeout',
};

/**
 * A refused `test` is answered with 422 Invalid as a schema violation is, but without a cause that names a field or a
 * reason: a real server gives no causes at all, the embedded one says in a bare message which test did not hold.
 */
const blamesNoField = (status: Status | undefined): boolean =>
  (status?.details?.causes ?? []).every(({ field, reason }) => !field && !reason);

/** A version that does not exist yet: the server was restored from a copy that is older than what we know. */
const isFromTheFuture = (status: Status | undefined): boolean =>
  (status?.details?.causes ?? []).some(({ reason }) => reason === 'ResourceVersionTooLarge');

const kindOf = (code: number, status: Status | undefined, jsonPatch: boolean): EffectErrorKind => {
  if (isFromTheFuture(status)) return 'Gone';
  if (code === 409 && status?.reason === 'AlreadyExists') return 'AlreadyExists';
  if (code === 422 && jsonPatch && blamesNoField(status)) return 'Conflict';
  return BY_STATUS[code] ?? (code >= 500 ? 'Unavailable' : 'Invalid');
};

/** Milliseconds of a Retry-After header in seconds; dates are not used by Kubernetes. */
const retryAfterMs = (header: string | undefined, status: Status | undefined): number | undefined => {
  const seconds =
    header !== undefined && /^\d+$/.test(header) ? Number(header) : status?.details?.retryAfterSeconds;
  return seconds === undefined || seconds <= 0 ? undefined : seconds * 1000;
};

const MAX_TEXT = 300;

/** A body that is no Status: a proxy's page, or the server's plain `404 page not found`. */
const textOf = (body: unknown): string =>
  typeof body === 'string' ? body.replace(/\s+/g, ' ').trim().slice(0, MAX_TEXT) : '';

const explain = (kind: EffectErrorKind, code: number, status: Status | undefined, body: unknown): string => {
  const said = status?.message?.trim() || textOf(body);
  if (kind === 'NotFound' && status === undefined)
    return 'the server does not know this kind of object; are the CRDs of kruntimes installed?';
  if (kind === 'Unauthorized')
    return `the server does not accept our credentials (401${said ? `: ${said}` : ''}); log in again or check the kubeconfig's user`;
  return said || `the server answered ${code}`;
};

/** Classifies a refusal. The message names the object and holds what the server said. */
export const statusError = (asked: Asked, { status: code, body, retryAfter }: Refusal): EffectError => {
  const decoded = Status.decode(body);
  const status = E.isRight(decoded) ? decoded.right : undefined;
  const kind = kindOf(code, status, asked.jsonPatch === true);
  const said = explain(kind, code, status, body);
  const waitMs = retryAfterMs(retryAfter, status);
  const causes = status?.details?.causes?.map(({ field = '', message = '' }) => ({ field, message }));
  return {
    kind,
    message:
      asked.name !== undefined && said.includes(`"${asked.name}"`) ? said : `cannot ${asked.what}: ${said}`,
    status: code,
    ...(status?.reason ? { reason: status.reason } : {}),
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    ...(causes === undefined || causes.length === 0 ? {} : { causes }),
  };
};

/** The object of a watch's ERROR frame: a Status that carries its own code. */
export const frameError = (asked: Asked, object: unknown): EffectError => {
  const decoded = Status.decode(object);
  const code = E.isRight(decoded) ? (decoded.right.code ?? 500) : 500;
  return statusError(asked, { status: code, body: object });
};
