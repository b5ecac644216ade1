/** POST pods/NAME/eviction and pods/NAME/binding. */
import { conflict, forbidden } from '../errors.js';
import type { Json, JsonObject } from '../json.js';
import { arrayOf, objectOf, textOf } from '../json.js';
import { wireTime } from '../object.js';
import type { Call } from '../verbs/call.js';
import { commitPut } from '../verbs/commit.js';
import { deleteObject, deleteOptionsOf } from '../verbs/delete.js';
import { currentOf } from '../verbs/update.js';

const success = (code: number): JsonObject => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  code,
});

/** Deletes a Pod on request of a drain. */
export const evictPod = (call: Call, body: Json): JsonObject => {
  deleteObject(call, deleteOptionsOf(objectOf(objectOf(body).deleteOptions), call.query));
  return success(201);
};

/** Gives a Pod to a node. Throws 409 when it has one. */
export const bindPod = (call: Call, body: Json): JsonObject => {
  const pod = currentOf(call).object;
  const node = textOf(objectOf(objectOf(body).target).name);
  const ref = { group: '', plural: 'pods/binding' };
  if (node === '') throw forbidden(ref, call.info.name, 'target.name must name a node');
  const assigned = textOf(objectOf(pod.spec).nodeName);
  if (assigned !== '')
    throw conflict(
      ref,
      call.info.name,
      `pod ${call.info.name} is already assigned to node ${JSON.stringify(assigned)}`,
    );
  if (pod.metadata.deletionTimestamp !== undefined)
    throw conflict(
      ref,
      call.info.name,
      `pod ${call.info.name} is being deleted, cannot be assigned to a host`,
    );
  const status = objectOf(pod.status);
  const scheduled = {
    type: 'PodScheduled',
    status: 'True',
    lastProbeTime: null,
    lastTransitionTime: wireTime(call.backend.nowMs()),
  };
  const others = arrayOf(status.conditions).filter(
    (condition) => objectOf(condition).type !== 'PodScheduled',
  );
  commitPut(
    call,
    {
      ...pod,
      spec: { ...objectOf(pod.spec), nodeName: node },
      status: { ...status, conditions: [...others, scheduled] },
    },
    201,
  );
  return success(201);
};
