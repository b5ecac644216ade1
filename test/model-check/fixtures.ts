/** What the model's worlds begin with. */
import * as E from 'fp-ts/lib/Either.js';

import { type PodSettings, podOf, revisionOf } from '../../src/decide/pod-template.js';
import type { JsonObject } from '../../src/embedded/api/json.js';
import { RUNTIMED_READY } from '../../src/model/names.js';
import { CachedRuntime } from '../../src/model/runtime-record.js';

/** The model's time zero, milliseconds since the epoch. */
export const START_MS = Date.UTC(2026, 0, 1);

export const SETTINGS: PodSettings = {
  daemonImage: 'runtimed',
  operatorUrl: 'https://operator:9443',
  operatorCa: 'CA',
};

/** A Runtime to create. */
export const runtimeOf = (replicas: number, capacity: number): JsonObject => ({
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Runtime',
  metadata: { name: 'bash', namespace: 'default' },
  spec: {
    replicas,
    capacity: { resources: { runs: capacity } },
    template: {
      spec: { containers: [{ name: 'runtime', image: 'bash' }], terminationGracePeriodSeconds: 5 },
    },
  },
});

/** A pod of it as the operator makes them. */
export const runtimePod = (runtime: unknown, name: string): JsonObject => {
  const record = CachedRuntime.decode(runtime);
  if (E.isLeft(record)) throw new Error('the fixture is no Runtime');
  const revision = revisionOf(record.right.spec, SETTINGS);
  return podOf(record.right, name, revision, SETTINGS) as JsonObject;
};

/** Conditions of a pod as its kubelet and the operator state them. */
export const podStatus = (areContainersReady: boolean, runtimedReady: string | undefined): JsonObject => ({
  phase: 'Running',
  conditions: [
    { type: 'ContainersReady', status: areContainersReady ? 'True' : 'False' },
    { type: 'Ready', status: areContainersReady && runtimedReady === 'True' ? 'True' : 'False' },
    ...(runtimedReady === undefined ? [] : [{ type: RUNTIMED_READY, status: runtimedReady }]),
  ],
});
