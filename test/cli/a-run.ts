/** A Run as the API holds it, for tests. */
import { readRun } from '../../src/cli/run/read-run.js';
import type { Run } from '../../src/model/run.js';

/** The object, with this status and these parts of the spec. */
export const runObject = (
  status: Readonly<Record<string, unknown>> = {},
  metadata: Readonly<Record<string, unknown>> = {},
) => ({
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Run',
  metadata: {
    name: 'hello',
    namespace: 'default',
    uid: 'u1',
    resourceVersion: '1',
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...metadata,
  },
  spec: { runtime: 'bash', source: { inline: 'echo hello\n' } },
  status,
});

/** The same, decoded. */
export const aRun = (status: Readonly<Record<string, unknown>> = {}): Run =>
  readRun(runObject(status), 'hello');

/** conditions of an end with that reason. */
export const finished = (reason: string) => [
  { type: 'Finished', status: 'True', reason, message: '', lastTransitionTime: '2026-01-01T00:00:01Z' },
];
