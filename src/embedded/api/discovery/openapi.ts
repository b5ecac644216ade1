/**
 * OpenAPI documents, version 3 per group and version and version 2 for all: enough for `kubectl explain`, for clients
 * that look whether the server validates fields, and for client-side merges of built-in types.
 */
import { createHash } from 'node:crypto';

import type { Json, JsonObject } from '../json.js';
import type { Registry } from '../resources/registry.js';
import type { ResourceType } from '../resources/resource-type.js';
import { apiVersionOf } from '../resources/resource-type.js';
import { builtinSchema } from '../schema/builtin-schema.js';
import type { Schema } from '../schema/schema.js';
import { allExtras } from './discovery.js';

type Version = 2 | 3;

const prefixes: Readonly<Record<Version, string>> = { 2: '#/definitions/', 3: '#/components/schemas/' };
const dropped = new Set([
  'typeName',
  'fieldDescription',
  'properties',
  'items',
  'additionalProperties',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'x-kubernetes-patch-strategy',
  'x-kubernetes-patch-merge-key',
]);

/** Writes schemas as one document has them; named types are collected as they are met. */
class SchemaWriter {
  readonly definitions: JsonObject = {};
  readonly #version: Version;

  constructor(version: Version) {
    this.#version = version;
  }

  /** A reference to a named type, whose definition is written if it is new. */
  reference(name: string, schema: Schema, extra: JsonObject = {}): JsonObject {
    if (this.definitions[name] === undefined) {
      this.definitions[name] = {};
      this.definitions[name] = { ...this.#body(schema), ...extra };
    }
    return { $ref: `${prefixes[this.#version]}${name}` };
  }

  write(schema: Schema): JsonObject {
    if (schema.typeName === undefined) return this.#body(schema);
    const reference = this.reference(schema.typeName, schema);
    // A reference stands alone in version 2; version 3 can say beside it what the field is for.
    if (this.#version === 2 || schema.fieldDescription === undefined) return reference;
    return { description: schema.fieldDescription, allOf: [reference] };
  }

  #body(schema: Schema): JsonObject {
    const body: JsonObject = {};
    for (const [key, value] of Object.entries(schema)) {
      if (dropped.has(key) || value === undefined) continue;
      body[key] = value as Json;
    }
    if (schema['x-kubernetes-int-or-string'] === true && this.#version === 2) body.type = 'string';
    if (schema['x-kubernetes-int-or-string'] === true) body.format = 'int-or-string';
    if (schema['x-kubernetes-patch-strategy'] !== undefined)
      body['x-kubernetes-patch-strategy'] = schema['x-kubernetes-patch-strategy'];
    if (schema['x-kubernetes-patch-merge-key'] !== undefined)
      body['x-kubernetes-patch-merge-key'] = schema['x-kubernetes-patch-merge-key'];
    if (schema.properties !== undefined)
      body.properties = Object.fromEntries(
        Object.entries(schema.properties).map(([key, part]) => [key, this.write(part)]),
      );
    if (schema.items !== undefined) body.items = this.write(schema.items);
    if (typeof schema.additionalProperties === 'object')
      body.additionalProperties = this.write(schema.additionalProperties);
    return body;
  }
}

const reversed = (group: string): string => group.split('.').reverse().join('.');

/** Name of a kind's definition. */
const definitionName = (type: ResourceType): string =>
  type.schema.typeName ?? `${reversed(type.group)}.${type.version}.${type.kind}`;

const kindExtra = (group: string, version: string, kind: string): JsonObject => ({
  'x-kubernetes-group-version-kind': [{ group, version, kind }],
});

const objectSchema = (type: ResourceType): Schema => ({
  ...type.schema,
  properties: {
    apiVersion: { type: 'string', description: 'Version of the schema of this object.' },
    kind: { type: 'string', description: 'Kind of this object.' },
    ...type.schema.properties,
    metadata: builtinSchema('ObjectMeta'),
  },
});

const writeKind = (writer: SchemaWriter, type: ResourceType): JsonObject => {
  const reference = writer.reference(
    definitionName(type),
    objectSchema(type),
    kindExtra(type.group, type.version, type.kind),
  );
  const list: Schema = {
    type: 'object',
    description: `A list of ${type.plural}.`,
    required: ['items'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: builtinSchema('ListMeta'),
      items: { type: 'array', items: { type: 'object' } },
    },
  };
  writer.reference(`${definitionName(type)}List`, list, kindExtra(type.group, type.version, type.listKind));
  return reference;
};

const queryParameter = (version: Version, name: string): JsonObject => {
  const type = name === 'force' ? 'boolean' : 'string';
  return version === 3
    ? { name, in: 'query', schema: { type, uniqueItems: true } }
    : { name, in: 'query', type, uniqueItems: true };
};

const actions: Readonly<Record<string, string>> = {
  get: 'get',
  list: 'list',
  post: 'post',
  put: 'put',
  patch: 'patch',
  delete: 'delete',
};

const operation = (
  version: Version,
  type: ResourceType,
  method: string,
  action: string,
  reference: JsonObject,
): JsonObject => {
  const id = `${action}${type.kind}${type.version}`;
  const writes = ['post', 'put', 'patch'].includes(method);
  const names = writes
    ? ['dryRun', 'fieldManager', 'fieldValidation']
    : method === 'delete'
      ? ['dryRun']
      : [];
  const parameters: Json[] = [...names, ...(method === 'patch' ? ['force'] : [])].map((name) =>
    queryParameter(version, name),
  );
  const response =
    version === 3
      ? { description: 'OK', content: { 'application/json': { schema: reference } } }
      : { description: 'OK', schema: reference };
  const media =
    method === 'patch'
      ? [
          'application/json-patch+json',
          'application/merge-patch+json',
          ...(type.isCustom ? [] : ['application/strategic-merge-patch+json']),
          'application/apply-patch+yaml',
        ]
      : ['application/json'];
  const body =
    version === 3
      ? {
          requestBody: {
            content: Object.fromEntries(
              media.map((name) => [name, { schema: method === 'patch' ? { type: 'object' } : reference }]),
            ),
          },
        }
      : { consumes: media };
  return {
    operationId: id,
    ...(writes ? body : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: { '200': response },
    'x-kubernetes-action': actions[action] ?? action,
    'x-kubernetes-group-version-kind': { group: type.group, version: type.version, kind: type.kind },
  };
};

const pathsOf = (version: Version, type: ResourceType, reference: JsonObject): JsonObject => {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const base = type.isNamespaced ? `${root}/namespaces/{namespace}/${type.plural}` : `${root}/${type.plural}`;
  const make = (methods: Readonly<Record<string, string>>): JsonObject =>
    Object.fromEntries(
      Object.entries(methods).map(([method, action]) => [
        method,
        operation(version, type, method, action, reference),
      ]),
    );
  const one = make({ get: 'get', put: 'put', patch: 'patch', delete: 'delete' });
  return {
    [base]: make({ get: 'list', post: 'post', delete: 'deletecollection' }),
    [`${base}/{name}`]: one,
    ...(type.hasStatus
      ? { [`${base}/{name}/status`]: make({ get: 'get', put: 'put', patch: 'patch' }) }
      : {}),
  };
};

const info: JsonObject = { title: 'kruntimes embedded Kubernetes', version: 'v1.33.0' };

const virtualTypes = (registry: Registry, group: string, version: string): string[] =>
  allExtras(registry)
    .filter((extra) => extra.group === group && extra.version === version && !extra.plural.includes('/'))
    .map(({ kind }) => kind);

/** The version 3 document of one group and version; undefined when nothing is served there. */
export const openApiV3 = (registry: Registry, group: string, version: string): JsonObject | undefined => {
  const types = registry.all().filter((type) => type.group === group && type.version === version);
  const others = virtualTypes(registry, group, version);
  if (types.length + others.length === 0) return undefined;
  const writer = new SchemaWriter(3);
  let paths: JsonObject = {};
  for (const type of types) paths = { ...paths, ...pathsOf(3, type, writeKind(writer, type)) };
  for (const kind of others)
    writer.reference(
      builtinSchema(kind).typeName ?? kind,
      builtinSchema(kind),
      kindExtra(group, version, kind),
    );
  return { openapi: '3.0.0', info, paths, components: { schemas: writer.definitions } };
};

/** The version 2 document of everything. */
export const openApiV2 = (registry: Registry): JsonObject => {
  const writer = new SchemaWriter(2);
  let paths: JsonObject = {};
  for (const type of registry.all()) paths = { ...paths, ...pathsOf(2, type, writeKind(writer, type)) };
  return { swagger: '2.0', info, paths, definitions: writer.definitions };
};

/** Documents by group and version, as `/openapi/v3` lists them; the hash lets clients cache. */
export const openApiIndex = (registry: Registry): JsonObject => {
  const places = new Set([...registry.all(), ...allExtras(registry)].map(apiVersionOf));
  const paths: JsonObject = {};
  for (const place of [...places].sort()) {
    const [group, version] = place.includes('/')
      ? [place.slice(0, place.indexOf('/')), place.slice(place.indexOf('/') + 1)]
      : ['', place];
    const document = openApiV3(registry, group ?? '', version ?? '');
    if (document === undefined) continue;
    const hash = createHash('sha256')
      .update(JSON.stringify(document))
      .digest('hex')
      .slice(0, 32)
      .toUpperCase();
    const path = group === '' ? `api/${version ?? ''}` : `apis/${place}`;
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
  }
  return { paths };
};
