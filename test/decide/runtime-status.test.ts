import { expect } from 'chai';

import { ALLOCATED_MS, runtimeStatus, SETTLE_MS, statusOf } from '../../src/decide/runtime-status.js';
import { conditionOf } from '../../src/model/conditions.js';
import type { PodRecord } from '../../src/model/pod.js';
import type { RuntimeRecord } from '../../src/model/runtime-record.js';
import { type AWorld, aWorld } from '../support/a-world.js';
import { aPod, aRun, aRuntime, at, BASH, runningOn, scheduledOn } from '../support/builders.js';
import { newsMachine } from '../support/news-machine.js';
import { changed, failed } from '../support/told.js';

const serving = (w: AWorld, name: string, overrides: Partial<PodRecord> = {}): PodRecord => {
  const pod = aPod(name, overrides);
  w.pod(pod);
  w.opened(pod);
  return pod;
};
const status = (w: AWorld, runtime: RuntimeRecord, failure?: string) =>
  statusOf(w.world, runtime, 'r1', failure, at(7));
const claim = (w: AWorld, runtime: RuntimeRecord, type: string, failure?: string): string => {
  const found = conditionOf(status(w, runtime, failure).conditions, type);
  return `${found?.status} ${found?.reason}: ${found?.message}`;
};

describe('statusOf', () => {
  it('counts pods that stay, capacity of the ready ones, and what is allocated there', () => {
    const w = aWorld();
    const runtime = aRuntime({ replicas: 3, generation: 5 });
    const p1 = serving(w, 'p1', { capacity: { runs: 4, gpu: 1 } });
    serving(w, 'p2');
    w.pod(aPod('starting', { ready: false }));
    serving(w, 'leaving', { cordonedSince: at(0) });
    w.run(aRun('a', { status: runningOn(p1), requests: { runs: 1, gpu: 1 } }));
    w.run(aRun('b', { status: scheduledOn(p1), requests: { runs: 2 } }));
    expect(status(w, runtime)).to.deep.include({
      replicas: 3,
      readyReplicas: 2,
      capacity: { runs: 8, gpu: 1 },
      allocated: { runs: 3, gpu: 1 },
      busy: '3/8',
      selector: 'kruntimes.io/runtime=bash',
      observedGeneration: 5,
    });
  });

  it('does not count pods of a namesake before it', () => {
    const w = aWorld();
    serving(w, 'p1', { ownerUid: 'uid-before' });
    expect(status(w, aRuntime())).to.deep.include({ replicas: 0, readyReplicas: 0, busy: '0/0' });
  });

  it('says why not all pods are ready, the most telling reason first', () => {
    const w = aWorld();
    const runtime = aRuntime({ replicas: 2 });
    expect(claim(w, runtime, 'Ready')).to.equal('False PodsStarting: 0 of 2 pods are ready');
    w.pod(aPod('p1', { ready: false, trouble: { reason: 'ErrImagePull', message: 'image nope not found' } }));
    expect(claim(w, runtime, 'Ready')).to.equal(
      'False ErrImagePull: 0 of 2 pods are ready; pod p1: image nope not found',
    );
    expect(claim(w, runtime, 'Ready', 'exceeded quota')).to.equal(
      'False PodCreationFailed: 0 of 2 pods are ready; exceeded quota',
    );
    const invalid = aRuntime({ spec: { template: { spec: { containers: [{ name: 'main' }] } } } });
    expect(claim(w, invalid, 'Ready')).to.equal(
      'False InvalidTemplate: the first container of spec.template must be named runtime',
    );
  });

  it('is Ready when all wanted pods are, none wanted included', () => {
    const w = aWorld();
    expect(claim(w, aRuntime({ replicas: 0 }), 'Ready')).to.equal('True AllPodsReady: 0 of 0 pods are ready');
    serving(w, 'p1');
    expect(claim(w, aRuntime({ replicas: 1 }), 'Ready')).to.equal('True AllPodsReady: 1 of 1 pods are ready');
  });

  it('is Progressing while pods start or leave', () => {
    const w = aWorld();
    const runtime = aRuntime({ replicas: 1 });
    expect(claim(w, runtime, 'Progressing')).to.equal('True PodsStarting: 0 of 1 pods are ready');
    serving(w, 'new');
    const old = serving(w, 'old', { revision: 'r0' });
    expect(claim(w, runtime, 'Progressing')).to.equal(
      'True RollingOut: 1 of 1 pods are new and ready, 1 are leaving',
    );
    w.podGone(old);
    expect(claim(w, runtime, 'Progressing')).to.equal('False Complete: all pods are as wanted');
  });

  it('keeps the time of a condition that did not turn', () => {
    const w = aWorld();
    const before = aRuntime({ replicas: 0 });
    const first = status(w, before);
    const again = statusOf(w.world, { ...before, status: first }, 'r1', undefined, at(99_000));
    expect(again).to.deep.equal(first);
  });
});

