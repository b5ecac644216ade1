/**
 * Sets of fields, as managedFields hold them (FieldsV1): a tree whose edges are `f:<field>`, `k:<keys of a list
 * item>`, `v:<value of a set item>`. A node may itself be in the set, and have others below it.
 */
import type { Json, JsonObject } from '../json.js';
import { isObject, sameJson } from '../json.js';
import type { Schema } from '../schema/schema.js';
import { memberSchema } from '../schema/schema.js';

/** Differences that a set remembers: those of one kind of object have few forms. */
const REMEMBERED = 32;

/**
 * A set of fields. Never changed once made; it remembers how it is written, and what was taken from it before, since
 * the same few sets serve all objects that are written in the same way.
 */
export class FieldSet {
  readonly isMember: boolean;
  readonly below: ReadonlyMap<string, FieldSet>;
  #json: JsonObject | undefined;
  #differences: Map<FieldSet, FieldSet> | undefined;

  constructor(isMember: boolean, below: ReadonlyMap<string, FieldSet>) {
    this.isMember = isMember;
    this.below = below;
  }

  /** FieldsV1, as it was first written. */
  writtenAs(write: (set: FieldSet) => JsonObject): JsonObject {
    this.#json ??= write(this);
    return this.#json;
  }

  /** `difference`, remembered for as long as this set is: for sets that come again. */
  without(other: FieldSet): FieldSet {
    const known = this.#differences?.get(other);
    if (known !== undefined) return known;
    const left = difference(this, other);
    if (this.#differences === undefined || this.#differences.size >= REMEMBERED)
      this.#differences = new Map();
    this.#differences.set(other, left);
    return left;
  }
}

const none: ReadonlyMap<string, FieldSet> = new Map();
/** The set without any field. */
export const noFields: FieldSet = new FieldSet(false, none);
/** The field at the top, with nothing below. */
export const oneField: FieldSet = new FieldSet(true, none);

const isEmpty = ({ isMember, below }: FieldSet): boolean => !isMember && below.size === 0;
/** Whether a set has no field. */
export const isEmptySet = isEmpty;

const make = (isMember: boolean, entries: Iterable<readonly [string, FieldSet]>): FieldSet => {
  const below = new Map<string, FieldSet>();
  for (const [key, set] of entries) if (!isEmpty(set)) below.set(key, set);
  return new FieldSet(isMember, below);
};

const combine = (a: FieldSet, b: FieldSet, member: (a: boolean, b: boolean) => boolean): FieldSet => {
  const keys = new Set([...a.below.keys(), ...b.below.keys()]);
  return make(
    member(a.isMember, b.isMember),
    [...keys].map(
      (key) => [key, combine(a.below.get(key) ?? noFields, b.below.get(key) ?? noFields, member)] as const,
    ),
  );
};

/** Fields of one or the other; the first itself where the second adds nothing. */
export const union = (a: FieldSet, b: FieldSet): FieldSet => {
  if (a === b || isEmpty(b)) return a;
  if (isEmpty(a)) return b;
  let below: Map<string, FieldSet> | undefined;
  for (const [key, added] of b.below) {
    const own = a.below.get(key);
    const both = own === undefined ? added : union(own, added);
    if (both === own) continue;
    below ??= new Map(a.below);
    below.set(key, both);
  }
  const isMember = a.isMember || b.isMember;
  return below === undefined && isMember === a.isMember ? a : new FieldSet(isMember, below ?? a.below);
};
/** Fields of the first that are not in the second; the first itself where that is all of them. */
export const difference = (a: FieldSet, b: FieldSet): FieldSet => {
  if (isEmpty(a) || isEmpty(b)) return a;
  let below: Map<string, FieldSet> | undefined;
  for (const [key, removed] of b.below) {
    const own = a.below.get(key);
    if (own === undefined) continue;
    const left = difference(own, removed);
    if (left === own) continue;
    below ??= new Map(a.below);
    if (isEmpty(left)) below.delete(key);
    else below.set(key, left);
  }
  const isMember = a.isMember && !b.isMember;
  return below === undefined && isMember === a.isMember ? a : new FieldSet(isMember, below ?? a.below);
};
/** Fields of both. */
export const intersection = (a: FieldSet, b: FieldSet): FieldSet =>
  isEmpty(a) || isEmpty(b) ? noFields : combine(a, b, (x, y) => x && y);

/** The set without everything at or below the members of the other. */
export const withoutSubtrees = (a: FieldSet, b: FieldSet): FieldSet =>
  b.isMember
    ? noFields
    : make(
        a.isMember,
        [...a.below].map(([key, set]) => [key, withoutSubtrees(set, b.below.get(key) ?? noFields)] as const),
      );

const parsed = new WeakMap<JsonObject, FieldSet>();

/** Reads FieldsV1. */
export const fromFieldsV1 = (json: JsonObject | undefined): FieldSet => {
  if (json === undefined) return noFields;
  const known = parsed.get(json);
  if (known !== undefined) return known;
  const read = (value: JsonObject): FieldSet => {
    const keys = Object.keys(value);
    if (keys.length === 0) return oneField;
    return new FieldSet(
      value['.'] !== undefined,
      new Map(
        keys.filter((key) => key !== '.').map((key) => [key, read(isObject(value[key]) ? value[key] : {})]),
      ),
    );
  };
  const set = Object.keys(json).length === 0 ? noFields : read(json);
  parsed.set(json, set);
  return set;
};

const write = (set: FieldSet): JsonObject => {
  const json: JsonObject = {};
  if (set.isMember && set.below.size > 0) json['.'] = {};
  for (const key of [...set.below.keys()].sort())
    json[key] = (set.below.get(key) ?? noFields).writtenAs(write);
  return json;
};

const writeWhole = (set: FieldSet): JsonObject => {
  const json = write(set);
  parsed.set(json, set);
  return json;
};

/** Writes FieldsV1; of the same set the same, so that a manager whose fields did not change costs nothing. */
export const toFieldsV1 = (set: FieldSet): JsonObject => set.writtenAs(writeWhole);

/** How a value counts: as one, or as its parts. */
export type Shape = 'leaf' | 'map' | 'keyed' | 'set';

/** The shape of a value by its schema. Without one, maps have parts and lists are one. */
export const shapeOf = (schema: Schema | undefined, value: Json): Shape => {
  if (Array.isArray(value)) {
    const type = schema?.['x-kubernetes-list-type'];
    return type === 'map' ? 'keyed' : type === 'set' ? 'set' : 'leaf';
  }
  if (!isObject(value) || schema?.['x-kubernetes-map-type'] === 'atomic') return 'leaf';
  return 'map';
};

/** The edge to an item of a keyed list: its keys, with their defaults. */
export const itemEdge = (schema: Schema | undefined, item: Json): string => {
  const unsorted = schema?.['x-kubernetes-list-map-keys'] ?? [];
  const [only = ''] = unsorted;
  const text = unsorted.length === 1 && isObject(item) ? item[only] : undefined;
  if (typeof text === 'string') return `k:{${JSON.stringify(only)}:${JSON.stringify(text)}}`;
  const keys = [...unsorted].sort();
  const values = keys
    .map((key): [string, Json | undefined] => [
      key,
      (isObject(item) ? item[key] : undefined) ?? schema?.items?.properties?.[key]?.default,
    ])
    .filter((pair): pair is [string, Json] => pair[1] !== undefined);
  return `k:${JSON.stringify(Object.fromEntries(values))}`;
};

/** The edge to an item of a set. */
export const valueEdge = (item: Json): string => `v:${JSON.stringify(item)}`;

type Part = readonly [edge: string, schema: Schema | undefined, value: Json];

/** The parts of a value that has some. */
export const partsOf = (schema: Schema | undefined, value: Json): Part[] => {
  switch (shapeOf(schema, value)) {
    case 'map':
      return isObject(value)
        ? Object.keys(value).flatMap((key): Part[] => {
            const inner = value[key];
            return inner === undefined ? [] : [[`f:${key}`, memberSchema(schema, key), inner]];
          })
        : [];
    case 'keyed':
      return Array.isArray(value)
        ? value.map((item) => [itemEdge(schema, item), schema?.items, item] as const)
        : [];
    case 'set':
      return Array.isArray(value) ? value.map((item) => [valueEdge(item), undefined, item] as const) : [];
    case 'leaf':
      return [];
  }
};

/** The fields that an applied configuration speaks of. */
export const appliedFields = (schema: Schema | undefined, value: Json, isItem = false): FieldSet => {
  const shape = shapeOf(schema, value);
  const parts = partsOf(schema, value);
  if (shape === 'leaf' || parts.length === 0) return oneField;
  const below = parts.map(
    ([edge, inner, part]) =>
      [edge, shape === 'set' ? oneField : appliedFields(inner, part, shape === 'keyed')] as const,
  );
  return make(isItem, below);
};

/** Every field of a value, the ones with parts included. */
const allFields = (schema: Schema | undefined, value: Json): FieldSet =>
  make(
    true,
    partsOf(schema, value).map(([edge, inner, part]) => [edge, allFields(inner, part)] as const),
  );

/** What differs between two values. */
export type Changes = Readonly<{ added: FieldSet; modified: FieldSet; removed: FieldSet }>;

const noChanges: Changes = { added: noFields, modified: noFields, removed: noFields };

/** Compares two values of one schema. Parts that are the very same cost nothing. */
export const compareFields = (
  schema: Schema | undefined,
  before: Json | undefined,
  after: Json | undefined,
): Changes => {
  if (before === after) return noChanges;
  if (before === undefined)
    return after === undefined ? noChanges : { ...noChanges, added: allFields(schema, after) };
  if (after === undefined) return { ...noChanges, removed: allFields(schema, before) };
  const shape = shapeOf(schema, after);
  if (shape !== shapeOf(schema, before))
    return { ...noChanges, modified: allFields(schema, after), removed: noFields };
  if (shape === 'leaf') return sameJson(before, after) ? noChanges : { ...noChanges, modified: oneField };
  const old = new Map(partsOf(schema, before).map((part) => [part[0], part] as const));
  const now = new Map(partsOf(schema, after).map((part) => [part[0], part] as const));
  const changes: [string, Changes][] = [...new Set([...old.keys(), ...now.keys()])].map((edge) => [
    edge,
    compareFields(now.get(edge)?.[1] ?? old.get(edge)?.[1], old.get(edge)?.[2], now.get(edge)?.[2]),
  ]);
  const pick = (name: keyof Changes): FieldSet =>
    make(
      false,
      changes.map(([edge, change]) => [edge, change[name]] as const),
    );
  return { added: pick('added'), modified: pick('modified'), removed: pick('removed') };
};

const edgeText = (edge: string): string => {
  const kind = edge.slice(0, 2);
  const rest = edge.slice(2);
  if (kind === 'f:') return `.${rest}`;
  if (kind === 'v:') return `[=${rest}]`;
  const keys = Object.entries(JSON.parse(rest) as JsonObject);
  return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
};

/** The paths of a set's members, as conflicts name them: `.spec.containers[name="x"].image`. */
export const fieldPaths = (set: FieldSet, prefix = ''): string[] => [
  ...(set.isMember ? [prefix] : []),
  ...[...set.below].flatMap(([edge, below]) => fieldPaths(below, prefix + edgeText(edge))),
];
