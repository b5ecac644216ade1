/**
 * Objects as an API server may give them out that has not checked them: of an older CRD, or changed behind its back.
 *
 * - decoding ends in a record, or in the paths that are wrong; it never throws
 * - whatever comes of it, every decision of the operator is made, and a good Run beside it is placed
 */
import { expect } from 'chai';
import fc from 'fast-check';
import * as E from 'fp-ts/lib/Either.js';
import type * as t from 'io-ts';

import { cleanup } from '../../src/decide/cleanup/cleanup.js';
import { deliveries } from '../../src/decide/deliveries.js';
import { expiry } from '../../src/decide/expiry.js';
import { grants } from '../../src/decide/grants.js';
import { history } from '../../src/decide/history.js';
import { lostPods } from '../../src/decide/lost-pods.js';
import { notes } from '../../src/decide/notes.js';
import { podReadiness } from '../../src/decide/pod-readiness.js';
import { pods } from '../../src/decide/pods.js';
import { schedule } from '../../src/decide/schedule.js';
import { timeouts } from '../../src/decide/timeouts.js';
import { failedPaths } from '../../src/model/decode-paths.js';
import { Pod } from '../../src/model/pod.js';
import { CachedRun } from '../../src/model/run-record.js';
import { CachedRuntime } from '../../src/model/runtime-record.js';
import type { WorldChange } from '../../src/model/world.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, aRuntime } from '../support/builders.js';
import { allTold, changed } from '../support/told.js';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const meta = (name: string): Json => ({
  name,
  namespace: 'default',
  uid: `uid-${name}`,
  resourceVersion: '1',
  generation: 1,
  creationTimestamp: '2026-01-01T00:00:00Z',
  labels: { 'kruntimes.io/runtime': 'bash', 'kruntimes.io/revision': 'r' },
  annotations: { 'kruntimes.io/capacity.runs': '1' },
  ownerReferences: [{ apiVersion: 'v1', kind: 'Runtime', name: 'bash', uid: 'uid-bash', controller: true }],
  finalizers: ['x'],
});

const run: Json = {
  metadata: meta('bad'),
  spec: {
    runtime: 'bash',
    entrypoint: 'script',
    source: { inline: 'echo' },
    env: { A: 'b' },
    args: ['x'],
    timeout: '1m',
    retry: { maxAttempts: 3, backoff: '1s', reasons: ['Timeout'] },
    requests: { runs: 1 },
    ttlSecondsAfterFinished: 5,
    cancelRequested: false,
  },
  status: {
    phase: 'Running',
    attempt: 1,
    assignedPod: 'p1',
    assignedPodUID: 'uid-p1',
    startTime: '2026-01-01T00:00:01.000001Z',
    completionTime: '2026-01-01T00:00:02Z',
    conditions: [{ type: 'Scheduled', status: 'True', reason: 'x', message: '' }],
    attemptHistory: [{ attempt: 1, reason: 'Timeout' }],
  },
};
const runtime: Json = {
  metadata: meta('other'),
  spec: {
    replicas: 1,
    capacity: { resources: { runs: 2 } },
    template: { spec: { containers: [{ name: 'runtime', image: 'i' }] } },
    git: { timeout: '1m' },
  },
  status: { observedGeneration: 1, replicas: 1, readyReplicas: 1, conditions: [] },
};
const pod: Json = {
  metadata: meta('p9'),
  spec: { nodeName: 'n' },
  status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }], containerStatuses: [] },
};

