/** Notes down who changed which fields by a create, update or patch (managedFields, operation Update). */
import type { KubeObject } from '../object.js';
import { wireTime } from '../object.js';
import { apiVersionOf } from '../resources/resource-type.js';
import type { Call } from '../verbs/call.js';
import { isEmptySet, union } from './field-set.js';
import type { Manager } from './managers.js';
import { isSameManager, managersOf, withManagers } from './managers.js';
import { touchedBy } from './touched.js';

/** Whether a client reset the managers on purpose, by sending a list with one empty entry. */
const isReset = (object: KubeObject): boolean => {
  const entries = object.metadata.managedFields;
  return entries?.length === 1 && Object.keys(entries[0] ?? {}).length === 0;
};

/**
 * The new version with the caller as the manager of all that it added or changed; nobody else manages that any more.
 * managedFields that the client itself sent are taken as they are, then brought up to date.
 */
export const trackChange = (call: Call, object: KubeObject, old: KubeObject | undefined): KubeObject => {
  const { type, info } = call;
  if (isReset(object)) return withManagers(object, []);
  const { subresource } = info;
  const sent = object.metadata.managedFields;
  const before = managersOf(
    old === undefined || sent !== undefined ? (sent ?? []) : old.metadata.managedFields,
  );
  const { gained, lost, removed } = touchedBy(type, subresource, old, object);
  if (isEmptySet(gained) && isEmptySet(lost)) return withManagers(object, before);
  const time = wireTime(call.backend.nowMs());
  const mine = {
    manager: call.fieldManager,
    operation: 'Update' as const,
    apiVersion: apiVersionOf(type),
    subresource,
  };
  const others = before
    .filter((manager) => !isSameManager(manager, mine))
    .map((manager): Manager => ({ ...manager, fields: manager.fields.without(lost) }));
  const own = before.find((manager) => isSameManager(manager, mine));
  const fields = (own === undefined ? gained : union(own.fields, gained)).without(removed);
  return withManagers(object, [...others, { ...mine, time, fields }]);
};
