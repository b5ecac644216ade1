/** Fills in what the schema has defaults for. */
import type { Json, JsonObject } from '../json.js';
import { copyJson, isObject } from '../json.js';
import type { Schema } from './schema.js';
import { memberSchema } from './schema.js';

const withDefaults = new WeakMap<Schema, boolean>();

/** Whether a schema or a part of it has a default. */
const hasDefaults = (schema: Schema): boolean => {
  const known = withDefaults.get(schema);
  if (known !== undefined) return known;
  withDefaults.set(schema, false);
  const parts = [
    ...Object.values(schema.properties ?? {}),
    ...(typeof schema.additionalProperties === 'object' ? [schema.additionalProperties] : []),
    ...(schema.items === undefined ? [] : [schema.items]),
  ];
  const answer = parts.some((part) => part.default !== undefined || hasDefaults(part));
  withDefaults.set(schema, answer);
  return answer;
};

/**
 * The value with defaults filled in, also inside lists and maps; the same value when nothing is missing. A null
 * where a default exists counts as missing, unless the schema allows null.
 */
export const applyDefaults = (schema: Schema, value: Json): Json => {
  if (!hasDefaults(schema)) return value;
  if (Array.isArray(value)) {
    const items = schema.items;
    if (items === undefined) return value;
    let copy: Json[] | undefined;
    value.forEach((item, i) => {
      const filled = applyDefaults(items, item);
      if (filled !== item) {
        copy ??= [...value];
        copy[i] = filled;
      }
    });
    return copy ?? value;
  }
  if (!isObject(value)) return value;
  let copy: JsonObject | undefined;
  for (const [key, member] of Object.entries(schema.properties ?? {})) {
    const inner = value[key];
    const isMissing = inner === undefined || (inner === null && member.nullable !== true);
    if (member.default === undefined || !isMissing) continue;
    copy ??= { ...value };
    copy[key] = copyJson(member.default);
  }
  const filledSoFar = copy ?? value;
  for (const key of Object.keys(filledSoFar)) {
    const member = memberSchema(schema, key);
    const inner = filledSoFar[key];
    if (member === undefined || inner === undefined) continue;
    const filled = applyDefaults(member, inner);
    if (filled === inner) continue;
    copy ??= { ...value };
    copy[key] = filled;
  }
  return copy ?? value;
};
