/** JSON merge patch (RFC 7386). */
import type { Json, JsonObject } from '../json.js';
import { isObject } from '../json.js';

/** The target with the patch applied; parts that the patch does not name are shared with the target. */
export const mergePatch = (target: Json | undefined, patch: Json): Json => {
  if (!isObject(patch)) return patch;
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === null) delete result[key];
    else if (value !== undefined) result[key] = mergePatch(result[key], value);
  }
  return result;
};
