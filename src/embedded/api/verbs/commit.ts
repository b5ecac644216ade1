/** The last step of every write: into the store, or, for a dry run, only as if. */
import type { KubeObject } from '../object.js';
import type { Answer, Call } from './call.js';

/** The object in the form that the call's resource is served in. */
export const served = (call: Call, object: KubeObject, bytes?: Buffer): Omit<Answer, 'code'> =>
  call.type.toServed === undefined
    ? { object, ...(bytes === undefined ? {} : { bytes }) }
    : { object: call.type.toServed(object) };

/** Stores a new version. */
export const commitPut = (call: Call, object: KubeObject, code: number): Answer => {
  if (call.dryRun) return { code, ...served(call, object) };
  const entry = call.backend.store.put(call.type.storage, object);
  return { code, ...served(call, entry.object, entry.bytes) };
};

/** Removes an object, given its last state. */
export const commitRemoval = (call: Call, object: KubeObject): Answer => {
  if (call.dryRun) return { code: 200, ...served(call, object) };
  const entry = call.backend.store.remove(call.type.storage, object);
  return { code: 200, ...served(call, entry.object, entry.bytes) };
};
