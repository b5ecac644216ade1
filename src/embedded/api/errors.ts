/** Errors of the API in Kubernetes' own form: an HTTP code, a reason and a Status body. */
import type { JsonObject } from './json.js';

/** One cause in a Status' details. */
export type Cause = Readonly<{ reason: string; message: string; field?: string }>;

/** What a Status says about the object it is about. */
export type StatusDetails = Readonly<{
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: readonly Cause[];
  retryAfterSeconds?: number;
}>;

/** An answer other than success. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly code: number,
    readonly reason: string,
    message: string,
    readonly details?: StatusDetails,
  ) {
    super(message);
  }

  /** The Status object that is the body of the answer. */
  status(): JsonObject {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: this.message,
      ...(this.reason === '' ? {} : { reason: this.reason }),
      ...(this.details === undefined
        ? {}
        : { details: JSON.parse(JSON.stringify(this.details)) as JsonObject }),
      code: this.code,
    };
  }
}

/** A resource as errors name it. */
export type ResourceRef = Readonly<{ group: string; plural: string }>;

const qualified = ({ group, plural }: ResourceRef): string => (group === '' ? plural : `${plural}.${group}`);
const detailsOf = ({ group, plural }: ResourceRef, name?: string): StatusDetails => ({
  ...(name === undefined ? {} : { name }),
  ...(group === '' ? {} : { group }),
  kind: plural,
});

export const badRequest = (message: string): ApiError => new ApiError(400, 'BadRequest', message);
export const unauthorized = (): ApiError => new ApiError(401, 'Unauthorized', 'Unauthorized');
export const internalError = (message: string): ApiError =>
  new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, {
    causes: [{ reason: '', message }],
  });
export const notFoundPath = (): ApiError =>
  new ApiError(404, 'NotFound', 'the server could not find the requested resource', {});
export const methodNotAllowed = (): ApiError =>
  new ApiError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
    {},
  );
export const notAcceptable = (accepted: string): ApiError =>
  new ApiError(406, 'NotAcceptable', `only the following media types are accepted: ${accepted}`);
export const unsupportedMediaType = (accepted: readonly string[]): ApiError =>
  new ApiError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  );
export const tooLarge = (limit: number): ApiError =>
  new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);
export const notFound = (ref: ResourceRef, name: string): ApiError =>
  new ApiError(404, 'NotFound', `${qualified(ref)} "${name}" not found`, detailsOf(ref, name));
export const alreadyExists = (ref: ResourceRef, name: string): ApiError =>
  new ApiError(409, 'AlreadyExists', `${qualified(ref)} "${name}" already exists`, detailsOf(ref, name));
export const conflict = (
  ref: ResourceRef,
  name: string,
  why = 'the object has been modified; please apply your changes to the latest version and try again',
): ApiError =>
  new ApiError(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(ref)} "${name}": ${why}`,
    detailsOf(ref, name),
  );
export const forbidden = (ref: ResourceRef, name: string, why: string): ApiError =>
  new ApiError(
    403,
    'Forbidden',
    name === ''
      ? `${qualified(ref)} is forbidden: ${why}`
      : `${qualified(ref)} "${name}" is forbidden: ${why}`,
    detailsOf(ref, name === '' ? undefined : name),
  );
export const forbiddenPath = (path: string, why: string): ApiError =>
  new ApiError(403, 'Forbidden', `forbidden: ${why}`.replace('%path%', path), {});
export const expired = (message: string): ApiError => new ApiError(410, 'Expired', message);
export const tooNewVersion = (version: string, current: number): ApiError =>
  new ApiError(504, 'Timeout', `Too large resource version: ${version}, current: ${current}`, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });

/** One thing wrong with one field (field.Error). */
export type FieldError = Readonly<{
  type:
    | 'Required'
    | 'Invalid'
    | 'TypeInvalid'
    | 'NotSupported'
    | 'TooLong'
    | 'TooMany'
    | 'Duplicate'
    | 'Forbidden';
  /** Path such as spec.args[3]; empty for the object itself. */
  field: string;
  /** The offending value as it is to be printed. */
  value?: unknown;
  detail: string;
}>;

const reasons: Record<FieldError['type'], string> = {
  Required: 'FieldValueRequired',
  Invalid: 'FieldValueInvalid',
  TypeInvalid: 'FieldValueTypeInvalid',
  NotSupported: 'FieldValueNotSupported',
  TooLong: 'FieldValueTooLong',
  TooMany: 'FieldValueTooMany',
  Duplicate: 'FieldValueDuplicate',
  Forbidden: 'FieldValueForbidden',
};

const labels: Record<FieldError['type'], string> = {
  Required: 'Required value',
  Invalid: 'Invalid value',
  TypeInvalid: 'Invalid value',
  NotSupported: 'Unsupported value',
  TooLong: 'Too long',
  TooMany: 'Too many',
  Duplicate: 'Duplicate value',
  Forbidden: 'Forbidden',
};

/** Message of a field error without the field's name. */
export const fieldErrorBody = (error: FieldError): string => {
  const withValue = ['Invalid', 'TypeInvalid', 'NotSupported', 'TooMany', 'Duplicate'].includes(error.type);
  const head = withValue
    ? `${labels[error.type]}: ${typeof error.value === 'object' && error.value !== null ? JSON.stringify(error.value) : typeof error.value === 'string' ? JSON.stringify(error.value) : String(error.value)}`
    : labels[error.type];
  return error.detail === '' ? head : `${head}: ${error.detail}`;
};

const fieldErrorText = (error: FieldError): string =>
  `${error.field === '' ? '<nil>' : error.field}: ${fieldErrorBody(error)}`;

/** 422 for an object whose fields are wrong; all of them are named. */
export const invalid = (
  group: string,
  kind: string,
  name: string,
  errors: readonly FieldError[],
): ApiError => {
  const texts = [...new Set(errors.map(fieldErrorText))];
  const text = texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
  return new ApiError(
    422,
    'Invalid',
    `${kind}${group === '' ? '' : `.${group}`} "${name}" is invalid: ${text}`,
    {
      ...(name === '' ? {} : { name }),
      ...(group === '' ? {} : { group }),
      kind,
      causes: errors.map((error) => ({
        reason: reasons[error.type],
        message: fieldErrorBody(error),
        field: error.field === '' ? '<nil>' : error.field,
      })),
    },
  );
};
