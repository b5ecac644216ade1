/** metadata and conditions as every object has them, as far as we read them. */
import * as t from 'io-ts';

const Strings = t.record(t.string, t.string);

/** One metav1.Condition. */
export const Condition = t.intersection([
  t.type({ type: t.string, status: t.union([t.literal('True'), t.literal('False'), t.literal('Unknown')]) }),
  t.partial({
    reason: t.string,
    message: t.string,
    lastTransitionTime: t.string,
    observedGeneration: t.number,
  }),
]);
export type Condition = t.TypeOf<typeof Condition>;

/** An owner reference, as far as we read it. */
export const OwnerReference = t.intersection([
  t.type({ kind: t.string, name: t.string, uid: t.string }),
  t.partial({ apiVersion: t.string, controller: t.boolean, blockOwnerDeletion: t.boolean }),
]);

/** metadata of a stored object. managedFields are left out on purpose: they are the largest part and nothing reads them. */
export const Metadata = t.intersection([
  t.type({ name: t.string, uid: t.string, resourceVersion: t.string, creationTimestamp: t.string }),
  t.partial({
    namespace: t.string,
    generation: t.number,
    labels: Strings,
    annotations: Strings,
    finalizers: t.array(t.string),
    ownerReferences: t.array(OwnerReference),
    deletionTimestamp: t.string,
    deletionGracePeriodSeconds: t.number,
  }),
]);
export type Metadata = t.TypeOf<typeof Metadata>;
