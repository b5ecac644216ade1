/** Tables for people (meta.k8s.io Table) and bare metadata (PartialObjectMetadata). */
import type { Json, JsonObject } from '../json.js';
import type { KubeObject } from '../object.js';
import type { Column, ResourceType } from '../resources/resource-type.js';
import { ageOf } from './age.js';

/** How much of each object a table row carries. */
export type IncludeObject = 'None' | 'Metadata' | 'Object';

const nameColumn: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  cell: (object) => (object.metadata as JsonObject | undefined)?.name ?? '',
};

/** The age column most tables end with. */
export const ageColumn: Column = {
  name: 'Age',
  type: 'string',
  description: 'Time since the object was created.',
  cell: (object, nowMs) => ageOf((object.metadata as JsonObject | undefined)?.creationTimestamp, nowMs),
};

const columnsOf = (type: ResourceType): Column[] => [nameColumn, ...type.columns];

/** An object's metadata alone. */
export const metadataOnly = (object: KubeObject): JsonObject => ({
  kind: 'PartialObjectMetadata',
  apiVersion: 'meta.k8s.io/v1',
  metadata: object.metadata,
});

const rowObject = (object: KubeObject, include: IncludeObject): JsonObject | null =>
  include === 'None' ? null : include === 'Object' ? object : metadataOnly(object);

/** One object's row. */
export const rowOf = (
  type: ResourceType,
  object: KubeObject,
  include: IncludeObject,
  nowMs: number,
): JsonObject => ({
  cells: columnsOf(type).map(({ cell }) => cell(object, nowMs)),
  object: rowObject(object, include),
});

/** A table of objects. `withColumns` is false for the events of a watch after the first. */
export const tableOf = (
  type: ResourceType,
  objects: readonly KubeObject[],
  metadata: JsonObject,
  include: IncludeObject,
  nowMs: number,
  withColumns = true,
): JsonObject => {
  const columns = columnsOf(type);
  const columnDefinitions: Json[] = columns.map(
    ({ name, type: columnType, format, description, priority }) => ({
      name,
      type: columnType,
      format: format ?? '',
      description: description ?? '',
      priority: priority ?? 0,
    }),
  );
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: withColumns ? columnDefinitions : null,
    rows: objects.map((object) => rowOf(type, object, include, nowMs)),
  };
};
