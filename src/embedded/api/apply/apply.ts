/**
 * Server-side apply: the caller says which fields it wants, the server remembers who wants what. Fields that the
 * caller wanted before and does not name any more go, unless somebody else wants them; fields that others manage
 * with another value are conflicts, unless forced.
 */

import { sortedJson } from '../../../model/sorted-json.js';
import { ApiError, badRequest } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { copyJson, isObject, sameJson, textOf, without } from '../json.js';
import type { KubeObject } from '../object.js';
import { isKubeObject, wireTime } from '../object.js';
import { apiVersionOf } from '../resources/resource-type.js';
import { builtinSchema } from '../schema/builtin-schema.js';
import { prune } from '../schema/prune.js';
import type { Answer, Call } from '../verbs/call.js';
import { createObject } from '../verbs/create.js';
import { readObject } from '../verbs/incoming.js';
import { updateObject } from '../verbs/update.js';
import type { FieldSet } from './field-set.js';
import {
  appliedFields,
  compareFields,
  difference,
  fieldPaths,
  intersection,
  isEmptySet,
  noFields,
  union,
} from './field-set.js';
import type { Manager } from './managers.js';
import { isSameManager, managersOf, objectSchema, ownable, withManagers } from './managers.js';
import { mergeApplied, removeFields } from './merge.js';

const withoutNulls = (value: Json): Json => {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isObject(value)) return value;
  const copy: JsonObject = {};
  for (const [key, inner] of Object.entries(value))
    if (inner !== null && inner !== undefined) copy[key] = withoutNulls(inner);
  return copy;
};

/** The applied configuration, checked; its form is the one the resource is served in. */
const configurationOf = (call: Call, patch: Json): KubeObject => {
  const { type, info } = call;
  if (!isObject(patch)) throw badRequest('error decoding YAML: the patch must be an object');
  const config = withoutNulls(copyJson(patch));
  const expected = apiVersionOf(type);
  if (!isObject(config) || textOf(config.apiVersion) !== expected || config.kind !== type.kind) {
    throw badRequest(
      `Incorrect version specified in apply patch. Specified patch version: ${textOf(patch.apiVersion)}, expected: ${expected}`,
    );
  }
  const whole: JsonObject = { ...config, metadata: isObject(config.metadata) ? config.metadata : {} };
  const metadata = isObject(whole.metadata) ? whole.metadata : {};
  if (metadata.managedFields !== undefined) throw badRequest('metadata.managedFields must be nil');
  if (metadata.name !== undefined && metadata.name !== info.name)
    throw badRequest(
      `name in patch (${textOf(metadata.name)}) must match the name in the URL (${info.name})`,
    );
  if (metadata.namespace !== undefined && type.isNamespaced && metadata.namespace !== info.namespace)
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  const unknown: string[] = [];
  prune(builtinSchema('ObjectMeta'), metadata, 'metadata', unknown);
  prune(type.schema, without(whole, 'metadata'), '', unknown, true);
  if (unknown.length > 0) {
    const place = `${textOf(metadata.namespace)}/${textOf(metadata.name)}; ${type.group}/${type.version}, Kind=${type.kind}`;
    const texts = unknown.map((field) => `.${field}: field not declared in schema`);
    throw new ApiError(
      500,
      '',
      `failed to create typed patch object (${place}): ${texts.length === 1 ? (texts[0] ?? '') : `errors:\n  ${texts.join('\n  ')}`}`,
    );
  }
  const named = {
    ...whole,
    metadata: { ...metadata, name: info.name, ...(type.isNamespaced ? { namespace: info.namespace } : {}) },
  };
  if (!isKubeObject(named)) throw badRequest('the patch is no object of the API');
  return named;
};

const managerText = ({ manager, subresource, apiVersion, operation }: Manager): string =>
  `${JSON.stringify(manager)}${subresource === '' ? '' : ` with subresource ${JSON.stringify(subresource)}`}${operation === 'Update' ? ` using ${apiVersion}` : ''}`;

