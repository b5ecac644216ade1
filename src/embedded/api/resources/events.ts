/** Events have two forms, core/v1 and events.k8s.io/v1, of the same stored objects. The core form is the stored one. */
import type { JsonObject } from '../json.js';
import type { KubeObject } from '../object.js';

/** Field of the newer form → field of the core form. */
const renamed: readonly (readonly [string, string])[] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedCount', 'count'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
];

const rename = (object: KubeObject, from: 0 | 1, apiVersion: string): KubeObject => {
  const to = from === 0 ? 1 : 0;
  const names = new Map(renamed.map((pair) => [pair[from], pair[to]]));
  const result: JsonObject = {};
  for (const [key, value] of Object.entries(object)) result[names.get(key) ?? key] = value;
  return { ...result, apiVersion, kind: 'Event', metadata: object.metadata };
};

/** The events.k8s.io/v1 form of a stored event. */
export const toEventsV1 = (stored: KubeObject): KubeObject => rename(stored, 1, 'events.k8s.io/v1');

/** The stored form of an events.k8s.io/v1 event. */
export const fromEventsV1 = (served: KubeObject): KubeObject => rename(served, 0, 'v1');
