/** The session of a healthy pod that holds nothing and has nothing to say. */
import { NEVER } from 'rxjs';

import type { SessionOptions } from '../../streams/sidecar/session.js';

export const healthy = { healthy: true, healthMessage: '', draining: false };

export const quietSession: Omit<SessionOptions, 'clock'> = {
  hello: () => ({
    podName: 'p',
    podUid: 'u',
    runtime: 'bash',
    version: '1',
    held: [],
    artifactStore: '',
    ...healthy,
  }),
  beats$: NEVER,
  refusals$: NEVER,
  removed$: NEVER,
  keptLogs$: NEVER,
  chance: () => 0,
};
