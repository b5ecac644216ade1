/** JSON values as the API server handles them: never changed in place once they are stored. */

/** A JSON value. */
export type Json = null | boolean | number | string | Json[] | JsonObject;

/** A JSON object; an undefined member counts as absent. */
export interface JsonObject {
  [key: string]: Json | undefined;
}

/** Whether the value is an object, not an array and not null. */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The value if it is an object, else an empty one. */
export const objectOf = (value: unknown): JsonObject => (isObject(value) ? value : {});

/** The value if it is an array, else an empty one. */
export const arrayOf = (value: Json | undefined): Json[] => (Array.isArray(value) ? value : []);

/** The value if it is a string, else the empty one. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The strings of an array, or none. */
export const textsOf = (value: Json | undefined): string[] =>
  arrayOf(value).filter((item): item is string => typeof item === 'string');

/** Deep equality of JSON values; shared parts cost nothing. */
export const sameJson = (a: Json | undefined, b: Json | undefined): boolean => {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    return (
      Array.isArray(a) &&
      Array.isArray(b) &&
      a.length === b.length &&
      a.every((item, i) => sameJson(item, b[i]))
    );
  }
  const keysOfA = Object.keys(a).filter((key) => a[key] !== undefined);
  const keysOfB = Object.keys(b).filter((key) => b[key] !== undefined);
  return keysOfA.length === keysOfB.length && keysOfA.every((key) => sameJson(a[key], b[key]));
};

/** Whether two objects are the same in all members but the named ones. */
export const sameBut = (a: JsonObject, b: JsonObject, ...names: readonly string[]): boolean => {
  for (const key in a)
    if (a[key] !== undefined && !names.includes(key) && !sameJson(a[key], b[key])) return false;
  // One may be named `constructor`, which every object has.
  for (const key in b)
    if (b[key] !== undefined && (!Object.hasOwn(a, key) || a[key] === undefined) && !names.includes(key))
      return false;
  return true;
};

/** A deep copy. */
export const copyJson = <T extends Json | undefined>(value: T): T => {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => copyJson(item)) as T;
  const copy: JsonObject = {};
  for (const key of Object.keys(value)) copy[key] = copyJson((value as JsonObject)[key]);
  return copy as T;
};

/** The value at a path of member names, undefined where there is none. */
export const at = (value: Json | undefined, ...path: readonly string[]): Json | undefined => {
  let here: Json | undefined = value;
  for (const key of path) {
    if (!isObject(here)) return undefined;
    here = here[key];
  }
  return here;
};

/** A copy of the object in which the value at the path is replaced; undefined removes it. */
export const withAt = (object: JsonObject, path: readonly string[], value: Json | undefined): JsonObject => {
  const [key, ...rest] = path;
  if (key === undefined) return object;
  const copy = { ...object };
  const inner = rest.length === 0 ? value : withAt(objectOf(object[key]), rest, value);
  if (inner === undefined) delete copy[key];
  else copy[key] = inner;
  return copy;
};

/** A copy of the object without the named members. */
export const without = (object: JsonObject, ...keys: readonly string[]): JsonObject => {
  const copy = { ...object };
  for (const key of keys) delete copy[key];
  return copy;
};
