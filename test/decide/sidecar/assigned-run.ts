/** Builds Runs as a sidecar is told of them: Scheduled on its own pod, with what a test cares about on top. */
import type { Run, RunStatus } from '../../../src/model/run.js';

/** UID of the pod that they are assigned to. */
export const POD = 'pod-1';

/** Attempt 1 of a Run of Runtime bash that does nothing; its name is its UID. */
export const assignedRun = (uid: string, spec: Partial<Run['spec']> = {}, status: RunStatus = {}): Run => ({
  metadata: {
    name: uid,
    namespace: 'default',
    uid,
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
  },
  spec: { runtime: 'bash', source: { inline: ':' }, ...spec },
  status: { phase: 'Scheduled', assignedPod: 'p', assignedPodUID: POD, attempt: 1, ...status },
});
