import { expect } from 'chai';

import { lostPods, UNHEALTHY_MS, UNSEEN_MS } from '../../src/decide/lost-pods.js';
import type { WorldChange } from '../../src/model/world.js';
import { aWorld } from '../support/a-world.js';
import { aPod, aRun, runningOn, scheduledOn } from '../support/builders.js';
import { allTold } from '../support/told.js';

const p1 = aPod('p1');
const silent = aPod('p1', { ready: false, containersReady: false });

const setUp = () => {
  const w = aWorld();
  const machine = lostPods(w.world);
  return {
    w,
    apply: (change: WorldChange, nowMs = 0) => allTold(machine.apply(change, nowMs)),
    wake: (nowMs: number) => allTold(machine.wake?.(nowMs) ?? []),
    due: () => machine.dueMs?.(),
  };
};
/** A pod with one Scheduled and one Running Run. */
const loaded = () => {
  const test = setUp();
  test.apply(test.w.pod(p1));
  test.apply(test.w.run(aRun('s', { status: scheduledOn(p1) })));
  test.apply(test.w.run(aRun('r', { status: runningOn(p1) })));
  return test;
};
const lost = (reason: string) => [`AdvanceRun s: Returned ${reason}`, `AdvanceRun r: AttemptEnded ${reason}`];

describe('lostPods', () => {
  it('takes back the Runs of a deleted pod at once: Scheduled ones unharmed, Running ones as failed', () => {
    const { w, apply } = loaded();
    expect(apply(w.podGone(p1))).to.deep.equal(lost('PodGone'));
  });

  it('calls a pod that was asked to go terminated', () => {
    const { w, apply } = loaded();
    expect(apply(w.pod({ ...p1, terminating: true })), 'it may still end them').to.deep.equal([]);
    expect(apply(w.podGone(p1))).to.deep.equal(lost('PodTerminating'));
  });

  it('takes back the Runs of a pod that ended as a whole, also one that is assigned after that', () => {
    const { w, apply } = loaded();
    expect(apply(w.pod({ ...p1, finished: true }))).to.deep.equal(lost('PodGone'));
    expect(apply(w.run(aRun('late', { status: scheduledOn(p1) })))).to.deep.equal([
      'AdvanceRun late: Returned PodGone',
    ]);
  });

  it('takes back the Runs of the namesake before', () => {
    const { w, apply } = loaded();
    expect(apply(w.pod({ ...p1, uid: aPod('other').uid }))).to.deep.equal(lost('PodGone'));
  });

  const signs: ReadonlyArray<readonly [string, Parameters<typeof aPod>[1], boolean, boolean]> = [
    ['a session alone', { ready: false, containersReady: false }, true, false],
    ['readiness alone', {}, false, false],
    [
      'ready containers, where our own gate is what makes it unready',
      { ready: false, runtimedReady: 'False' },
      false,
      false,
    ],
    ['neither', { ready: false, containersReady: false }, false, true],
    ['ready containers alone while our gate is True', { ready: false }, false, true],
  ];
  for (const [name, overrides, hasSession, isLost] of signs)
    it(`${isLost ? 'gives up' : 'waits for'} a pod with ${name}`, () => {
      const { w, apply, wake } = loaded();
      if (hasSession) apply(w.opened(p1));
      apply(w.pod(aPod('p1', overrides)));
      expect(wake(UNHEALTHY_MS)).to.deep.equal(isLost ? lost('PodUnhealthy') : []);
    });

  it('waits the whole grace from the first silence, whatever else is said of the pod', () => {
    const { w, apply, wake, due } = loaded();
    apply(w.pod(silent), 1000);
    apply(w.pod({ ...silent, trouble: { reason: 'X', message: '' } }), 20_000);
    expect(due()).to.equal(1000 + UNHEALTHY_MS);
    expect(wake(999 + UNHEALTHY_MS)).to.deep.equal([]);
    expect(wake(1000 + UNHEALTHY_MS)).to.deep.equal(lost('PodUnhealthy'));
  });

  it('is reassured by a session that opens in time, and counts anew when it closes', () => {
    const { w, apply, wake, due } = loaded();
    apply(w.pod(silent), 0);
    apply(w.opened(p1), 29_000);
    expect(due()).to.equal(undefined);
    apply(w.closed(p1), 40_000);
    expect(wake(40_000 + UNHEALTHY_MS)).to.deep.equal(lost('PodUnhealthy'));
  });

  it('loses a Run again in its next version, should the first write have met a newer one', () => {
    const { w, apply, wake } = loaded();
    apply(w.pod(silent));
    wake(UNHEALTHY_MS);
    expect(apply(w.run(aRun('r', { status: runningOn(p1), deleting: true })))).to.deep.equal([
      'AdvanceRun r: AttemptEnded PodUnhealthy',
    ]);
    apply(w.opened(p1));
    expect(apply(w.run(aRun('r', { status: runningOn(p1) }))), 'it is back').to.deep.equal([]);
  });

  it('gives the pods informer a while to bring the pod of a Run', () => {
    const { w, apply, wake, due } = setUp();
    apply(w.run(aRun('s', { status: scheduledOn(p1) })), 5);
    apply(w.run(aRun('s', { status: scheduledOn(p1), cancelRequested: true })), 900);
    expect(due(), 'a change does not prolong it').to.equal(5 + UNSEEN_MS);
    apply(w.run(aRun('t', { status: scheduledOn(p1) })), 500);
    expect(wake(5 + UNSEEN_MS)).to.deep.equal(['AdvanceRun s: Returned PodGone']);
    apply(w.pod(p1), 1100);
    expect(wake(500 + UNSEEN_MS), 'seen at last').to.deep.equal([]);
  });

  it('takes back a Run that names no pod though it is Scheduled or Running: somebody edited it', () => {
    const { w, apply, wake } = setUp();
    apply(w.run(aRun('s', { status: { phase: 'Scheduled', attempt: 1 } })));
    apply(w.run(aRun('r', { status: { phase: 'Running', attempt: 1 } })));
    expect(wake(UNSEEN_MS)).to.deep.equal(lost('PodGone'));
  });

  it('forgets a Run without pod that ends', () => {
    const { w, apply, due } = setUp();
    apply(w.run(aRun('s', { status: runningOn(p1) })));
    apply(w.run(aRun('s', { status: { phase: 'Succeeded', assignedPod: 'p1' } })));
    expect(due()).to.equal(undefined);
  });
});
