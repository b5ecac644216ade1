/**
 * Invariants: pauses between restarts start at none, then 10 s, double, and end at 300 s; restarts only grow.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { afterAnswer, firstProbeState } from '../../../src/embedded/kubelet/probe-state.js';
import {
  type ContainerRecord,
  ended,
  newRecord,
  recovered,
  started,
} from '../../../src/embedded/kubelet/records.js';
import { aContainer, aPod } from './pod-builder.js';

const container = aContainer('main');
const end = (exitCode: number, finishedAtMs = 1) => ({
  exitCode,
  reason: 'Error',
  startedAtMs: 0,
  finishedAtMs,
  containerID: 'x',
});

describe('ended', () => {
  it('restarts at once, then after 10 s, doubling up to 300 s', () => {
    let record: ContainerRecord = newRecord('main');
    const pauses: number[] = [];
    for (let crash = 0; crash < 9; crash += 1) {
      record = ended(started(record, container, 'x', 0), aPod(), container, end(1), 1000);
      pauses.push(record.state.kind === 'Waiting' ? (record.state.notBeforeMs ?? 1000) - 1000 : -1);
    }
    expect(pauses).to.deep.equal([0, 10, 20, 40, 80, 160, 300, 300, 300].map((seconds) => seconds * 1000));
    expect(record.restarts).to.equal(9);
  });

  it('forgets the crashes before a long steady life', () => {
    const record = ended(
      { ...newRecord('main'), restartPauseMs: 40_000 },
      aPod(),
      container,
      end(1, 600_000),
      600_000,
    );
    expect(record.state).to.deep.equal({ kind: 'Waiting', reason: 'ContainerCreating' });
  });

  it('follows the restart policy', () => {
    const stateAfter = (restartPolicy: string, exitCode: number) =>
      ended(newRecord('main'), aPod({ restartPolicy }), container, end(exitCode), 1).state.kind;
    expect([
      stateAfter('Always', 0),
      stateAfter('OnFailure', 0),
      stateAfter('OnFailure', 1),
      stateAfter('Never', 1),
    ]).to.deep.equal(['Waiting', 'Ended', 'Waiting', 'Ended']);
  });

  it('never restarts a container of a pod that is being deleted', () => {
    const pod = aPod({}, { deletionTimestamp: 'x' });
    expect(ended(newRecord('main'), pod, container, end(1), 1).state.kind).to.equal('Ended');
  });
});

describe('recovered', () => {
  const running = {
    name: 'main',
    restartCount: 2,
    containerID: 'old',
    state: { running: { startedAt: null } },
  };

  it('counts what ran before as ended with the kubelet, and starts it again at once', () => {
    const record = recovered(aPod(), container, running, 5);
    expect(record.restarts).to.equal(3);
    expect(record.last).to.include({ exitCode: 137, containerID: 'old' });
    expect(record.state).to.deep.equal({ kind: 'Waiting', reason: 'ContainerCreating' });
  });

  it('lets a container that had ended for good rest', () => {
    const written = { name: 'main', state: { terminated: { exitCode: 0 } } };
    expect(recovered(aPod({ restartPolicy: 'Never' }), container, written, 5).state.kind).to.equal('Ended');
    expect(recovered(aPod({ restartPolicy: 'Never' }), container, running, 5).state.kind).to.equal('Ended');
  });
});

describe('afterAnswer', () => {
  it('tries early and often before the first success, without counting those failures', () => {
    let state = firstProbeState({}, 0);
    const pauses: number[] = [];
    for (let nowMs = 0, tries = 0; tries < 62; tries += 1) {
      state = afterAnswer({}, 'readiness', state, { ok: false }, nowMs);
      pauses.push(state.dueMs - nowMs);
      nowMs = state.dueMs;
    }
    expect(pauses.slice(0, 4)).to.deep.equal([20, 50, 100, 100]);
    expect(pauses.slice(-3)).to.deep.equal([250, 10_000, 10_000]);
    expect(state.failures).to.equal(2);
  });

  it('changes its verdict exactly when a threshold of consecutive answers is reached', () => {
    const probe = { failureThreshold: 2, successThreshold: 2 };
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 30 }), (answers) => {
        let state = firstProbeState(probe, 0);
        let verdict = 'unknown';
        answers.forEach((ok, index) => {
          state = afterAnswer(probe, 'liveness', state, { ok }, 0);
          if (index > 0 && answers[index - 1] === ok) verdict = ok ? 'success' : 'failure';
          expect(state.verdict).to.equal(verdict);
        });
      }),
    );
  });
});
