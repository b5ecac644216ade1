/** Nothing is created in a namespace that does not exist or is going away. */
import { ApiError, forbidden, notFound } from '../errors.js';
import { objectOf } from '../json.js';
import type { ResourceType } from '../resources/resource-type.js';
import { refOf } from '../resources/resource-type.js';
import type { Store } from '../store/store.js';

/** Namespaces that cannot be deleted. */
export const lastingNamespaces: readonly string[] = ['default', 'kube-system', 'kube-public'];

/** Throws 404 or 403 when nothing can be created in the namespace. */
export const checkNamespace = (store: Store, type: ResourceType, namespace: string, name: string): void => {
  const entry = store.head('/namespaces', undefined, namespace);
  if (entry === undefined) throw notFound({ group: '', plural: 'namespaces' }, namespace);
  if (objectOf(entry.object.status).phase !== 'Terminating') return;
  const error = forbidden(
    refOf(type),
    name,
    `unable to create new content in namespace ${namespace} because it is being terminated`,
  );
  throw new ApiError(error.code, error.reason, error.message, {
    ...error.details,
    causes: [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ],
  });
};