const placesIn = (value: Json, path: ReadonlyArray<string> = []): ReadonlyArray<ReadonlyArray<string>> => [
  path,
  ...(typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([key, inner]) => placesIn(inner, [...path, key]))
    : []),
];
const replaced = (value: Json, [key, ...rest]: ReadonlyArray<string>, by: Json): Json => {
  if (key === undefined) return by;
  if (Array.isArray(value))
    return value.map((inner, at) => (String(at) === key ? replaced(inner, rest, by) : inner));
  return typeof value === 'object' && value !== null
    ? { ...value, [key]: replaced(value[key] ?? null, rest, by) }
    : by;
};
const anything: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(null, true, 0, -1, 1.5, 2 ** 53, -(2 ** 31), '', [], {}, [null], 'x'.repeat(5000)),
  fc.constantFrom<Json>(
    '9'.repeat(400).concat('h'),
    '0s',
    'Succeeded',
    'Pending',
    '__proto__',
    '0000-00-00T00:00:00Z',
  ),
  fc.constantFrom<Json>(
    { runs: 0 },
    { runs: -3 },
    { runs: 1e300 },
    { constructor: 1 },
    '{"runs":-1}',
    '{"runs":',
  ),
  fc.jsonValue() as fc.Arbitrary<Json>,
);
const bad = (whole: Json): fc.Arbitrary<Json> =>
  fc
    .array(fc.tuple(fc.constantFrom(...placesIn(whole)), anything), { minLength: 1, maxLength: 3 })
    .map((changes) => changes.reduce<Json>((value, [path, by]) => replaced(value, path, by), whole));

/** Every machine of the operator, over one world. */
const theOperator = () => {
  const w = aWorld();
  const random = () => 0.5;
  const told = [
    schedule(w.world),
    deliveries(w.world),
    expiry(w.world, 1000),
    grants(w.world),
    history(w.world, 2),
    podReadiness(w.world),
    cleanup(w.world, { random }),
    pods(w.world, { revisionOf: () => 'r', random }),
  ];
  const plain = [lostPods(w.world), notes(), timeouts(w.world)];
  const apply = (change: WorldChange, nowMs: number): ReadonlyArray<string> =>
    allTold([
      ...told.flatMap((machine) => [...machine.apply(changed(change), nowMs)]),
      ...plain.flatMap((machine) => [...machine.apply(change, nowMs)]),
      ...[...told, ...plain].flatMap((machine) => [...(machine.wake?.(nowMs) ?? [])]),
    ]);
  return { w, apply };
};

describe('objects that nobody has checked', () => {
  const good = aPod('p1', { capacity: { runs: 50 } });
  for (const [kind, whole, decode] of [
    ['Run', run, (u: unknown): t.Validation<unknown> => CachedRun.decode(u)],
    ['Runtime', runtime, (u: unknown): t.Validation<unknown> => CachedRuntime.decode(u)],
    ['Pod', pod, (u: unknown): t.Validation<unknown> => Pod.decode(u)],
  ] as const)
    it(`of kind ${kind} are decoded or told by path, and stop nobody`, () => {
      const seen = { right: 0, left: 0 };
      expect(E.isRight(decode(whole)), `a whole ${kind}`).to.equal(true);
      fc.assert(
        fc.property(fc.array(bad(whole), { minLength: 1, maxLength: 3 }), (objects) => {
          const { w, apply } = theOperator();
          apply(w.runtime(aRuntime()), 0);
          apply(w.pod(good), 0);
          apply(w.opened(good), 0);
          for (const object of objects) {
            const decoded = decode(object);
            if (E.isLeft(decoded)) {
              expect(failedPaths(decoded.left)).to.not.be.empty;
              seen.left += 1;
              continue;
            }
            seen.right += 1;
            const record = decoded.right as never;
            // A name that is that of a good object is a change of that object.
            const { key } = record as { key: string };
            if (['default/p1', 'default/bash', 'default/good'].includes(key)) continue;
            if (kind === 'Run') apply(w.run(record), 1);
            else if (kind === 'Runtime') apply(w.runtime(record), 1);
            else apply(w.pod(record), 1);
          }
          const said = [2, 20, 200_000].flatMap((nowMs) => apply(w.run(aRun(`good${nowMs}`)), nowMs));
          expect(said.join()).to.contain('AdvanceRun good2: Assigned p1');
        }),
        { numRuns: 300 },
      );
      expect(seen.left).to.be.greaterThan(20);
      expect(seen.right).to.be.greaterThan(20);
    });
});
