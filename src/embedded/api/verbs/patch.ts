/** PATCH: JSON patch, merge patch, strategic merge patch, apply. */
import { applyObject } from '../apply/apply.js';
import { badRequest, unsupportedMediaType } from '../errors.js';
import type { Json } from '../json.js';
import { isObject } from '../json.js';
import type { KubeObject } from '../object.js';
import { jsonPatch } from '../patch/json-patch.js';
import { mergePatch } from '../patch/merge-patch.js';
import { strategicMergePatch } from '../patch/strategic-merge-patch.js';
import type { Answer, Call } from './call.js';
import { readObject } from './incoming.js';
import { currentOf, updateObject } from './update.js';

/** Media types that a resource can be patched with. */
const acceptedTypes = (call: Call): string[] => [
  'application/json-patch+json',
  'application/merge-patch+json',
  ...(call.type.isCustom ? [] : ['application/strategic-merge-patch+json']),
  'application/apply-patch+yaml',
];

const patched = (call: Call, document: KubeObject, patch: Json): Json => {
  switch (call.contentType) {
    case 'application/json-patch+json':
      return jsonPatch(document, patch);
    case 'application/merge-patch+json':
      if (!isObject(patch)) throw badRequest('a merge patch must be an object');
      return mergePatch(document, patch);
    default:
      if (!isObject(patch)) throw badRequest('a strategic merge patch must be an object');
      return strategicMergePatch(call.type.schema, document, patch);
  }
};

/** PATCH of an object or of its status. */
export const patchObject = (call: Call, patch: Json): Answer => {
  const accepted = acceptedTypes(call);
  if (!accepted.includes(call.contentType)) throw unsupportedMediaType(accepted);
  if (call.contentType === 'application/apply-patch+yaml') return applyObject(call, patch);
  const current = currentOf(call).object;
  const document = call.type.toServed === undefined ? current : call.type.toServed(current);
  return updateObject(call, readObject(call, patched(call, document, patch), [], document), current);
};
