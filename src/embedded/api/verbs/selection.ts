/** Which objects does a list, watch or deletecollection mean? */
import type { KubeObject } from '../object.js';
import { isSelectable, selectableField } from '../resources/resource-type.js';
import { matchesFields, parseFieldSelector } from '../select/fields.js';
import { matchesLabels, parseLabelSelector } from '../select/labels.js';
import type { Call } from './call.js';

/** The objects that are meant. */
export type Selection = Readonly<{
  /** Empty for all namespaces. */
  namespace: string;
  includes: (object: KubeObject) => boolean;
  /** True when every object of the namespace is meant, so that counting is free. */
  isAll: boolean;
}>;

/** Reads the selectors of a request; the path's namespace and name count as well. Throws 400. */
export const selectionOf = (call: Call): Selection => {
  const { type, info, query } = call;
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '', (field) => isSelectable(type, field));
  if (info.name !== '') fields.push({ field: 'metadata.name', value: info.name, isEqual: true });
  return {
    namespace: type.isNamespaced ? info.namespace : '',
    isAll: labels.length === 0 && fields.length === 0,
    includes: (object) =>
      matchesLabels(labels, object.metadata.labels) &&
      matchesFields(fields, (field) => selectableField(type, object, field)),
  };
};
