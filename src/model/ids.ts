/** Branded names, so that a pod's UID never stands where a Run's is wanted. Made by codecs and the makers here. */
import * as t from 'io-ts';

interface RunUidBrand {
  readonly RunUid: unique symbol;
}
interface PodUidBrand {
  readonly PodUid: unique symbol;
}
interface KeyBrand {
  readonly ObjectKey: unique symbol;
}

const nonEmpty = (s: string): boolean => s.length > 0;

/** metadata.uid of a Run. */
export const RunUid = t.brand(t.string, (s): s is t.Branded<string, RunUidBrand> => nonEmpty(s), 'RunUid');
export type RunUid = t.TypeOf<typeof RunUid>;

/** metadata.uid of a Pod. */
export const PodUid = t.brand(t.string, (s): s is t.Branded<string, PodUidBrand> => nonEmpty(s), 'PodUid');
export type PodUid = t.TypeOf<typeof PodUid>;

/** `namespace/name` of a Run, Runtime or Pod. */
export type ObjectKey = t.Branded<string, KeyBrand>;

/** The key of a namespaced object. */
export const objectKey = (namespace: string, name: string): ObjectKey => `${namespace}/${name}` as ObjectKey;

/** The namespace in such a key. */
export const namespaceOfKey = (key: ObjectKey): string => key.slice(0, key.indexOf('/'));

/** What the Runtime Server knows an attempt by: the Run's UID for the first, then `UID.N`. */
export const executionId = (uid: string, attempt: number): string =>
  attempt <= 1 ? uid : `${uid}.${attempt}`;
