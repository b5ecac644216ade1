/** The two halves of server-side apply on values: merging a configuration in, and taking fields out. */
import type { Json, JsonObject } from '../json.js';
import { isObject, sameJson } from '../json.js';
import type { Schema } from '../schema/schema.js';
import { memberSchema } from '../schema/schema.js';
import type { FieldSet } from './field-set.js';
import { itemEdge, noFields, shapeOf, valueEdge } from './field-set.js';

/** Items of both lists: the applied ones in their order, the others where they were among them. */
const mergeLists = (
  live: readonly Json[],
  applied: readonly Json[],
  edgeOf: (item: Json) => string,
  mergeItem: (live: Json | undefined, item: Json) => Json,
): Json[] => {
  const byEdge = new Map(live.map((item) => [edgeOf(item), item]));
  const appliedEdges = new Set(applied.map(edgeOf));
  const result: Json[] = [];
  let next = 0;
  /** Live items up to the given position that are not applied. */
  const emitOthers = (end: number): void => {
    for (; next < end; next += 1) {
      const item = live[next];
      if (item !== undefined && !appliedEdges.has(edgeOf(item))) result.push(item);
    }
  };
  const positions = new Map(live.map((item, i) => [edgeOf(item), i]));
  for (const item of applied) {
    const edge = edgeOf(item);
    const position = positions.get(edge);
    if (position !== undefined) emitOthers(position);
    else {
      // A new item stands after the others that come before the next item that both lists have.
      const nextCommon = live.findIndex((other, i) => i >= next && appliedEdges.has(edgeOf(other)));
      emitOthers(nextCommon < 0 ? live.length : nextCommon);
    }
    result.push(mergeItem(byEdge.get(edge), item));
  }
  emitOthers(live.length);
  return result;
};

/** The live value with the applied one merged in. */
export const mergeApplied = (schema: Schema | undefined, live: Json | undefined, applied: Json): Json => {
  if (live === undefined || live === null) return applied;
  const shape = shapeOf(schema, applied);
  if (shape === 'leaf' || shape !== shapeOf(schema, live)) return sameJson(live, applied) ? live : applied;
  if (Array.isArray(applied) && Array.isArray(live)) {
    const merged =
      shape === 'set'
        ? mergeLists(live, applied, valueEdge, (_live, item) => item)
        : mergeLists(
            live,
            applied,
            (item) => itemEdge(schema, item),
            (old, item) => mergeApplied(schema?.items, old, item),
          );
    return sameJson(merged, live) ? live : merged;
  }
  if (!isObject(applied) || !isObject(live)) return applied;
  let copy: JsonObject | undefined;
  for (const key of Object.keys(applied)) {
    const value = applied[key];
    if (value === undefined) continue;
    const merged = mergeApplied(memberSchema(schema, key), live[key], value);
    if (merged === live[key]) continue;
    copy ??= { ...live };
    copy[key] = merged;
  }
  return copy ?? live;
};

const isEmptied = (value: Json): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0;

/**
 * The value without the fields of `gone`, except those at or above a field of `kept`. The same value when nothing
 * goes.
 */
export const removeFields = (
  schema: Schema | undefined,
  value: Json,
  gone: FieldSet,
  kept: FieldSet,
): Json => {
  if (gone.below.size === 0) return value;
  const isGone = (edge: string): boolean => gone.below.get(edge)?.isMember === true && !kept.below.has(edge);
  const inner = (edge: string, part: Schema | undefined, item: Json): Json =>
    removeFields(part, item, gone.below.get(edge) ?? noFields, kept.below.get(edge) ?? noFields);
  const shape = shapeOf(schema, value);
  if (Array.isArray(value)) {
    if (shape === 'leaf') return value;
    const edgeOf = (item: Json): string => (shape === 'set' ? valueEdge(item) : itemEdge(schema, item));
    const left = value
      .filter((item) => !isGone(edgeOf(item)))
      .map((item) => (shape === 'set' ? item : inner(edgeOf(item), schema?.items, item)));
    return left.length === value.length && left.every((item, i) => item === value[i]) ? value : left;
  }
  if (!isObject(value) || shape === 'leaf') return value;
  let copy: JsonObject | undefined;
  for (const key of Object.keys(value)) {
    const part = value[key];
    if (part === undefined) continue;
    const edge = `f:${key}`;
    const rest = isGone(edge) ? undefined : inner(edge, memberSchema(schema, key), part);
    // What becomes empty by this goes too, unless somebody wants it empty.
    const left =
      rest !== part && rest !== undefined && isEmptied(rest) && kept.below.get(edge)?.isMember !== true
        ? undefined
        : rest;
    if (left === part) continue;
    copy ??= { ...value };
    if (left === undefined) delete copy[key];
    else copy[key] = left;
  }
  return copy ?? value;
};
