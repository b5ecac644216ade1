/**
 * 100 Runs in flight on a Runtime of four pods, and what became of them. Each execution leaves a line in a file of the
 * node, so that one that ran twice shows, whatever its status says.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect } from 'chai';

import { runtimes } from '../../../src/model/resources.js';
import type { Run } from '../../../src/model/run.js';
import { answer } from '../../e2e/attach.js';
import { type Installation, READY_LIMIT_MS } from './installation.js';

/** The Runtime. */
export const LOAD = 'load';
export const REPLICAS = 4;
const RUNS_PER_POD = 25;
export const COUNT = REPLICAS * RUNS_PER_POD;
/** Time that a Run gets to end, milliseconds. */
const END_LIMIT_MS = 150_000;

/** Runs of one test. */
export type Load = Readonly<{
  names: ReadonlyArray<string>;
  /** All of them execute. */
  allRunning: () => Promise<void>;
  /** Their ends; rejects when one does not come. */
  ends: () => Promise<ReadonlyArray<Run>>;
  /** Lines `uid attempt`, one for each execution. */
  executions: () => ReadonlyArray<string>;
}>;

/** Puts the Runtime there and waits for its pods. */
export const makeLoadRuntime = async ({ node, plane }: Installation): Promise<void> => {
  const folder = join(node.machine.folder, 'effects');
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  await answer(
    plane.kube.create(runtimes, 'default', {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Runtime',
      metadata: { name: LOAD },
      spec: {
        replicas: REPLICAS,
        capacity: { resources: { runs: RUNS_PER_POD } },
        template: {
          metadata: { labels: { load: 'true' } },
          spec: {
            terminationGracePeriodSeconds: 60,
            containers: [
              {
                name: 'runtime',
                image: 'kruntimes-bash-runtime:latest',
                imagePullPolicy: 'Never',
                volumeMounts: [{ name: 'effects', mountPath: '/effects' }],
              },
            ],
            volumes: [{ name: 'effects', hostPath: { path: '/node/effects', type: 'Directory' } }],
          },
        },
      },
    }),
  );
  await plane.whenReady(LOAD, REPLICAS, READY_LIMIT_MS);
};

/** Creates the Runs, which take so many seconds each. `spec` on top. */
export const startLoad = async (
  { node, plane }: Installation,
  prefix: string,
  seconds: number,
  spec: Readonly<Record<string, unknown>> = {},
): Promise<Load> => {
  const names = Array.from({ length: COUNT }, (_, i) => `${prefix}-${String(i).padStart(3, '0')}`);
  const inline = `echo "$KRUNTIME_RUN_UID $KRUNTIME_ATTEMPT" >> /effects/${prefix}\nsleep ${seconds}\n`;
  await Promise.all(names.map((name) => plane.create(name, { runtime: LOAD, source: { inline }, ...spec })));
  const file = join(node.machine.folder, 'effects', prefix);
  return {
    names,
    allRunning: async () => {
      await Promise.all(
        names.map((name) => plane.whenRun(name, ({ status }) => status?.phase === 'Running', END_LIMIT_MS)),
      );
    },
    ends: () => Promise.all(names.map((name) => plane.end(name, END_LIMIT_MS))),
    executions: () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []),
  };
};

/** None failed, and each ran exactly once. */
export const expectOnceEach = (ended: ReadonlyArray<Run>, load: Load): void => {
  expect(
    ended
      .filter(({ status }) => status?.phase !== 'Succeeded' || status.attempt !== 1)
      .map(({ metadata, status }) => [metadata.name, status]),
  ).to.deep.equal([]);
  expect([...load.executions()].sort()).to.deep.equal(
    ended.map(({ metadata }) => `${metadata.uid} 1`).sort(),
  );
};
