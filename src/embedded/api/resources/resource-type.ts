/** What the server has to know about one kind of object to serve it. */
import type { FieldError } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import type { KubeObject } from '../object.js';
import type { Schema } from '../schema/schema.js';

/** One column of a table for people. */
export type Column = Readonly<{
  name: string;
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date';
  format?: string;
  description?: string;
  /** 0 is always shown, others with `-o wide`. */
  priority?: number;
  /** Content of the cell; dates come as RFC 3339 text and are shown as an age. */
  cell: (object: JsonObject, nowMs: number) => Json;
}>;

/** Paths of the scale subresource, without the leading dot. */
export type ScalePaths = Readonly<{
  replicas: readonly string[];
  status: readonly string[];
  selector?: readonly string[];
}>;

/** One kind of object. Everything that differs between kinds is here; the verbs are the same for all. */
export type ResourceType = Readonly<{
  group: string;
  version: string;
  kind: string;
  listKind: string;
  plural: string;
  singular: string;
  shortNames: readonly string[];
  categories: readonly string[];
  isNamespaced: boolean;
  isCustom: boolean;
  /** Name in the store; resources that share one are two views of the same objects. */
  storage: string;
  schema: Schema;
  hasStatus: boolean;
  scale?: ScalePaths;
  columns: readonly Column[];
  /** Fields beyond metadata that can be selected by. */
  fields: Readonly<Record<string, (object: JsonObject) => string>>;
  /** From the stored form to the one that is served, when they differ. */
  toServed?: (stored: KubeObject) => KubeObject;
  /** From what came in to the stored form, when they differ. */
  toStored?: (served: KubeObject) => KubeObject;
  /** A name's form. */
  nameRule: 'subdomain' | 'label' | 'path';
  /** An object that is deleted with a verb of its own is answered, not a Status. */
  answersDeleted: boolean;
  /** PUT without a resource version overwrites. */
  allowsUnconditionalUpdate: boolean;
  /** PUT of an object that is not there creates it. */
  createsOnUpdate: boolean;
  /** Whether the generation is counted. */
  hasGeneration: boolean;
  /** Fills in what a new object gets. */
  prepareCreate?: (object: KubeObject) => KubeObject;
  /** Carries over what an update may not change silently. */
  prepareUpdate?: (object: KubeObject, old: KubeObject) => KubeObject;
  /** Fills in defaults whenever an object is written. */
  defaults?: (object: KubeObject) => KubeObject;
  validate?: (object: KubeObject, old: KubeObject | undefined) => FieldError[];
}>;

/** `group/version`, or the version alone for the core group. */
export const apiVersionOf = ({ group, version }: Pick<ResourceType, 'group' | 'version'>): string =>
  group === '' ? version : `${group}/${version}`;

/** A resource as errors name it. */
export const refOf = ({ group, plural }: ResourceType): { group: string; plural: string } => ({
  group,
  plural,
});

/** The value of a selectable field of an object. */
export const selectableField = (type: ResourceType, object: KubeObject, field: string): string => {
  if (field === 'metadata.name') return object.metadata.name ?? '';
  if (field === 'metadata.namespace') return object.metadata.namespace ?? '';
  return type.fields[field]?.(object) ?? '';
};

/** Whether objects of a type can be selected by a field. */
export const isSelectable = (type: ResourceType, field: string): boolean =>
  field === 'metadata.name' ||
  (field === 'metadata.namespace' && type.isNamespaced) ||
  type.fields[field] !== undefined;
