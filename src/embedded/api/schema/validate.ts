/** Does a value have the form that its schema asks for? Messages are Kubernetes'. */
import type { FieldError } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { isObject, sameJson } from '../json.js';
import { formatProblem } from './formats.js';
import type { Schema } from './schema.js';
import { memberPath, memberSchema } from './schema.js';

const patterns = new Map<string, RegExp>();
const patternOf = (text: string): RegExp => {
  let pattern = patterns.get(text);
  if (pattern === undefined) {
    pattern = new RegExp(text, 'u');
    patterns.set(text, pattern);
  }
  return pattern;
};

const typeOf = (value: Json): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
};

const hasType = (value: Json, type: string): boolean => {
  const actual = typeOf(value);
  return actual === type || (type === 'number' && actual === 'integer');
};

const length = (text: string): number => {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
};

/** Appends what is wrong with the value to `errors`. Parts that are the very same in `old` are taken as checked. */
export const validate = (
  schema: Schema,
  value: Json,
  path: string,
  errors: FieldError[],
  old?: Json,
): void => {
  if (value === old && typeof value === 'object' && value !== null) return;
  if (value === null) {
    if (
      schema.nullable === true ||
      (schema.type === undefined && schema['x-kubernetes-int-or-string'] !== true)
    )
      return;
    errors.push({
      type: 'TypeInvalid',
      field: path,
      value: 'null',
      detail: `${path} in body must be of type ${schema.type ?? 'integer,string'}: "null"`,
    });
    return;
  }
  if (
    schema['x-kubernetes-int-or-string'] === true &&
    !hasType(value, 'integer') &&
    typeof value !== 'string'
  ) {
    errors.push({
      type: 'TypeInvalid',
      field: path,
      value: typeOf(value),
      detail: `${path} in body must be of type integer,string: "${typeOf(value)}"`,
    });
    return;
  }
  if (schema.type !== undefined && !hasType(value, schema.type)) {
    errors.push({
      type: 'TypeInvalid',
      field: path,
      value: typeOf(value),
      detail: `${path} in body must be of type ${schema.type}: "${typeOf(value)}"`,
    });
    return;
  }
  if (schema.enum !== undefined && !schema.enum.some((allowed) => sameJson(allowed, value))) {
    errors.push({
      type: 'NotSupported',
      field: path,
      value,
      detail: `supported values: ${schema.enum.map((allowed) => JSON.stringify(allowed)).join(', ')}`,
    });
  }
  if (typeof value === 'string') validateText(schema, value, path, errors);
  else if (typeof value === 'number') validateNumber(schema, value, path, errors);
  else if (Array.isArray(value))
    validateList(schema, value, path, errors, Array.isArray(old) ? old : undefined);
  else if (isObject(value)) validateObject(schema, value, path, errors, isObject(old) ? old : undefined);
  validateCombinations(schema, value, path, errors);
};

const validateNumber = (schema: Schema, value: number, path: string, errors: FieldError[]): void => {
  const wrong = (detail: string): void => {
    errors.push({ type: 'Invalid', field: path, value, detail: `${path} in body ${detail}` });
  };
  const { minimum, maximum } = schema;
  if (minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    wrong(`should be greater than ${schema.exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`);
  }
  if (maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    wrong(`should be less than ${schema.exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`);
  }
  if (schema.multipleOf !== undefined && value % schema.multipleOf !== 0)
    wrong(`should be a multiple of ${schema.multipleOf}`);
  const formatted = formatProblem(schema.format, value);
  if (formatted !== undefined) wrong(`must be of type ${schema.format ?? ''}: ${formatted}`);
};

const validateText = (schema: Schema, value: string, path: string, errors: FieldError[]): void => {
  if (schema.maxLength !== undefined && value.length > schema.maxLength && length(value) > schema.maxLength) {
    errors.push({
      type: 'TooLong',
      field: path,
      detail: `may not be more than ${schema.maxLength} byte${schema.maxLength === 1 ? '' : 's'}`,
    });
  }
  // A character is one or two units.
  if (
    schema.minLength !== undefined &&
    value.length < 2 * schema.minLength &&
    length(value) < schema.minLength
  ) {
    errors.push({
      type: 'Invalid',
      field: path,
      value,
      detail: `${path} in body should be at least ${schema.minLength} chars long`,
    });
  }
  if (schema.pattern !== undefined && !patternOf(schema.pattern).test(value)) {
    errors.push({
      type: 'Invalid',
      field: path,
      value,
      detail: `${path} in body should match '${schema.pattern}'`,
    });
  }
  const problem = formatProblem(schema.format, value);
  if (problem !== undefined) {
    // Kubernetes names the last step of the path alone here.
    const last = path.slice(path.lastIndexOf('.') + 1);
    const body = `${last} in body must be of type ${schema.format ?? ''}`;
    // Bytes are what Secrets hold: they are not shown.
    if (schema.format === 'byte')
      errors.push({ type: 'TypeInvalid', field: path, value: 'string', detail: `${body}: it is not base64` });
    else errors.push({ type: 'TypeInvalid', field: path, value, detail: `${body}: ${problem}` });
  }
};

