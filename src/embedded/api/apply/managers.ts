/** The managedFields of an object as sets of fields by manager. */
import { isObject, textOf } from '../json.js';
import type { KubeObject, ManagedFieldsEntry } from '../object.js';
import type { ResourceType } from '../resources/resource-type.js';
import { builtinSchema } from '../schema/builtin-schema.js';
import type { Schema } from '../schema/schema.js';
import { FieldSet, fromFieldsV1, isEmptySet, toFieldsV1, withoutSubtrees } from './field-set.js';

/** One manager's fields. */
export type Manager = Readonly<{
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  subresource: string;
  time: string;
  fields: FieldSet;
}>;

/** Whether two entries belong to the same manager. */
export const isSameManager = (
  a: Omit<Manager, 'fields' | 'time'>,
  b: Omit<Manager, 'fields' | 'time'>,
): boolean =>
  a.manager === b.manager &&
  a.operation === b.operation &&
  a.subresource === b.subresource &&
  (a.operation === 'Apply' || a.apiVersion === b.apiVersion);

/** Reads managedFields; entries that make no sense are dropped. */
export const managersOf = (entries: readonly ManagedFieldsEntry[] | undefined): Manager[] =>
  (entries ?? [])
    .filter(
      (entry) =>
        isObject(entry) &&
        isObject(entry.fieldsV1) &&
        (entry.operation === 'Apply' || entry.operation === 'Update'),
    )
    .map((entry) => ({
      manager: textOf(entry.manager),
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      apiVersion: textOf(entry.apiVersion),
      subresource: textOf(entry.subresource),
      time: textOf(entry.time),
      fields: fromFieldsV1(entry.fieldsV1),
    }));

/** By their characters, as kube-apiserver sorts; locales know other orders and take their time. */
const inOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Writes managedFields: managers without a field are left out, applied ones come first, then by time. */
export const toEntries = (managers: readonly Manager[]): ManagedFieldsEntry[] =>
  managers
    .filter(({ fields }) => !isEmptySet(fields))
    .sort(
      (a, b) => inOrder(a.operation, b.operation) || inOrder(a.time, b.time) || inOrder(a.manager, b.manager),
    )
    .map(({ manager, operation, apiVersion, time, fields, subresource }) => ({
      manager,
      operation,
      apiVersion,
      // One that a client wrote itself may have none.
      ...(time === '' ? {} : { time }),
      fieldsType: 'FieldsV1',
      fieldsV1: toFieldsV1(fields),
      ...(subresource === '' ? {} : { subresource }),
    }));

/** Fields that belong to the server and to nobody else. */
const serverFields = fromFieldsV1({
  'f:apiVersion': {},
  'f:kind': {},
  'f:metadata': {
    'f:name': {},
    'f:namespace': {},
    'f:creationTimestamp': {},
    'f:selfLink': {},
    'f:uid': {},
    'f:generation': {},
    'f:managedFields': {},
    'f:resourceVersion': {},
    'f:deletionTimestamp': {},
    'f:deletionGracePeriodSeconds': {},
  },
});
const statusField = fromFieldsV1({ 'f:status': {} });
/** A namespace's finalizers are written through an endpoint of their own. */
const namespaceFields = fromFieldsV1({ 'f:spec': {} });

/** The set without what no client can own through the endpoint. */
export const ownable = (type: ResourceType, subresource: string, set: FieldSet): FieldSet => {
  const own = withoutSubtrees(set, serverFields);
  const top = own.below.get('f:metadata');
  // "metadata" itself is in everybody's change and says nothing.
  const others = [...own.below].filter(([edge]) => edge !== 'f:metadata');
  const kept: FieldSet | undefined =
    top === undefined || top.below.size === 0 ? undefined : new FieldSet(false, top.below);
  const plain = new FieldSet(
    own.isMember,
    new Map(kept === undefined ? others : [...others, ['f:metadata', kept]]),
  );
  if (!type.hasStatus) return plain;
  if (type.kind === 'Namespace') return withoutSubtrees(withoutSubtrees(plain, statusField), namespaceFields);
  if (subresource !== 'status') return withoutSubtrees(plain, statusField);
  const status = plain.below.get('f:status');
  return new FieldSet(false, status === undefined ? new Map() : new Map([['f:status', status]]));
};

const schemas = new WeakMap<Schema, Schema>();

/** The schema of whole objects of a type, metadata included. */
export const objectSchema = (type: ResourceType): Schema => {
  let made = schemas.get(type.schema);
  if (made === undefined) {
    made = {
      ...type.schema,
      properties: { ...type.schema.properties, metadata: builtinSchema('ObjectMeta') },
    };
    schemas.set(type.schema, made);
  }
  return made;
};

/** The object with other managedFields. */
export const withManagers = (object: KubeObject, managers: readonly Manager[]): KubeObject => {
  const entries = toEntries(managers);
  const { managedFields: _old, ...metadata } = object.metadata;
  return { ...object, metadata: entries.length === 0 ? metadata : { ...metadata, managedFields: entries } };
};
