/** Which objects does a list, watch or deletecollection mean? */
import type { ResourceType } from '../resources/resource-type.js';
import { isSelectable, selectableField } from '../resources/resource-type.js';
import { matchesFields, parseFieldSelector } from '../select/fields.js';
import { matchesLabels, parseLabelSelector } from '../select/labels.js';
import type { Entry, Facets } from '../store/entry.js';
import { entryKey } from '../store/entry.js';
import type { Call } from './call.js';

/** The objects that are meant. */
export type Selection = Readonly<{
  /** Empty for all namespaces. */
  namespace: string;
  includes: (entry: Entry) => boolean;
  /** True when every object of the namespace is meant, so that counting is free. */
  isAll: boolean;
  /** Key of the only object that can be meant. */
  key: string | undefined;
}>;

const facetsOf = (type: ResourceType, entry: Entry): Facets => {
  if (entry.facets?.of === type) return entry.facets;
  const { object } = entry;
  const facets: Facets = {
    of: type,
    labels: object.metadata.labels,
    fields: Object.fromEntries(
      Object.keys(type.fields).map((field) => [field, selectableField(type, object, field)]),
    ),
  };
  entry.facets = facets;
  return facets;
};

/** Name and namespace are in the key; for the other fields the object may have to be parsed, once. */
const fieldOf = (type: ResourceType, entry: Entry, field: string): string => {
  const slash = entry.key.indexOf('/');
  if (field === 'metadata.name') return entry.key.slice(slash + 1);
  if (field === 'metadata.namespace') return slash < 0 ? '' : entry.key.slice(0, slash);
  return facetsOf(type, entry).fields[field] ?? '';
};

/** Reads the selectors of a request; the path's namespace and name count as well. Throws 400. */
export const selectionOf = (call: Call): Selection => {
  const { type, info, query } = call;
  const labels = parseLabelSelector(query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '', (field) => isSelectable(type, field));
  if (info.name !== '') fields.push({ field: 'metadata.name', value: info.name, isEqual: true });
  const namespace = type.isNamespaced ? info.namespace : '';
  const name = fields.find(({ field, isEqual }) => field === 'metadata.name' && isEqual)?.value;
  return {
    namespace,
    isAll: labels.length === 0 && fields.length === 0,
    key:
      name === undefined || (type.isNamespaced && namespace === '') ? undefined : entryKey(namespace, name),
    includes: (entry) =>
      (labels.length === 0 || matchesLabels(labels, facetsOf(type, entry).labels)) &&
      matchesFields(fields, (field) => fieldOf(type, entry, field)),
  };
};
