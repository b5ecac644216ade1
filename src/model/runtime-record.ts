/** A Runtime as the operator caches it. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { type ObjectKey, objectKey } from './ids.js';
import { Runtime, type RuntimeSpec, type RuntimeStatus } from './runtime.js';

/** A Runtime as cached. */
export type RuntimeRecord = Readonly<{
  key: ObjectKey;
  namespace: string;
  name: string;
  uid: string;
  resourceVersion: string;
  generation: number;
  replicas: number;
  deleting: boolean;
  spec: RuntimeSpec;
  status: RuntimeStatus;
}>;

/** Object of the API → RuntimeRecord. */
export const CachedRuntime = new t.Type<RuntimeRecord, unknown, unknown>(
  'Runtime',
  (u): u is RuntimeRecord => typeof u === 'object' && u !== null && 'generation' in u,
  (u, context) => {
    const decoded = Runtime.validate(u, context);
    if (E.isLeft(decoded)) return decoded;
    const { metadata, spec, status } = decoded.right;
    const namespace = metadata.namespace ?? '';
    return t.success({
      key: objectKey(namespace, metadata.name),
      namespace,
      name: metadata.name,
      uid: metadata.uid,
      resourceVersion: metadata.resourceVersion,
      generation: metadata.generation ?? 1,
      replicas: spec.replicas ?? 1,
      deleting: metadata.deletionTimestamp !== undefined,
      spec,
      status: status ?? {},
    });
  },
  t.identity,
);