const conflictError = (conflicts: readonly (readonly [Manager, FieldSet])[]): ApiError => {
  const found = conflicts
    .map(([manager, set]) => ({ text: managerText(manager), paths: fieldPaths(set).sort() }))
    .sort((a, b) => a.text.localeCompare(b.text));
  const count = found.reduce((sum, { paths }) => sum + paths.length, 0);
  const lines = found.map(({ text, paths }) =>
    paths.length === 1
      ? `conflict with ${text}: ${paths[0] ?? ''}`
      : `conflicts with ${text}:\n${paths.map((path) => `- ${path}`).join('\n')}`,
  );
  return new ApiError(
    409,
    'Conflict',
    `Apply failed with ${count} conflict${count === 1 ? '' : 's'}: ${lines.join('\n')}`,
    {
      causes: found.flatMap(({ text, paths }) =>
        paths.map((field) => ({ reason: 'FieldManagerConflict', message: `conflict with ${text}`, field })),
      ),
    },
  );
};

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/**
 * The object with kubectl's annotation brought up to date, where it has one and kubectl applies: an object that was
 * applied by the client before stays applicable by it.
 */
const withLastApplied = (object: KubeObject, config: KubeObject, manager: string): KubeObject => {
  const { annotations } = object.metadata;
  if (manager !== 'kubectl' || annotations?.[LAST_APPLIED] === undefined) return object;
  const text = `${sortedJson(config)}\n`;
  return {
    ...object,
    metadata: { ...object.metadata, annotations: { ...annotations, [LAST_APPLIED]: text } },
  };
};

/** PATCH with an apply configuration; creates the object when it is not there. */
export const applyObject = (call: Call, patch: Json): Answer => {
  const { backend, type, info, query } = call;
  const manager = query.get('fieldManager') ?? '';
  if (manager === '') {
    throw new ApiError(
      422,
      'Invalid',
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
      {
        group: 'meta.k8s.io',
        kind: 'PatchOptions',
        causes: [
          {
            reason: 'FieldValueRequired',
            message: 'Required value: is required for apply patch',
            field: 'fieldManager',
          },
        ],
      },
    );
  }
  const subresource = info.subresource === 'status' ? 'status' : '';
  const config = configurationOf(call, patch);
  const stored = backend.store.head(
    type.storage,
    type.isNamespaced ? info.namespace : undefined,
    info.name,
  )?.object;
  const schema = objectSchema(type);
  const mine = { manager, operation: 'Apply' as const, apiVersion: apiVersionOf(type), subresource };
  const wanted = ownable(type, subresource, appliedFields(schema, config));
  const time = wireTime(backend.nowMs());
  if (stored === undefined) {
    if (subresource !== '') throw new ApiError(404, 'NotFound', `${type.plural} "${info.name}" not found`);
    const creating: Call = { ...call, info: { ...info, name: '', verb: 'create' } };
    return createObject(creating, readObject(creating, config), (_call, object) =>
      withManagers(object, [{ ...mine, time, fields: wanted }]),
    );
  }
  const live = type.toServed === undefined ? stored : type.toServed(stored);
  const managers = managersOf(live.metadata.managedFields);
  const own = managers.find((other) => isSameManager(other, mine));
  const others = managers.filter((other) => other !== own);
  const merged = mergeApplied(schema, live, config);
  const keptByOthers = others.reduce((set, { fields }) => union(set, fields), wanted);
  const left = removeFields(schema, merged, difference(own?.fields ?? noFields, wanted), keptByOthers);
  const changes = compareFields(schema, live, left);
  const touched = ownable(type, subresource, union(changes.added, changes.modified));
  const conflicts = others
    .map((other) => [other, intersection(other.fields, touched)] as const)
    .filter(([, set]) => !isEmptySet(set));
  if (conflicts.length > 0 && query.get('force') !== 'true') throw conflictError(conflicts);
  const lost = union(touched, changes.removed);
  const isUnchanged =
    sameJson(live, left) &&
    own !== undefined &&
    isEmptySet(difference(own.fields, wanted)) &&
    isEmptySet(difference(wanted, own.fields));
  const next: Manager[] = [
    ...others.map((other) => ({ ...other, fields: difference(other.fields, lost) })),
    { ...mine, time: isUnchanged ? own.time : time, fields: wanted },
  ];
  const applying: Call = { ...call, fieldManager: manager };
  if (!isObject(left)) throw badRequest('the patch leaves no object');
  return updateObject(applying, readObject(applying, left), stored, (_call, object) =>
    withLastApplied(withManagers(object, next), config, manager),
  );
};
