/** Invariant: a status that was written makes the same status again, whatever the time. */
import { expect } from 'chai';
import fc from 'fast-check';
import { placePod } from '../../../src/embedded/kubelet/place-pod.js';
import { Pod } from '../../../src/embedded/kubelet/pod.js';
import type { ContainerRecord } from '../../../src/embedded/kubelet/records.js';
import { podStatus } from '../../../src/embedded/kubelet/status.js';
import { isWritten } from '../../../src/embedded/kubelet/status-writer.js';
import { aContainer, aPod, aWorld, endedWith, running } from './pod-builder.js';

const statusOf = (pod: Pod, states: Readonly<Record<string, ContainerRecord['state']>>) => {
  const records = Object.fromEntries(Object.entries(states).map(([name, state]) => [name, { state }]));
  return podStatus(aWorld(pod, records), '127.0.0.1', 1_000_000);
};

const conditionsOf = (status: ReturnType<typeof statusOf>) =>
  Object.fromEntries(status.conditions.map(({ type, status: value, reason }) => [type, reason ?? value]));

describe('podStatus', () => {
  const two = aPod({ containers: [aContainer('a'), aContainer('b')], restartPolicy: 'Never' });

  it('sums the containers up in a phase', () => {
    const phase = (a: ContainerRecord['state'], b: ContainerRecord['state']) => statusOf(two, { a, b }).phase;
    const waiting = { kind: 'Waiting', reason: 'ContainerCreating' } as const;
    expect(phase(waiting, running())).to.equal('Pending');
    expect(phase(running(), endedWith(1))).to.equal('Running');
    expect(phase(endedWith(0), endedWith(0))).to.equal('Succeeded');
    expect(phase(endedWith(0), endedWith(2))).to.equal('Failed');
  });

  it('is Failed when an init container has failed for good, and not initialized until all have succeeded', () => {
    const pod = aPod({ initContainers: [aContainer('i')] });
    expect(statusOf(pod, { i: endedWith(1) }).phase).to.equal('Failed');
    const held = statusOf(pod, { i: running() });
    expect(conditionsOf(held)).to.include({
      Initialized: 'ContainersNotInitialized',
      Ready: 'ContainersNotReady',
    });
    expect(held.containerStatuses[0]).to.have.nested.property('state.waiting.reason', 'PodInitializing');
    expect(conditionsOf(statusOf(pod, { i: endedWith(0), main: running() }))).to.include({
      Initialized: 'True',
      Ready: 'True',
    });
  });

  it('is Ready only when every gate is, and keeps the conditions of others', () => {
    const spec = { readinessGates: [{ conditionType: 'x/y' }] };
    const gate = (status: string) => ({ conditions: [{ type: 'x/y', status, message: 'theirs' }] });
    expect(conditionsOf(statusOf(aPod(spec), { main: running() })).Ready).to.equal('ReadinessGatesNotReady');
    expect(conditionsOf(statusOf(aPod(spec, {}, gate('False')), { main: running() })).Ready).to.equal(
      'ReadinessGatesNotReady',
    );
    const open = statusOf(aPod(spec, {}, gate('True')), { main: running() });
    expect(conditionsOf(open).Ready).to.equal('True');
    expect(open.conditions).to.deep.include({ type: 'x/y', status: 'True', message: 'theirs' });
  });

  it('is written once: computed again from what was written, at any time, it is the same', () => {
    const state = fc.constantFrom<ContainerRecord['state']>(running(5000), endedWith(0), endedWith(3), {
      kind: 'Waiting',
      reason: 'CrashLoopBackOff',
      message: 'm',
      notBeforeMs: 1,
    });
    fc.assert(
      fc.property(state, state, fc.integer({ min: 1_000_000, max: 2 ** 40 }), (a, b, laterMs) => {
        const first = statusOf(two, { a, b });
        const decoded = Pod.decode({ ...two, status: JSON.parse(JSON.stringify(first)) });
        if (decoded._tag === 'Left') throw new Error('what was written cannot be read');
        const again = podStatus(
          aWorld(decoded.right, { a: { state: a }, b: { state: b } }),
          '127.0.0.1',
          laterMs,
        );
        expect(isWritten(decoded.right, again)).to.equal(true);
      }),
    );
  });
});

describe('placePod', () => {
  const labels = { 'kubernetes.io/hostname': 'local' };
  const kind = (spec: Partial<Pod['spec']>, metadata: Partial<Pod['metadata']> = {}) =>
    placePod(aPod(spec, metadata), labels).kind;

  it('binds what may run here, and leaves what is not ours to place', () => {
    expect(kind({})).to.equal('Bind');
    expect(kind({ nodeSelector: labels, schedulerName: 'default-scheduler' })).to.equal('Bind');
    expect(kind({ nodeSelector: { gpu: 'yes' } })).to.equal('Wait');
    expect(kind({ schedulingGates: [{ name: 'g' }] })).to.equal('Wait');
    expect(kind({ schedulerName: 'mine' })).to.equal('Leave');
    expect(kind({}, { deletionTimestamp: 'x' })).to.equal('Leave');
  });
});
