/** Which fields does the schema not know, and what is left without them? */
import type { Json, JsonObject } from '../json.js';
import { isObject } from '../json.js';
import { builtinSchema } from './builtin-schema.js';
import type { Schema } from './schema.js';
import { keepsUnknown, memberPath, memberSchema } from './schema.js';

/**
 * The value without unknown fields; the same value when there are none. The paths of what was dropped are appended
 * to `unknown`. `asObject` says that the value is a whole object, whose apiVersion, kind and metadata always stay.
 * Parts that are the very same in `old` have no unknown fields and are not looked at.
 */
export const prune = (
  schema: Schema,
  value: Json,
  path: string,
  unknown: string[],
  asObject = false,
  old?: Json,
): Json => {
  if (value === old) return value;
  if (Array.isArray(value)) {
    const items = schema.items;
    if (items === undefined) return value;
    const oldItems = Array.isArray(old) ? old : [];
    let copy: Json[] | undefined;
    value.forEach((item, i) => {
      const isEmbedded = items['x-kubernetes-embedded-resource'] === true;
      const kept = prune(items, item, `${path}[${i}]`, unknown, isEmbedded, oldItems[i]);
      if (kept !== item) {
        copy ??= [...value];
        copy[i] = kept;
      }
    });
    return copy ?? value;
  }
  if (!isObject(value)) return value;
  const before: JsonObject = isObject(old) ? old : {};
  let copy: JsonObject | undefined;
  const keepsRest = keepsUnknown(schema);
  for (const key of Object.keys(value)) {
    const inner = value[key];
    if (inner === undefined || inner === before[key]) continue;
    if (asObject && (key === 'apiVersion' || key === 'kind')) continue;
    const member = asObject && key === 'metadata' ? builtinSchema('ObjectMeta') : memberSchema(schema, key);
    if (member === undefined) {
      if (keepsRest) continue;
      unknown.push(memberPath(path, key));
      copy ??= { ...value };
      delete copy[key];
      continue;
    }
    const isEmbedded = member['x-kubernetes-embedded-resource'] === true;
    const kept = prune(member, inner, memberPath(path, key), unknown, isEmbedded, before[key]);
    if (kept !== inner) {
      copy ??= { ...value };
      copy[key] = kept;
    }
  }
  return copy ?? value;
};
