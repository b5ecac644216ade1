/** What every Kubernetes object has, whatever its kind. */
import type { JsonObject } from './json.js';
import { isObject } from './json.js';

/** Which manager owns which fields (metav1.ManagedFieldsEntry). */
export interface ManagedFieldsEntry extends JsonObject {
  manager?: string;
  operation?: string;
  apiVersion?: string;
  time?: string;
  fieldsType?: string;
  fieldsV1?: JsonObject;
  subresource?: string;
}

/** metav1.OwnerReference. */
export interface OwnerReference extends JsonObject {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

/** metav1.ObjectMeta, as far as the server itself looks at it. */
export interface ObjectMeta extends JsonObject {
  name?: string;
  generateName?: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: { [key: string]: string };
  annotations?: { [key: string]: string };
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: ManagedFieldsEntry[];
}

/** An object of the API. Its metadata was checked when it came in. */
export interface KubeObject extends JsonObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** Whether a decoded body can be taken for an object of the API: the shape of its metadata is checked apart. */
export const isKubeObject = (value: unknown): value is KubeObject =>
  isObject(value) &&
  typeof value.apiVersion === 'string' &&
  typeof value.kind === 'string' &&
  isObject(value.metadata);

/** A time as metav1.Time has it on the wire: RFC 3339 with whole seconds. */
export const wireTime = (ms: number): string => {
  const second = Math.floor(ms / 1000);
  if (second !== last.second) last = { second, text: `${new Date(ms).toISOString().slice(0, 19)}Z` };
  return last.text;
};

/** Most times that are written are of the second that is now. */
let last = { second: Number.NaN, text: '' };
