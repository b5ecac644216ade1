/** POST: a new object. */
import { randomUUID } from 'node:crypto';

import { checkNamespace } from '../admission/namespace.js';
import { admitServiceAccount } from '../admission/service-account.js';
import { trackChange } from '../apply/track.js';
import { alreadyExists, badRequest } from '../errors.js';
import { without } from '../json.js';
import type { KubeObject, ObjectMeta } from '../object.js';
import { wireTime } from '../object.js';
import { refOf } from '../resources/resource-type.js';
import type { Answer, Call } from './call.js';
import { commitPut } from './commit.js';
import { generatedName } from './metadata-rules.js';
import { checkObject, withKindDefaults } from './rules.js';

/** Names tried for generateName before the server gives up. */
const generateTries = 8;

const newMetadata = (call: Call, metadata: ObjectMeta, name: string): ObjectMeta => {
  const { type, info, backend } = call;
  const {
    resourceVersion: _version,
    deletionTimestamp: _deleted,
    deletionGracePeriodSeconds: _grace,
    selfLink: _link,
    namespace: _namespace,
    generation: _generation,
    ...kept
  } = metadata;
  const made: ObjectMeta = kept;
  made.name = name;
  if (type.isNamespaced) made.namespace = info.namespace;
  made.uid = randomUUID();
  made.creationTimestamp = wireTime(backend.nowMs());
  if (type.hasGeneration) made.generation = 1;
  return made;
};

const nameFor = ({ backend, type, info }: Call, metadata: ObjectMeta): string => {
  if ((metadata.name ?? '') !== '') return metadata.name ?? '';
  if ((metadata.generateName ?? '') === '') return '';
  for (let i = 0; i < generateTries; i += 1) {
    const name = generatedName(metadata.generateName ?? '');
    if (backend.store.head(type.storage, type.isNamespaced ? info.namespace : undefined, name) === undefined)
      return name;
  }
  throw alreadyExists(refOf(type), `${metadata.generateName ?? ''}...`);
};

/** Checks namespace and name of an incoming object against the request's. */
export const checkPlace = ({ type, info }: Call, object: KubeObject): void => {
  const { namespace, name } = object.metadata;
  if (type.isNamespaced && namespace !== undefined && namespace !== '' && namespace !== info.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (info.name !== '' && name !== undefined && name !== '' && name !== info.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${info.name})`);
  }
};

/** Creates an object that was read with `readObject`. `apply` replaces the tracking of fields in server-side apply. */
export const createObject = (
  call: Call,
  incoming: KubeObject,
  track: typeof trackChange = trackChange,
): Answer => {
  const { backend, type, info } = call;
  if (type.isNamespaced && info.namespace === '')
    throw badRequest('an empty namespace may not be set during creation');
  checkPlace(call, incoming);
  if ((incoming.metadata.resourceVersion ?? '') !== '')
    throw badRequest('resourceVersion should not be set on objects to be created');
  const name = nameFor(call, incoming.metadata);
  const bare: KubeObject =
    type.hasStatus && type.kind !== 'Node'
      ? { ...without(incoming, 'status'), ...headOf(incoming) }
      : incoming;
  const prepared = type.prepareCreate?.(bare) ?? bare;
  let object = withKindDefaults(type, { ...prepared, metadata: newMetadata(call, incoming.metadata, name) });
  if (name === '') checkObject(type, object, undefined);
  if (type.isNamespaced) checkNamespace(backend.store, type, info.namespace, name);
  if (backend.store.head(type.storage, object.metadata.namespace, name) !== undefined)
    throw alreadyExists(refOf(type), name);
  if (type.storage === '/pods') object = withKindDefaults(type, admitServiceAccount(backend.store, object));
  checkObject(type, object, undefined);
  return commitPut(call, track(call, object, undefined), 201);
};

const headOf = ({ apiVersion, kind, metadata }: KubeObject): KubeObject => ({ apiVersion, kind, metadata });
