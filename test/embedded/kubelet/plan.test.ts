/**
 * Invariants, over generated worlds:
 * - a container is started only when it waits and its pause is over, and never while the pod ends
 * - CleanUp is planned only when nothing runs
 * - a plan that has nothing to do now says when to look again, if anything waits for time
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { planPod } from '../../../src/embedded/kubelet/plan.js';
import type { ContainerRecord } from '../../../src/embedded/kubelet/records.js';
import { aContainer, aPod, aWorld, endedWith, running } from './pod-builder.js';

const now = 100_000;
const stoppingUntil = (killAtMs: number, killed = false): ContainerRecord['state'] => ({
  kind: 'Running',
  containerID: 'x',
  startedAtMs: 0,
  stopping: { killAtMs, killed, why: 'test' },
});
const sidecar = aContainer('side', { restartPolicy: 'Always' });

describe('planPod', () => {
  it('prepares folders before anything else', () => {
    expect(planPod(aWorld(aPod(), {}, { folders: 'absent' }), now)).to.deep.equal({
      actions: [{ kind: 'PrepareFolders' }],
    });
  });

  it('waits with folders that failed until the retry is due', () => {
    const world = aWorld(aPod(), {}, { folders: { failed: 'no', retryAtMs: now + 5 } });
    expect(planPod(world, now)).to.deep.equal({ actions: [], wakeMs: now + 5 });
  });

  it('starts init containers one after the other, and the main ones last', () => {
    const pod = aPod({ initContainers: [aContainer('i1'), aContainer('i2')] });
    const starts = (records: Record<string, Partial<ContainerRecord>>) =>
      planPod(aWorld(pod, records), now).actions.map((action) =>
        'name' in action ? action.name : action.kind,
      );
    expect(starts({})).to.deep.equal(['i1']);
    expect(starts({ i1: { state: running() } })).to.deep.equal([]);
    expect(starts({ i1: { state: endedWith(0) } })).to.deep.equal(['i2']);
    expect(starts({ i1: { state: endedWith(0) }, i2: { state: endedWith(0) } })).to.deep.equal(['main']);
  });

  it('lets a sidecar pass only once its startup probe has succeeded', () => {
    const pod = aPod({ initContainers: [{ ...sidecar, startupProbe: {} }] });
    const probe = { successes: 0, failures: 0, tries: 0, dueMs: now + 9, asking: false } as const;
    const world = (verdict: 'unknown' | 'success') =>
      aWorld(pod, { side: { state: running(), probes: { startup: { ...probe, verdict } } } });
    expect(planPod(world('unknown'), now)).to.deep.equal({ actions: [], wakeMs: now + 9 });
    expect(planPod(world('success'), now).actions).to.deep.equal([{ kind: 'StartContainer', name: 'main' }]);
  });

  it('looks again exactly when a back-off ends', () => {
    const waiting = (notBeforeMs: number): Partial<ContainerRecord> => ({
      state: { kind: 'Waiting', reason: 'CrashLoopBackOff', notBeforeMs },
    });
    expect(planPod(aWorld(aPod(), { main: waiting(now + 1) }), now)).to.deep.equal({
      actions: [],
      wakeMs: now + 1,
    });
    expect(planPod(aWorld(aPod(), { main: waiting(now) }), now).actions).to.deep.equal([
      { kind: 'StartContainer', name: 'main' },
    ]);
  });

  it('ends a deleted pod in steps: terminate, kill when the grace is over, clean up', () => {
    const pod = aPod({}, { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 3 });
    const actions = (state: ContainerRecord['state']) => planPod(aWorld(pod, { main: { state } }), now);
    expect(actions(running()).actions).to.deep.equal([
      { kind: 'StopContainer', name: 'main', graceMs: 3000, why: 'the pod is being deleted' },
    ]);
    expect(actions(stoppingUntil(now + 2000))).to.deep.equal({ actions: [], wakeMs: now + 2000 });
    expect(actions(stoppingUntil(now)).actions).to.deep.equal([{ kind: 'KillContainer', name: 'main' }]);
    expect(actions(stoppingUntil(now, true))).to.deep.equal({ actions: [] });
    expect(actions(endedWith(143)).actions).to.deep.equal([{ kind: 'CleanUp' }]);
  });

  it('moves the end forward when a second delete gives less grace', () => {
    const pod = aPod({}, { deletionTimestamp: 'x', deletionGracePeriodSeconds: 1 });
    const plan = planPod(aWorld(pod, { main: { state: stoppingUntil(now + 20_000) } }), now);
    expect(plan.actions[0]).to.include({ kind: 'StopContainer', graceMs: 1000 });
  });

  it('ends sidecars only after the main containers', () => {
    const pod = aPod({ initContainers: [sidecar] }, { deletionTimestamp: 'x' });
    const both = planPod(aWorld(pod, { side: { state: running() }, main: { state: running() } }), now);
    expect(both.actions).to.have.length(1);
    expect(both.actions[0]).to.include({ kind: 'StopContainer', name: 'main' });
    const last = planPod(aWorld(pod, { side: { state: running() }, main: { state: endedWith(0) } }), now);
    expect(last.actions[0]).to.include({ kind: 'StopContainer', name: 'side' });
  });

  it('stops sidecars when all main containers have ended', () => {
    const pod = aPod({ initContainers: [sidecar], restartPolicy: 'Never' });
    const plan = planPod(aWorld(pod, { side: { state: running() }, main: { state: endedWith(0) } }), now);
    expect(plan.actions[0]).to.include({ kind: 'StopContainer', name: 'side' });
  });

  it("restarts a container whose liveness probe has failed, with the probe's own grace", () => {
    const pod = aPod({
      containers: [aContainer('main', { livenessProbe: { terminationGracePeriodSeconds: 2 } })],
    });
    const liveness = {
      verdict: 'failure',
      successes: 0,
      failures: 3,
      tries: 3,
      dueMs: now,
      asking: false,
    } as const;
    const plan = planPod(aWorld(pod, { main: { state: running(), probes: { liveness } } }), now);
    expect(plan.actions).to.have.length(1);
    expect(plan.actions[0]).to.include({ kind: 'StopContainer', graceMs: 2000 });
  });

  it('asks no other probe before the startup probe has succeeded, and none that is being asked', () => {
    const pod = aPod({
      containers: [aContainer('main', { startupProbe: {}, readinessProbe: {}, livenessProbe: {} })],
    });
    const due = {
      verdict: 'unknown',
      successes: 0,
      failures: 0,
      tries: 0,
      dueMs: now,
      asking: false,
    } as const;
    const probes = { startup: due, readiness: due, liveness: due };
    const asked = (given: ContainerRecord['probes']) =>
      planPod(aWorld(pod, { main: { state: running(), probes: given } }), now).actions.map((action) =>
        action.kind === 'AskProbe' ? action.probe : action.kind,
      );
    expect(asked(probes)).to.deep.equal(['startup']);
    expect(asked({ ...probes, startup: { ...due, verdict: 'success' } })).to.deep.equal([
      'readiness',
      'liveness',
    ]);
    expect(asked({ ...probes, startup: { ...due, asking: true } })).to.deep.equal([]);
  });

  it('holds its invariants in every world', () => {
    const state: fc.Arbitrary<ContainerRecord['state']> = fc.oneof(
      fc.record({
        kind: fc.constant('Waiting' as const),
        reason: fc.constant('x'),
        notBeforeMs: fc.integer({ min: now - 5, max: now + 5 }),
      }),
      fc.constant(running()),
      fc.integer({ min: now - 5, max: now + 5 }).map((at) => stoppingUntil(at)),
      fc.constant(stoppingUntil(now, true)),
      fc.integer({ min: 0, max: 2 }).map(endedWith),
    );
    const world = fc.record({
      i: state,
      side: state,
      a: state,
      b: state,
      isDeleted: fc.boolean(),
      isEnding: fc.boolean(),
    });
    fc.assert(
      fc.property(world, ({ i, side, a, b, isDeleted, isEnding }) => {
        const pod = aPod(
          { initContainers: [aContainer('i'), sidecar], containers: [aContainer('a'), aContainer('b')] },
          isDeleted ? { deletionTimestamp: 'x', deletionGracePeriodSeconds: 1 } : {},
        );
        const records = { i: { state: i }, side: { state: side }, a: { state: a }, b: { state: b } };
        const given = aWorld(pod, records, isEnding ? { ending: { graceMs: 1 } } : {});
        const plan = planPod(given, now);
        const states = [...given.containers.values()].map((record) => record.state);
        for (const action of plan.actions) {
          if (action.kind === 'CleanUp')
            expect(states.some(({ kind }) => kind === 'Running')).to.equal(false);
          if (action.kind !== 'StartContainer') continue;
          expect(isDeleted || isEnding).to.equal(false);
          const before = given.containers.get(action.name)?.state;
          expect(before?.kind === 'Waiting' && (before.notBeforeMs ?? 0) <= now).to.equal(true);
        }
        if (plan.wakeMs !== undefined) expect(plan.wakeMs).to.be.greaterThan(now);
      }),
    );
  });
});
