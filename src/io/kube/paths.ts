/** Where an object is in the API: resource and name → path and query. */

import type { Resource } from '../../model/resource.js';
import type { DeleteOptions, ObjectRef, Patch, Selection, WriteOptions } from '../../ports.js';

/** Names and values of a query; undefined ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `path?a=b`, encoded. */
export const withQuery = (path: string, query: Query = {}): string => {
  const parts = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return parts.length === 0 ? path : `${path}${path.includes('?') ? '&' : '?'}${parts.join('&')}`;
};

/** Path of a collection; no namespace means all of them. */
export const collectionPath = ({ group, version, plural, namespaced }: Resource, namespace = ''): string => {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  return namespaced && namespace !== ''
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${root}/${plural}`;
};

/** Path of one object, or of one of its subresources. */
export const objectPath = (resource: Resource, { namespace, name }: ObjectRef, subresource = ''): string =>
  `${collectionPath(resource, namespace)}/${encodeURIComponent(name)}${subresource && `/${subresource}`}`;

/** Query of a list or watch. */
export const selectionQuery = ({ labelSelector, fieldSelector }: Selection): Query => ({
  labelSelector,
  fieldSelector,
});

/** Query of a write. */
export const writeQuery = ({ dryRun, fieldManager, fieldValidation }: WriteOptions): Query => ({
  dryRun: dryRun ? 'All' : undefined,
  fieldManager,
  fieldValidation,
});

/** Content type of each kind of patch; an apply patch is YAML, of which JSON is a part. */
export const patchContentType: Readonly<Record<Patch['type'], string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
};

/** Body of a DELETE; undefined where there is nothing to say. */
export const deleteBody = (options: DeleteOptions): string | undefined => {
  const { gracePeriodSeconds, propagationPolicy, uid, resourceVersion, dryRun } = options;
  const said = {
    ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
    ...(propagationPolicy === undefined ? {} : { propagationPolicy }),
    ...(uid === undefined && resourceVersion === undefined
      ? {}
      : {
          preconditions: {
            ...(uid === undefined ? {} : { uid }),
            ...(resourceVersion === undefined ? {} : { resourceVersion }),
          },
        }),
    ...(dryRun ? { dryRun: ['All'] } : {}),
  };
  return Object.keys(said).length === 0
    ? undefined
    : JSON.stringify({ kind: 'DeleteOptions', apiVersion: 'v1', ...said });
};

/** How an object is called in messages: `Run default/hello`. */
export const describeObject = ({ kind }: Resource, { namespace, name }: ObjectRef): string =>
  `${kind} ${namespace === '' ? name : `${namespace}/${name}`}`;

/** How a collection is called in messages: `runs in default`. */
export const describeCollection = ({ plural }: Resource, namespace = ''): string =>
  namespace === '' ? plural : `${plural} in ${namespace}`;
