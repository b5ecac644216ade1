/**
 * Strategic merge patch: as a merge patch, but lists of a built-in type merge by their key. Directives: `$patch`
 * (delete, replace, merge), `$deleteFromPrimitiveList/<field>`, `$setElementOrder/<field>`, `$retainKeys`.
 */
import { badRequest } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { arrayOf, isObject, sameJson } from '../json.js';
import type { Schema } from '../schema/schema.js';
import { memberSchema } from '../schema/schema.js';

const isDirective = (key: string): boolean => key.startsWith('$');

/** The patch's value where nothing is there to merge with: the directives are dropped. */
const withoutDirectives = (schema: Schema | undefined, value: Json): Json => {
  if (Array.isArray(value)) {
    return value
      .filter((item) => !(isObject(item) && item.$patch === 'delete'))
      .map((item) => withoutDirectives(schema?.items, item));
  }
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, inner] of Object.entries(value)) {
    if (!isDirective(key) && inner !== null && inner !== undefined)
      copy[key] = withoutDirectives(memberSchema(schema, key), inner);
  }
  return copy;
};

const keyOf = (item: Json | undefined, key: string): Json | undefined =>
  isObject(item) ? item[key] : undefined;

/** The list in the order that a `$setElementOrder` asks for; what it does not name keeps its place before. */
const ordered = (
  list: readonly Json[],
  order: readonly Json[],
  identity: (item: Json) => Json | undefined,
): Json[] => {
  const rank = (item: Json): number =>
    order.findIndex((wanted) => sameJson(identity(wanted), identity(item)));
  const named = list.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b));
  const result: Json[] = [];
  let next = 0;
  for (const item of list) {
    if (rank(item) >= 0) {
      const placed = named[next];
      if (placed !== undefined) result.push(placed);
      next += 1;
    } else result.push(item);
  }
  return result;
};

const mergeKeyed = (schema: Schema, target: readonly Json[], patch: readonly Json[], key: string): Json[] => {
  if (patch.some((item) => isObject(item) && item.$patch === 'replace')) {
    return arrayOf(
      withoutDirectives(
        schema,
        patch.filter((item) => !(isObject(item) && item.$patch === 'replace')),
      ),
    );
  }
  const result = [...target];
  for (const item of patch) {
    const id = keyOf(item, key);
    if (!isObject(item) || id === undefined)
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    const index = result.findIndex((existing) => sameJson(keyOf(existing, key), id));
    if (item.$patch === 'delete') {
      if (index >= 0) result.splice(index, 1);
    } else if (index < 0) result.push(withoutDirectives(schema.items, item));
    else
      result[index] = merge(schema.items, result[index], item, schema['x-kubernetes-patch-strategy'] ?? '');
  }
  return result;
};

const mergeList = (
  schema: Schema | undefined,
  target: Json | undefined,
  patch: Json[],
  order: Json[] | undefined,
): Json => {
  const key = schema?.['x-kubernetes-patch-merge-key'];
  const isMerged = (schema?.['x-kubernetes-patch-strategy'] ?? '').split(',').includes('merge');
  if (schema === undefined || !isMerged || !Array.isArray(target)) {
    const fresh = arrayOf(withoutDirectives(schema, patch));
    return order === undefined || key === undefined
      ? fresh
      : ordered(fresh, order, (item) => keyOf(item, key));
  }
  if (key === undefined) {
    const added = patch.filter((item) => !target.some((existing) => sameJson(existing, item)));
    const union = [...target, ...added];
    return order === undefined ? union : ordered(union, order, (item) => item);
  }
  const merged = mergeKeyed(schema, target, patch, key);
  return order === undefined ? merged : ordered(merged, order, (item) => keyOf(item, key));
};

const merge = (schema: Schema | undefined, target: Json | undefined, patch: Json, strategy = ''): Json => {
  if (!isObject(patch)) return patch;
  if (patch.$patch === 'delete') return {};
  if (patch.$patch === 'replace' || !isObject(target)) return withoutDirectives(schema, patch);
  let result: JsonObject = { ...target };
  const retained = patch.$retainKeys;
  if (Array.isArray(retained) && (strategy === '' || strategy.includes('retainKeys'))) {
    result = Object.fromEntries(Object.entries(result).filter(([key]) => retained.includes(key)));
  }
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (key.startsWith('$deleteFromPrimitiveList/')) {
      const field = key.slice(key.indexOf('/') + 1);
      const gone = arrayOf(value);
      if (Array.isArray(result[field]))
        result[field] = arrayOf(result[field]).filter((item) => !gone.some((other) => sameJson(item, other)));
      continue;
    }
    if (isDirective(key)) continue;
    const member = memberSchema(schema, key);
    if (value === null) delete result[key];
    else if (Array.isArray(value)) {
      const order = patch[`$setElementOrder/${key}`];
      result[key] = mergeList(member, result[key], value, Array.isArray(order) ? order : undefined);
    } else result[key] = merge(member, result[key], value, member?.['x-kubernetes-patch-strategy']);
  }
  for (const [key, order] of Object.entries(patch)) {
    if (!key.startsWith('$setElementOrder/') || !Array.isArray(order)) continue;
    const field = key.slice(key.indexOf('/') + 1);
    const list = result[field];
    if (patch[field] !== undefined || !Array.isArray(list)) continue;
    const mergeKey = memberSchema(schema, field)?.['x-kubernetes-patch-merge-key'];
    result[field] = ordered(list, order, (item) => (mergeKey === undefined ? item : keyOf(item, mergeKey)));
  }
  return result;
};

/** The target with the patch applied, by the schema of its type. Throws 400 for an item without its merge key. */
export const strategicMergePatch = (schema: Schema, target: JsonObject, patch: JsonObject): Json =>
  merge(schema, target, patch);
