/** DELETE: options, preconditions, grace, finalizers, and what becomes of the dependents. */
import { lastingNamespaces } from '../admission/namespace.js';
import { badRequest, conflict, forbidden, invalid } from '../errors.js';
import type { JsonObject } from '../json.js';
import { objectOf, textOf } from '../json.js';
import type { KubeObject } from '../object.js';
import { wireTime } from '../object.js';
import { hasEnded } from '../resources/pods.js';
import { refOf } from '../resources/resource-type.js';
import type { Answer, Call } from './call.js';
import { commitPut, commitRemoval, served } from './commit.js';
import { currentOf } from './update.js';

/** metav1.DeleteOptions, as far as it is used. */
export type DeleteOptions = Readonly<{
  gracePeriodSeconds?: number;
  uid?: string;
  resourceVersion?: string;
  propagation: 'Background' | 'Foreground' | 'Orphan';
}>;

/** Reads the options of a delete from its body and query. Throws 400 or 422. */
export const deleteOptionsOf = (body: JsonObject, query: URLSearchParams): DeleteOptions => {
  const grace =
    body.gracePeriodSeconds ??
    (query.has('gracePeriodSeconds') ? Number(query.get('gracePeriodSeconds')) : undefined);
  if (grace !== undefined && (typeof grace !== 'number' || !Number.isInteger(grace)))
    throw badRequest('gracePeriodSeconds must be a whole number');
  const orphans =
    body.orphanDependents ??
    (query.has('orphanDependents') ? query.get('orphanDependents') === 'true' : undefined);
  const policy = textOf(body.propagationPolicy) || query.get('propagationPolicy') || '';
  if (policy !== '' && orphans !== undefined) {
    throw invalid('meta.k8s.io', 'DeleteOptions', '', [
      {
        type: 'Invalid',
        field: 'propagationPolicy',
        value: policy,
        detail: 'orphanDependents and deletionPropagation cannot be both set',
      },
    ]);
  }
  if (policy !== '' && policy !== 'Background' && policy !== 'Foreground' && policy !== 'Orphan') {
    throw invalid('meta.k8s.io', 'DeleteOptions', '', [
      {
        type: 'NotSupported',
        field: 'propagationPolicy',
        value: policy,
        detail: 'supported values: "Foreground", "Background", "Orphan", "nil"',
      },
    ]);
  }
  const preconditions = objectOf(body.preconditions);
  const propagation =
    policy === 'Foreground' || policy === 'Orphan' ? policy : orphans === true ? 'Orphan' : 'Background';
  return {
    ...(typeof grace === 'number' ? { gracePeriodSeconds: Math.max(grace, 0) } : {}),
    ...(textOf(preconditions.uid) === '' ? {} : { uid: textOf(preconditions.uid) }),
    ...(textOf(preconditions.resourceVersion) === ''
      ? {}
      : { resourceVersion: textOf(preconditions.resourceVersion) }),
    propagation,
  };
};

const checkPreconditions = (
  call: Call,
  { metadata }: KubeObject,
  { uid, resourceVersion }: DeleteOptions,
): void => {
  // Here Kubernetes names the kind, not the resource.
  const ref = { group: call.type.group, plural: call.type.kind };
  const name = metadata.name ?? '';
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `the UID in the precondition (${uid}) does not match the UID in record (${metadata.uid ?? ''})`;
    throw conflict(ref, name, `${why}. The object might have been deleted and then recreated`);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion ?? ''})`;
    throw conflict(ref, name, `${why}. The object might have been modified`);
  }
};

/** Seconds a Pod is given to end; 0 for one that nobody runs. */
const gracePeriodOf = (pod: KubeObject, wanted: number | undefined): number => {
  const spec = objectOf(pod.spec);
  if (textOf(spec.nodeName) === '' || hasEnded(pod)) return 0;
  const asked =
    wanted ??
    (typeof spec.terminationGracePeriodSeconds === 'number' ? spec.terminationGracePeriodSeconds : 30);
  const running = pod.metadata.deletionGracePeriodSeconds;
  // A second delete may shorten the grace of the first, never lengthen it.
  return running === undefined ? asked : Math.min(asked, running);
};

const finalizersFor = (object: KubeObject, propagation: DeleteOptions['propagation']): string[] => {
  const kept = (object.metadata.finalizers ?? []).filter(
    (finalizer) => finalizer !== 'orphan' && finalizer !== 'foregroundDeletion',
  );
  if (propagation === 'Orphan') return [...kept, 'orphan'];
  if (propagation === 'Foreground') return [...kept, 'foregroundDeletion'];
  return object.metadata.deletionTimestamp === undefined ? kept : (object.metadata.finalizers ?? []);
};

const marked = (call: Call, object: KubeObject, grace: number, finalizers: string[]): KubeObject => {
  const { type, backend } = call;
  const { metadata } = object;
  const isFirst = metadata.deletionTimestamp === undefined;
  const made: KubeObject = {
    ...object,
    metadata: {
      ...metadata,
      ...(finalizers.length > 0 || metadata.finalizers !== undefined ? { finalizers } : {}),
      ...(isFirst || grace < (metadata.deletionGracePeriodSeconds ?? 0)
        ? { deletionTimestamp: wireTime(backend.nowMs() + grace * 1000), deletionGracePeriodSeconds: grace }
        : {}),
      ...(isFirst && type.hasGeneration ? { generation: (metadata.generation ?? 0) + 1 } : {}),
    },
  };
  if (finalizers.length === 0) delete made.metadata.finalizers;
  return type.storage === '/namespaces'
    ? { ...made, status: { ...objectOf(made.status), phase: 'Terminating' } }
    : made;
};

/** Deletes one object as far as it can be now; the rest is done when finalizers, the kubelet or the contents are gone. */
export const deleteObject = (call: Call, options: DeleteOptions): Answer & { isRemoved: boolean } => {
  const { type } = call;
  const { object } = currentOf(call);
  checkPreconditions(call, object, options);
  if (type.storage === '/namespaces' && lastingNamespaces.includes(object.metadata.name ?? '')) {
    throw forbidden(refOf(type), object.metadata.name ?? '', 'this namespace may not be deleted');
  }
  const grace = type.storage === '/pods' ? gracePeriodOf(object, options.gracePeriodSeconds) : 0;
  const finalizers = finalizersFor(object, options.propagation);
  const waits = finalizers.length > 0 || grace > 0 || type.storage === '/namespaces';
  const next = marked(call, object, grace, finalizers);
  if (!waits)
    return {
      ...commitRemoval(call, object.metadata.deletionTimestamp === undefined ? object : next),
      isRemoved: true,
    };
  const isSame =
    object.metadata.deletionTimestamp === next.metadata.deletionTimestamp &&
    (object.metadata.finalizers ?? []).join() === finalizers.join();
  if (isSame) return { code: 200, ...served(call, object), isRemoved: false };
  return { ...commitPut(call, next, 200), isRemoved: false };
};

/** The Status that answers the deletion of kinds that do not answer with the object. */
export const deletedStatus = (call: Call, object: KubeObject): JsonObject => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Success',
  details: {
    name: object.metadata.name ?? '',
    ...(call.type.group === '' ? {} : { group: call.type.group }),
    kind: call.type.plural,
    uid: object.metadata.uid ?? '',
  },
});
