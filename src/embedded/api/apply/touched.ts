/**
 * Which fields does a write touch?
 *
 * Objects of one kind are written in few ways: a Run is created, assigned, ended. So how a write changes an object is
 * put into a text first, which costs little, and the sets that come of it are found by that text. A text that is not
 * known, or too long to be kept, costs what it always did.
 */
import type { Json, JsonObject } from '../json.js';
import { isObject, sameJson } from '../json.js';
import type { KubeObject } from '../object.js';
import type { ResourceType } from '../resources/resource-type.js';
import type { Schema } from '../schema/schema.js';
import { memberSchema } from '../schema/schema.js';
import type { FieldSet } from './field-set.js';
import { compareFields, partsOf, shapeOf, union } from './field-set.js';
import { objectSchema, ownable } from './managers.js';

/** What a write through one endpoint touches. */
export type Touched = Readonly<{
  /** What the writer manages from now on. */
  gained: FieldSet;
  /** What nobody else manages any more. */
  lost: FieldSet;
  /** What is no longer there. */
  removed: FieldSet;
}>;

/** Forms of change that are kept of one kind of object; then all of them are forgotten. */
const KEPT = 256;
/** Length of the longest text that is kept. */
const MAX_TEXT = 4_096;

/** An edge, so that no other row of edges gives the same text. */
const edgeText = (edge: string): string => `${edge.length}:${edge}`;

/** Every field of a value. */
const wholeText = (schema: Schema | undefined, value: Json): string => {
  if (typeof value !== 'object' || value === null) return '.';
  let text = '';
  if (shapeOf(schema, value) === 'map' && isObject(value)) {
    for (const key of Object.keys(value)) {
      const inner = value[key];
      if (inner !== undefined) text += edgeText(`f:${key}`) + wholeText(memberSchema(schema, key), inner);
    }
  } else
    for (const [edge, inner, part] of partsOf(schema, value)) text += edgeText(edge) + wholeText(inner, part);
  return text === '' ? '.' : `{${text}}`;
};

/** A member, which may be named like one that every object has: `constructor`. */
const memberOf = (object: JsonObject, key: string): Json | undefined => {
  const value = object[key];
  return typeof value === 'function' ? undefined : value;
};

const membersText = (schema: Schema | undefined, before: JsonObject, after: JsonObject): string => {
  let text = '';
  for (const key of Object.keys(after)) {
    const [was, is] = [memberOf(before, key), after[key]];
    if (was === is) continue;
    const said = changeText(memberSchema(schema, key), was, is);
    if (said !== '') text += edgeText(`f:${key}`) + said;
  }
  for (const key of Object.keys(before)) {
    const gone = before[key];
    if (memberOf(after, key) === undefined && gone !== undefined)
      text += `${edgeText(`f:${key}`)}-${wholeText(memberSchema(schema, key), gone)}`;
  }
  return text;
};

const partsText = (schema: Schema | undefined, before: Json, after: Json): string => {
  const old = new Map(partsOf(schema, before).map((part) => [part[0], part] as const));
  const now = new Map(partsOf(schema, after).map((part) => [part[0], part] as const));
  let text = '';
  for (const [edge, inner, part] of now.values()) {
    const said = changeText(inner, old.get(edge)?.[2], part);
    if (said !== '') text += edgeText(edge) + said;
  }
  for (const [edge, inner, part] of old.values())
    if (!now.has(edge)) text += `${edgeText(edge)}-${wholeText(inner, part)}`;
  return text;
};

/** All that `compareFields` would say of two values: the same text means the same sets. Empty when nothing differs. */
export const changeText = (
  schema: Schema | undefined,
  before: Json | undefined,
  after: Json | undefined,
): string => {
  if (before === after) return '';
  if (before === undefined) return after === undefined ? '' : `+${wholeText(schema, after)}`;
  if (after === undefined) return `-${wholeText(schema, before)}`;
  const shape = shapeOf(schema, after);
  if (shape !== shapeOf(schema, before)) return `~${wholeText(schema, after)}`;
  if (shape === 'leaf') return sameJson(before, after) ? '' : '~.';
  const text =
    isObject(before) && isObject(after)
      ? membersText(schema, before, after)
      : partsText(schema, before, after);
  return text === '' ? '' : `{${text}}`;
};

/** The object without its managedFields. */
const bare = (object: KubeObject): JsonObject => {
  if (object.metadata.managedFields === undefined) return object;
  const { managedFields: _managed, ...metadata } = object.metadata;
  return { ...object, metadata };
};

const compared = (
  type: ResourceType,
  subresource: string,
  before: JsonObject,
  after: JsonObject,
): Touched => {
  const { added, modified, removed } = compareFields(objectSchema(type), before, after);
  return {
    gained: ownable(type, subresource, union(added, modified)),
    lost: union(ownable(type, subresource, modified), removed),
    removed,
  };
};

const known = new WeakMap<ResourceType, Map<string, Touched>>();

/** What a write touches; of the same kind of change the very same sets, as long as they are kept. */
export const touchedBy = (
  type: ResourceType,
  subresource: string,
  old: KubeObject | undefined,
  object: KubeObject,
): Touched => {
  const isMetadataSame = old?.metadata === object.metadata;
  const before = old === undefined ? {} : isMetadataSame ? old : bare(old);
  const after = isMetadataSame ? object : bare(object);
  const text = `${subresource} ${changeText(objectSchema(type), before, after)}`;
  if (text.length > MAX_TEXT) return compared(type, subresource, before, after);
  let ofType = known.get(type);
  if (ofType === undefined) {
    ofType = new Map();
    known.set(type, ofType);
  }
  let touched = ofType.get(text);
  if (touched === undefined) {
    touched = compared(type, subresource, before, after);
    if (ofType.size >= KEPT) ofType.clear();
    ofType.set(text, touched);
  }
  return touched;
};
