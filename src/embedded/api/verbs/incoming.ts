/** Makes an object of the API out of what a client sent: kind, unknown fields, wrong types. */
import type { FieldError } from '../errors.js';
import { badRequest, invalid } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { isObject, objectOf, textOf } from '../json.js';
import type { KubeObject } from '../object.js';
import { isKubeObject } from '../object.js';
import { apiVersionOf } from '../resources/resource-type.js';
import { builtinSchema } from '../schema/builtin-schema.js';
import { prune } from '../schema/prune.js';
import { validate } from '../schema/validate.js';
import type { Call } from './call.js';

const goTypes: Readonly<Record<string, string>> = {
  object: 'object',
  array: 'array',
  string: 'string',
  integer: 'number',
  number: 'number',
  boolean: 'bool',
  null: 'null',
};

const cannotBeHandled = ({ type }: Call, why: string): Error =>
  badRequest(`${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: ${why}`);

/** 400 for the unknown fields, or warnings, as the caller asked. */
export const reportUnknown = (call: Call, problems: readonly string[]): void => {
  if (problems.length === 0 || call.fieldValidation === 'Ignore') return;
  if (call.fieldValidation === 'Strict')
    throw cannotBeHandled(call, `strict decoding error: ${problems.join(', ')}`);
  for (const problem of problems) call.warnings.push(problem);
};

const typeErrors = (errors: readonly FieldError[]): FieldError[] =>
  errors.filter(({ type }) => type === 'TypeInvalid');

/**
 * Reads an object in the form that the call's resource is served in, and brings it into the stored form. Throws 400
 * for a wrong kind or, under strict validation, for unknown fields. `current` is the object in the same form as it is
 * stored now; parts that a patch left as they are need no second look.
 */
export const readObject = (
  call: Call,
  body: Json,
  duplicates: readonly string[] = [],
  current?: KubeObject,
): KubeObject => {
  const { type } = call;
  if (!isObject(body))
    throw badRequest(
      `couldn't get version/kind; json parse error: json: cannot unmarshal ${Array.isArray(body) ? 'array' : (goTypes[typeof body] ?? 'null')} into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`,
    );
  const expected = apiVersionOf(type);
  const apiVersion = body.apiVersion ?? (type.isCustom ? undefined : expected);
  const kind = body.kind ?? (type.isCustom ? undefined : type.kind);
  if (kind === undefined || kind === '')
    // kube-apiserver shows the body here, which may be a Secret.
    throw badRequest(`Object 'Kind' is missing in the body`);
  if (apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${textOf(apiVersion)}) does not match the expected API version (${expected})`,
    );
  }
  if (kind !== type.kind && type.isCustom) {
    const error = { type: 'Invalid' as const, field: 'kind', value: kind, detail: `must be ${type.kind}` };
    throw invalid(type.group, textOf(kind), textOf(objectOf(body.metadata).name), [error]);
  }
  if (kind !== type.kind)
    throw badRequest(
      `${textOf(kind)} in version "${type.version}" cannot be handled as a ${type.kind}: the kind in the data does not match the expected kind`,
    );
  const unknown: string[] = [];
  const withHead: JsonObject = { ...body, apiVersion, kind, metadata: body.metadata ?? {} };
  const pruned = prune(type.schema, withHead, '', unknown, true, current);
  reportUnknown(call, [
    ...duplicates.map((field) => `duplicate field ${JSON.stringify(field)}`),
    ...unknown.map((field) => `unknown field ${JSON.stringify(field)}`),
  ]);
  const object = type.isCustom ? pruned : withoutNulls(pruned);
  const wrong: FieldError[] = [];
  if (isObject(object))
    validate(builtinSchema('ObjectMeta'), object.metadata ?? {}, 'metadata', wrong, current?.metadata);
  if (!type.isCustom) validate(type.schema, object, '', wrong, current);
  const [first] = typeErrors(wrong);
  if (first !== undefined) {
    const wanted = /must be of type ([a-z,]+)/.exec(first.detail)?.[1] ?? 'string';
    throw cannotBeHandled(
      call,
      `json: cannot unmarshal ${goTypes[textOf(first.value as Json)] ?? textOf(first.value as Json)} into Go struct field .${first.field} of type ${wanted}`,
    );
  }
  if (!isKubeObject(object)) throw badRequest('the object has no metadata');
  return type.toStored === undefined ? object : type.toStored(object);
};

/** Built-in types know no null: it is the same as absent. */
const withoutNulls = (value: Json): Json => {
  if (Array.isArray(value)) {
    const items = value.map(withoutNulls);
    return items.every((item, i) => item === value[i]) ? value : items;
  }
  if (!isObject(value)) return value;
  let copy: JsonObject | undefined;
  for (const key of Object.keys(value)) {
    const inner = value[key];
    if (inner === undefined) continue;
    const kept = inner === null ? undefined : withoutNulls(inner);
    if (kept === inner) continue;
    copy ??= { ...value };
    if (kept === undefined) delete copy[key];
    else copy[key] = kept;
  }
  return copy ?? value;
};
