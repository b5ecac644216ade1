/** Serves what CustomResourceDefinitions describe, from the moment they are stored. */
import type { Json } from '../json.js';
import { arrayOf, isObject, objectOf, textOf } from '../json.js';
import type { KubeObject } from '../object.js';
import { wireTime } from '../object.js';
import { typesOfCrd } from '../resources/custom.js';
import type { Registry } from '../resources/registry.js';
import type { Store } from '../store/store.js';

/** Storage resource of CRDs. */
export const crdStorage = 'apiextensions.k8s.io/customresourcedefinitions';

const condition = (type: string, reason: string, message: string, nowMs: number): Json => ({
  type,
  status: 'True',
  reason,
  message,
  lastTransitionTime: wireTime(nowMs),
});

const established = (crd: KubeObject, nowMs: number): KubeObject => ({
  ...crd,
  status: {
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found', nowMs),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted', nowMs),
    ],
    acceptedNames: objectOf(objectOf(crd.spec).names),
    storedVersions: arrayOf(objectOf(crd.spec).versions)
      .filter(isObject)
      .filter(({ storage }) => storage === true)
      .map(({ name }) => textOf(name)),
  },
});

const isEstablished = (crd: KubeObject): boolean =>
  arrayOf(objectOf(crd.status).conditions).some((item) => objectOf(item).type === 'Established');

/** Keeps the registry equal to the stored CRDs. Returns how to stop. */
export const serveCrds = (store: Store, registry: Registry, nowMs: () => number): (() => void) => {
  const serve = (crd: KubeObject): void => {
    const { group, names } = objectOf(crd.spec);
    registry.remove(textOf(group), textOf(objectOf(names).plural));
    for (const type of typesOfCrd(crd)) registry.add(type);
    if (!isEstablished(crd) && crd.metadata.deletionTimestamp === undefined)
      store.put(crdStorage, established(crd, nowMs()));
  };
  const forget = (crd: KubeObject): void => {
    const { group, names } = objectOf(crd.spec);
    const plural = textOf(objectOf(names).plural);
    registry.remove(textOf(group), plural);
    for (const { object } of [...store.list(`${textOf(group)}/${plural}`)])
      store.remove(`${textOf(group)}/${plural}`, object);
  };
  for (const { object } of [...store.list(crdStorage)]) serve(object);
  return store.subscribe(crdStorage, ({ type, entry }) =>
    type === 'DELETED' ? forget(entry.object) : serve(entry.object),
  );
};
