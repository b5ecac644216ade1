/** PUT and the writing half of PATCH: a new version of an object, or of its status alone. */
import { checkRunStatusWrite } from '../admission/run-status.js';
import { trackChange } from '../apply/track.js';
import { conflict, invalid, notFound } from '../errors.js';
import type { Json } from '../json.js';
import { sameBut, sameJson } from '../json.js';
import type { KubeObject, ObjectMeta } from '../object.js';
import type { ResourceType } from '../resources/resource-type.js';
import { refOf } from '../resources/resource-type.js';
import type { Entry } from '../store/entry.js';
import type { Answer, Call } from './call.js';
import { commitPut, commitRemoval, served } from './commit.js';
import { checkPlace, createObject } from './create.js';
import { keepServerFields } from './metadata-rules.js';
import { checkObject, wantsOther, withKindDefaults } from './rules.js';

/** The newest version of the object a call names. Throws 404. */
export const currentOf = ({ backend, type, info }: Call): Entry => {
  const entry = backend.store.head(type.storage, type.isNamespaced ? info.namespace : undefined, info.name);
  if (entry === undefined) throw notFound(refOf(type), info.name);
  return entry;
};

const checkVersion = (call: Call, incoming: ObjectMeta, current: KubeObject): void => {
  const ref = refOf(call.type);
  const name = call.info.name;
  if (incoming.uid !== undefined && incoming.uid !== '' && incoming.uid !== current.metadata.uid) {
    if (call.info.verb === 'patch') {
      const error = {
        type: 'Invalid' as const,
        field: 'metadata.uid',
        value: incoming.uid,
        detail: 'field is immutable',
      };
      throw invalid(call.type.group, call.type.kind, name, [error]);
    }
    throw conflict(
      ref,
      name,
      `Precondition failed: UID in precondition: ${incoming.uid}, UID in object meta: ${current.metadata.uid ?? ''}`,
    );
  }
  const version = incoming.resourceVersion;
  if (
    version !== undefined &&
    version !== '' &&
    version !== '0' &&
    version !== current.metadata.resourceVersion
  )
    throw conflict(ref, name);
};

/** What of a status write is taken over: the status, and of a custom resource nothing else. */
const statusUpdate = (type: ResourceType, incoming: KubeObject, current: KubeObject): KubeObject => {
  const metadata = type.isCustom
    ? withManaged(current.metadata, incoming.metadata.managedFields)
    : keepServerFields(incoming.metadata, current.metadata);
  const { status: _old, ...rest } = current;
  const base: KubeObject = { ...rest, apiVersion: current.apiVersion, kind: current.kind, metadata };
  return incoming.status === undefined ? base : { ...base, status: incoming.status };
};

const withManaged = (metadata: ObjectMeta, managedFields: ObjectMeta['managedFields']): ObjectMeta =>
  managedFields === undefined || managedFields === metadata.managedFields
    ? metadata
    : { ...metadata, managedFields };

const mainUpdate = (type: ResourceType, incoming: KubeObject, current: KubeObject): KubeObject => {
  const { status: _status, ...rest } = incoming;
  const metadata = keepServerFields(incoming.metadata, current.metadata);
  if (!type.hasStatus) return { ...incoming, metadata };
  const base: KubeObject = { ...rest, apiVersion: incoming.apiVersion, kind: incoming.kind, metadata };
  return current.status === undefined ? base : { ...base, status: current.status };
};

/** Whether two versions differ in nothing but what the server itself notes down. */
const isSame = (a: KubeObject, b: KubeObject): boolean => {
  const untimed = ({ managedFields }: ObjectMeta): Json =>
    (managedFields ?? []).map(({ time: _time, ...entry }) => entry);
  return (
    sameBut(a, b, 'metadata') &&
    sameBut(a.metadata, b.metadata, 'resourceVersion', 'managedFields') &&
    sameJson(untimed(a.metadata), untimed(b.metadata))
  );
};

/**
 * Writes a new version of an existing object, given as it should become. Nothing is written when nothing changes; an
 * object in deletion goes when its last finalizer went.
 */
export const updateObject = (
  call: Call,
  incoming: KubeObject,
  current: KubeObject,
  track: typeof trackChange = trackChange,
): Answer => {
  const { type, info } = call;
  checkPlace(call, incoming);
  checkVersion(call, incoming.metadata, current);
  const isStatus = info.subresource === 'status';
  let object = isStatus ? statusUpdate(type, incoming, current) : mainUpdate(type, incoming, current);
  if (!isStatus && type.prepareUpdate !== undefined) object = type.prepareUpdate(object, current);
  object = withKindDefaults(type, object);
  if (object.metadata !== current.metadata && sameBut(object.metadata, current.metadata, 'resourceVersion')) {
    object = { ...object, metadata: current.metadata };
  }
  checkObject(type, object, current);
  checkRunStatusWrite(call, object, current);
  if (type.hasGeneration && wantsOther(type, object, current)) {
    object = {
      ...object,
      metadata: { ...object.metadata, generation: (current.metadata.generation ?? 0) + 1 },
    };
  }
  object = track(call, object, current);
  if (isSame(object, current)) return { code: 200, ...served(call, current) };
  const isGone =
    object.metadata.deletionTimestamp !== undefined &&
    (object.metadata.finalizers ?? []).length === 0 &&
    !waitsForNode(type, object);
  return isGone ? commitRemoval(call, object) : commitPut(call, object, 200);
};

/** A Pod in graceful deletion stays until its kubelet says it has ended; a namespace until it is empty. */
const waitsForNode = (type: ResourceType, object: KubeObject): boolean =>
  (type.storage === '/pods' && object.metadata.deletionGracePeriodSeconds !== 0) ||
  type.storage === '/namespaces';

/** PUT. */
export const replaceObject = (call: Call, incoming: KubeObject): Answer => {
  const { backend, type, info } = call;
  const entry = backend.store.head(type.storage, type.isNamespaced ? info.namespace : undefined, info.name);
  if (entry === undefined && type.createsOnUpdate && info.subresource === '') {
    const { resourceVersion, ...metadata } = incoming.metadata;
    if ((resourceVersion ?? '') !== '') throw notFound(refOf(type), info.name);
    return createObject(call, { ...incoming, metadata: { ...metadata, name: info.name } });
  }
  const current = (entry ?? currentOf(call)).object;
  if ((incoming.metadata.resourceVersion ?? '') === '' && !type.allowsUnconditionalUpdate) {
    throw invalid(type.group, type.kind, info.name, [
      {
        type: 'Invalid',
        field: 'metadata.resourceVersion',
        value: 0,
        detail: 'must be specified for an update',
      },
    ]);
  }
  return updateObject(call, incoming, current);
};
