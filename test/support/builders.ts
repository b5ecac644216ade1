/** Builders of the records that decisions read: defaults, and what a test cares about on top. */
import type { ObjectKey, PodUid, RunUid } from '../../src/model/ids.js';
import { objectKey } from '../../src/model/ids.js';
import type { PodRecord } from '../../src/model/pod.js';
import type { RunStatus } from '../../src/model/run.js';
import type { RunRecord } from '../../src/model/run-record.js';
import type { RuntimeRecord } from '../../src/model/runtime-record.js';
import type { Session } from '../../src/model/session.js';
import { type Micros, micros } from '../../src/model/time.js';

/** Milliseconds as an instant. */
export const at = (ms: number): Micros => micros(ms * 1000);

/** A Run of Runtime default/bash, waiting, created at time 0. */
export const aRun = (name: string, overrides: Partial<RunRecord> = {}): RunRecord => ({
  key: objectKey('default', name),
  namespace: 'default',
  name,
  uid: `uid-${name}` as RunUid,
  resourceVersion: '1',
  createdAt: at(0),
  runtime: objectKey('default', 'bash'),
  requests: { runs: 1 },
  timeoutMs: undefined,
  retry: { maxAttempts: 1, backoffMs: 1000, reasons: [] },
  cancelRequested: false,
  ttlSeconds: undefined,
  deleting: false,
  finalizers: undefined,
  logged: false,
  abandoned: false,
  status: {},
  object: undefined,
  ...overrides,
});

/** The status of a Run that is Scheduled on a pod. */
export const scheduledOn = (pod: PodRecord, overrides: RunStatus = {}): RunStatus => ({
  phase: 'Scheduled',
  assignedPod: pod.name,
  assignedPodUID: pod.uid,
  attempt: 1,
  scheduledTime: at(0),
  ...overrides,
});

/** The status of a Run that is Running on a pod. */
export const runningOn = (pod: PodRecord, overrides: RunStatus = {}): RunStatus =>
  scheduledOn(pod, { phase: 'Running', startTime: at(0), ...overrides });

/** A ready pod of Runtime default/bash with room for 4 Runs. */
export const aPod = (name: string, overrides: Partial<PodRecord> = {}): PodRecord => ({
  key: objectKey('default', name),
  namespace: 'default',
  name,
  uid: `uid-${name}` as PodUid,
  resourceVersion: '1',
  runtime: objectKey('default', 'bash'),
  ownerUid: 'uid-bash',
  revision: 'r1',
  capacity: { runs: 4 },
  createdAt: at(0),
  terminating: false,
  cordonedSince: undefined,
  finished: false,
  ready: true,
  containersReady: true,
  runtimedReady: 'True',
  trouble: undefined,
  ...overrides,
});

/** Runtime default/bash with one replica. */
export const aRuntime = (overrides: Partial<RuntimeRecord> = {}): RuntimeRecord => ({
  key: objectKey('default', 'bash'),
  namespace: 'default',
  name: 'bash',
  uid: 'uid-bash',
  resourceVersion: '1',
  generation: 1,
  replicas: 1,
  deleting: false,
  spec: { template: { spec: { containers: [{ name: 'runtime', image: 'kruntimes-bash-runtime' }] } } },
  status: {},
  ...overrides,
});

/** A healthy session of a pod. */
export const aSession = (pod: PodRecord, overrides: Partial<Session> = {}): Session => ({
  podUid: pod.uid,
  podKey: pod.key,
  held: [],
  healthy: true,
  healthMessage: '',
  draining: false,
  artifactStore: '',
  ...overrides,
});

/** Key of Runtime default/bash. */
export const BASH: ObjectKey = objectKey('default', 'bash');
