/**
 * The token of a Runtime Pod writes the status of Runs on that Pod and of no others; the same rule as the chart's
 * ValidatingAdmissionPolicy.
 *
 * Before the write the Run must be assigned to the token's own Pod. After it, it must still be, or be back in
 * Pending, which is how a Run is given back.
 */
import { podNameExtra, podUidExtra } from '../auth/user.js';
import { forbidden } from '../errors.js';
import { objectOf, textOf } from '../json.js';
import type { KubeObject } from '../object.js';
import type { Call } from '../verbs/call.js';

/** Label of a Runtime Pod. */
const runtimeLabel = 'kruntimes.io/runtime';

/** Throws 403 when the write is not the Pod's own business. Callers without a Pod are not concerned. */
export const checkRunStatusWrite = (call: Call, object: KubeObject, old: KubeObject): void => {
  const pod = call.user.extra?.[podNameExtra]?.[0];
  if (pod === undefined || call.type.storage !== 'kruntimes.io/runs' || call.info.subresource !== 'status')
    return;
  const stored = call.backend.store.get('/pods', object.metadata.namespace, pod)?.object;
  if (stored?.metadata.labels?.[runtimeLabel] === undefined) return;
  const uid = call.user.extra?.[podUidExtra]?.[0];
  const isOwn = (status: ReturnType<typeof objectOf>): boolean =>
    textOf(status.assignedPod) === pod &&
    (status.assignedPodUID === undefined || textOf(status.assignedPodUID) === uid);
  const before = objectOf(old.status);
  const after = objectOf(object.status);
  const isGivenBack =
    (after.phase === undefined || after.phase === 'Pending') && textOf(after.assignedPod) === '';
  if (isOwn(before) && (isOwn(after) || isGivenBack)) return;
  const why = isOwn(before)
    ? `it may only be kept on pod ${pod} or given back to Pending`
    : `it is assigned to ${textOf(before.assignedPod) === '' ? 'no pod' : `pod ${textOf(before.assignedPod)}`}`;
  throw forbidden(
    { group: 'kruntimes.io', plural: 'runs' },
    object.metadata.name ?? '',
    `pod ${pod} cannot write its status: ${why}`,
  );
};
