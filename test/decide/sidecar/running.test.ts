/** When is Running written? Soon after the start; later, but not much, where others wait; with the start's own time. */
import { expect } from 'chai';

import { RUNNING_AFTER_MS, RUNNING_AT_LATEST_MS } from '../../../src/decide/sidecar/advance.js';
import type { AttemptInput, Exit } from '../../../src/decide/sidecar/attempt.js';
import { type Command, Holdings } from '../../../src/decide/sidecar/holdings.js';
import type { Run } from '../../../src/model/run.js';
import { micros } from '../../../src/model/time.js';

const aRun = (uid: string): Run => ({
  metadata: { name: uid, uid, namespace: 'default', resourceVersion: '1', creationTimestamp: '' },
  spec: { runtime: 'bash', source: { inline: ':' } },
  status: { phase: 'Scheduled', assignedPod: 'p', assignedPodUID: 'p', attempt: 1 },
});

const execution = { workingDir: '', entrypoint: 'x', args: [], env: {}, timeoutSeconds: 0 };
const exit: Exit = {
  code: 0,
  signal: 0,
  cause: 'Exited',
  errorMessage: '',
  lastStderr: '',
  at: micros(1),
};
const collected: AttemptInput = { kind: 'Collected', collected: { kind: 'Outputs', outputs: {} } };
const endWritten: AttemptInput = { kind: 'StatusWritten', status: { phase: 'Succeeded' } };

/** A pod that runs `slow` from its start at 0 and, where `other` says so, holds another Run that far. */
const aPod = (...other: ReadonlyArray<AttemptInput>) => {
  const holdings = new Holdings({ uid: 'p', capacity: { runs: 3 } });
  holdings.reduce({ kind: 'ServerOpened' }, { at: micros(0), chance: 0 });
  const told = (id: string, input: AttemptInput, ms = 0): ReadonlyArray<Command> =>
    holdings.reduce({ kind: 'Attempt', id, input }, { at: micros(ms * 1_000), chance: 0 });
  const assign = (id: string): void => {
    holdings.reduce({ kind: 'Assigned', run: aRun(id), via: 'session' }, { at: micros(0), chance: 0 });
  };
  const start = (id: string): ReadonlyArray<Command> => {
    assign(id);
    told(id, { kind: 'Prepared', execution });
    return told(id, { kind: 'Started', at: micros(0) });
  };
  const started = start('slow');
  start('other');
  for (const input of other) told('other', input);
  return {
    told,
    started,
    assign,
    ring: (ms: number) => told('slow', { kind: 'Rang', alarm: 'Running' }, ms),
  };
};

const alarm = (ms: number) => ({ kind: 'SetAlarm', id: 'slow', alarm: 'Running', at: micros(ms * 1_000) });

describe('writing Running', () => {
  it('is looked at a while after the start', () => {
    expect(aPod().started).to.deep.include(alarm(RUNNING_AFTER_MS));
  });

  const cases: ReadonlyArray<readonly [string, ReadonlyArray<AttemptInput>, boolean]> = [
    ['the other one runs, too', [], true],
    ['the end of the other one is collected', [{ kind: 'Exited', exit }], false],
    ['the end of the other one is being written', [{ kind: 'Exited', exit }, collected], false],
    ['the end of the other one is written', [{ kind: 'Exited', exit }, collected, endWritten], true],
    [
      'the end of the other one was not its to write',
      [{ kind: 'Exited', exit }, collected, { kind: 'StatusFenced', message: '' }],
      true,
    ],
  ];
  for (const [what, other, isWritten] of cases)
    it(`${isWritten ? 'happens then' : 'waits'} when ${what}`, () => {
      const { ring } = aPod(...other);
      const commands = ring(RUNNING_AFTER_MS);
      if (isWritten) expect(commands.map(({ kind }) => kind)).to.deep.equal(['WriteStatus']);
      else expect(commands).to.deep.equal([alarm(RUNNING_AT_LATEST_MS)]);
    });

  it('waits when another one is about to begin', () => {
    const { ring, assign } = aPod();
    assign('third');
    expect(ring(RUNNING_AFTER_MS)).to.deep.equal([alarm(RUNNING_AT_LATEST_MS)]);
  });

  it('happens at the latest moment whatever waits, with the time of the start, and once', () => {
    const { ring, told } = aPod({ kind: 'Exited', exit });
    ring(RUNNING_AFTER_MS);
    const [write] = ring(RUNNING_AT_LATEST_MS);
    expect(write).to.deep.include({ event: { kind: 'Started', at: micros(0) } });
    expect(ring(RUNNING_AT_LATEST_MS + 1), 'one write at a time').to.deep.equal([]);
    told('slow', { kind: 'StatusWritten', status: { phase: 'Running', assignedPodUID: 'p', attempt: 1 } });
    expect(ring(RUNNING_AT_LATEST_MS + 2), 'it is written').to.deep.equal([]);
  });

  it('does not happen for what ended meanwhile', () => {
    const { ring, told } = aPod({ kind: 'Exited', exit });
    ring(RUNNING_AFTER_MS);
    told('slow', { kind: 'Exited', exit }, 400);
    expect(ring(RUNNING_AT_LATEST_MS)).to.deep.equal([]);
  });
});