const tooMany = (path: string, actual: number, most: number): FieldError => ({
  type: 'TooMany',
  field: path,
  value: actual,
  detail: `must have at most ${most} item${most === 1 ? '' : 's'}`,
});

const validateList = (
  schema: Schema,
  value: Json[],
  path: string,
  errors: FieldError[],
  old: Json[] | undefined,
): void => {
  if (schema.maxItems !== undefined && value.length > schema.maxItems)
    errors.push(tooMany(path, value.length, schema.maxItems));
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    errors.push({
      type: 'Invalid',
      field: path,
      value: value.length,
      detail: `${path} in body should have at least ${schema.minItems} items`,
    });
  }
  const items = schema.items;
  if (items !== undefined)
    for (const [i, item] of value.entries()) validate(items, item, `${path}[${i}]`, errors, old?.[i]);
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map' && schema.uniqueItems !== true) return;
  const keys = schema['x-kubernetes-list-map-keys'];
  const seen = new Set<string>();
  value.forEach((item, i) => {
    const identity =
      listType === 'map'
        ? Object.fromEntries(
            (keys ?? []).map((key) => [
              key,
              isObject(item) ? (item[key] ?? items?.properties?.[key]?.default ?? null) : null,
            ]),
          )
        : item;
    const text = JSON.stringify(identity);
    if (seen.has(text))
      errors.push({ type: 'Duplicate', field: `${path}[${i}]`, value: identity, detail: '' });
    seen.add(text);
  });
};

const validateObject = (
  schema: Schema,
  value: JsonObject,
  path: string,
  errors: FieldError[],
  old: JsonObject | undefined,
): void => {
  const keys = Object.keys(value).filter((key) => value[key] !== undefined);
  if (schema.maxProperties !== undefined && keys.length > schema.maxProperties)
    errors.push(tooMany(path, keys.length, schema.maxProperties));
  if (schema.minProperties !== undefined && keys.length < schema.minProperties) {
    errors.push({
      type: 'Invalid',
      field: path,
      value: keys.length,
      detail: `${path} in body should have at least ${schema.minProperties} properties`,
    });
  }
  for (const key of schema.required ?? []) {
    if (value[key] === undefined) errors.push({ type: 'Required', field: memberPath(path, key), detail: '' });
  }
  for (const key of keys) {
    const member = memberSchema(schema, key);
    const inner = value[key];
    if (member === undefined || inner === undefined) continue;
    const before = old?.[key];
    // What did not change is not asked again, as kube-apiserver has it (ratcheting); null means absent in places.
    if (inner === before && inner !== null) continue;
    const innerPath =
      schema.properties?.[key] === undefined && schema.additionalProperties !== undefined
        ? `${path}.${key}`
        : memberPath(path, key);
    validate(member, inner, innerPath, errors, before);
  }
};

const isValid = (schema: Schema, value: Json, path: string): boolean => {
  const errors: FieldError[] = [];
  validate(schema, value, path, errors);
  return errors.length === 0;
};

const validateCombinations = (schema: Schema, value: Json, path: string, errors: FieldError[]): void => {
  const fail = (text: string): void => {
    errors.push({ type: 'Invalid', field: path, value: '', detail: `"${path}" ${text}` });
  };
  for (const part of schema.allOf ?? []) validate(part, value, path, errors);
  if (schema.anyOf !== undefined && !schema.anyOf.some((part) => isValid(part, value, path)))
    fail('must validate at least one schema (anyOf)');
  if (schema.oneOf !== undefined) {
    const matching = schema.oneOf.filter((part) => isValid(part, value, path)).length;
    if (matching !== 1)
      fail(
        `must validate one and only one schema (oneOf). Found ${matching === 0 ? 'none' : matching} valid`,
      );
  }
  if (schema.not !== undefined && isValid(schema.not, value, path))
    fail('must not validate the schema (not)');
};