describe('runtimeStatus', () => {
  const setUp = () => newsMachine((world) => runtimeStatus(world, () => 'r1'));
  /** With a ready pod and a status that says so. */
  const settled = () => {
    const test = setUp();
    const pod = serving(test.w, 'p1');
    const runtime = aRuntime();
    test.w.runtime({ ...runtime, status: status(test.w, runtime) });
    return { ...test, pod, run: aRun('a', { status: scheduledOn(pod) }) };
  };

  it('gathers changes of pods, then writes once', () => {
    const { w, apply, due, wake } = setUp();
    w.runtime(aRuntime({ replicas: 2 }));
    apply(changed(w.pod(aPod('p1'))), 0);
    apply(changed(w.pod(aPod('p2'))), 15);
    expect(due()).to.equal(SETTLE_MS);
    expect(wake(SETTLE_MS)).to.deep.equal(['PatchRuntimeStatus bash: 2 ready, 0/8']);
    expect(due()).to.equal(undefined);
  });

  it('writes what is allocated at most once in a while, however many Runs come and go', () => {
    const { w, apply, due, wake, run } = settled();
    for (let n = 0; n < 50; n += 1) apply(changed(w.run({ ...aRun(`r${n}`), status: run.status })), n);
    expect(due()).to.equal(ALLOCATED_MS);
    expect(wake(ALLOCATED_MS)).to.deep.equal(['PatchRuntimeStatus bash: 1 ready, 50/4']);
  });

  it('writes nothing that changes nothing', () => {
    const { w, apply, wake, run } = settled();
    apply(changed(w.run(run)), 0);
    apply(changed(w.run({ ...run, status: { phase: 'Succeeded' } })), 1);
    expect(wake(ALLOCATED_MS)).to.deep.equal([]);
  });

  it('looks again after a write that was refused', () => {
    const { w, apply, wake, wakeCommands, due, run } = settled();
    apply(changed(w.run(run)), 0);
    const [asked] = wakeCommands(ALLOCATED_MS);
    if (asked === undefined) throw new Error('nothing was written');
    apply(failed(asked), 1100);
    expect(due()).to.equal(1100 + ALLOCATED_MS);
    expect(wake(1100 + ALLOCATED_MS)).to.deep.equal(['PatchRuntimeStatus bash: 1 ready, 1/4']);
  });

  it('keeps nothing of a Runtime that is gone, and writes nothing to one that is going', () => {
    const { w, apply, due, wake } = setUp();
    apply(changed(w.runtime(aRuntime())));
    expect(due()).to.equal(SETTLE_MS);
    apply(changed(w.runtimeGone(aRuntime())));
    expect(due()).to.equal(undefined);
    apply(changed(w.runtime(aRuntime({ deleting: true }))), 100);
    expect(wake(1000)).to.deep.equal([]);
    expect(w.world.runtimes.has(BASH)).to.equal(true);
  });
});
