/** What goes back unharmed: an attempt whose workspace cannot be made, or whose pod ends; and it may come again. */
import { expect } from 'chai';

import { admitted, advance, type PodFacts } from '../../../src/decide/sidecar/advance.js';
import type { Assignment, AttemptInput, Work } from '../../../src/decide/sidecar/attempt.js';
import { Holdings, SERVER_LOST_ENDING_MS, SERVER_LOST_MS } from '../../../src/decide/sidecar/holdings.js';
import type { RunUid } from '../../../src/model/ids.js';
import { micros } from '../../../src/model/time.js';
import { assignedRun, POD } from './assigned-run.js';

const work: Work = { source: { inline: ':' }, entrypoint: 'script', args: [], env: {} };
const assignment: Assignment = {
  ref: { namespace: 'default', name: 'a', uid: 'u' as RunUid, attempt: 1 },
  runtime: 'bash',
  requests: { runs: 1 },
  policy: { retry: { maxAttempts: 1, backoffMs: 1, reasons: [] }, cancelRequested: false },
  status: { phase: 'Scheduled', assignedPodUID: POD, attempt: 1 },
};
const moment = { at: micros(1), chance: 0 };
const facts: PodFacts = { server: 'Synced' };
const unprepared: Extract<AttemptInput, { kind: 'Unprepared' }> = {
  kind: 'Unprepared',
  message: 'the pod can make no workspace: ENOSPC',
};

const prepared = (...inputs: ReadonlyArray<AttemptInput>) =>
  inputs.reduce(
    ({ attempt }, input) => advance(attempt, input, moment, facts),
    admitted(assignment, work, false, moment),
  );

describe('an attempt whose workspace cannot be made', () => {
  it('is given back, cleaned, and nothing is written of it', () => {
    const { attempt, commands } = prepared(unprepared);
    expect(attempt.stage).to.deep.equal({ name: 'Cleaning', isWritten: false });
    expect(commands.map(({ kind }) => kind)).to.deep.equal(['GiveBack', 'ClearAlarms', 'Clean']);
    const { message } = unprepared;
    expect(commands[0]).to.deep.equal({ kind: 'GiveBack', assignment, reason: 'Unfit', message });
  });

  it('ends as it was asked to, when it was asked to before', () => {
    const { commands } = prepared({ kind: 'StopAsked', cause: 'Cancelled' }, unprepared);
    expect(commands.find(({ kind }) => kind === 'WriteStatus'))
      .to.have.nested.property('event.result.kind')
      .equal('Cancelled');
    const fenced = prepared({ kind: 'StopAsked', cause: 'Fenced' }, unprepared);
    expect(fenced.commands.map(({ kind }) => kind)).to.deep.equal(['ClearAlarms', 'Clean']);
  });

  it('is taken again when the same assignment comes again', () => {
    const holdings = new Holdings({ uid: POD, capacity: { runs: 1 } });
    const run = assignedRun('u', {}, { scheduledTime: micros(1) });
    const assign = (): ReadonlyArray<string> =>
      holdings.reduce({ kind: 'Assigned', run, via: 'session' }, moment).map(({ kind }) => kind);
    expect(assign()).to.include('Prepare');
    holdings.reduce({ kind: 'Attempt', id: 'u', input: unprepared }, moment);
    expect(holdings.used).to.deep.equal({ runs: 0 });
    holdings.reduce({ kind: 'Cleaned', id: 'u' }, moment);
    expect(assign(), 'the refusal may have been lost').to.include('Prepare');
  });
});

describe('an attempt whose Runtime Server is gone', () => {
  const execution = { workingDir: '', entrypoint: 'x', args: [], env: {}, timeoutSeconds: 0 };
  const executing: ReadonlyArray<AttemptInput> = [
    { kind: 'Prepared', execution },
    { kind: 'ExecuteUnanswered', message: 'draining' },
    { kind: 'ServerDown' },
  ];
  const lose = (isEnding: boolean, status = assignment.status, ...inputs: ReadonlyArray<AttemptInput>) =>
    [...inputs, { kind: 'ServerLost' } as const].reduce(
      ({ attempt }, input) =>
        advance(attempt, input, moment, {
          server: input.kind === 'ServerLost' ? 'Gone' : 'Synced',
          isEnding,
        }),
      admitted({ ...assignment, status }, work, false, moment),
    );

  it('is given back by a pod that ends, unless it was written as Running: it takes no attempt', () => {
    const { commands } = lose(true, assignment.status, ...executing);
    expect(commands[0]).to.include({ kind: 'GiveBack', reason: 'PodTerminating' });
    expect(commands.some(({ kind }) => kind === 'WriteStatus')).to.equal(false);
    const running = lose(true, { ...assignment.status, phase: 'Running' }, ...executing);
    expect(running.commands.find(({ kind }) => kind === 'WriteStatus'))
      .to.have.nested.property('event.result.reason')
      .equal('ExecutionLost');
  });

  it('is lost in a pod that goes on, where the server may have executed it', () => {
    const { commands } = lose(false, assignment.status, ...executing);
    expect(commands.find(({ kind }) => kind === 'WriteStatus'))
      .to.have.nested.property('event.result.reason')
      .equal('ExecutionLost');
  });

  it('is not waited for long in a pod that ends', () => {
    const waits = (...kinds: ReadonlyArray<'ends' | 'goes on' | 'ServerDown' | 'ServerGone'>): unknown => {
      const holdings = new Holdings({ uid: POD, capacity: { runs: 1 } });
      holdings.reduce({ kind: 'ServerOpened' }, moment);
      const [alarm] =
        kinds
          .map((kind) =>
            holdings.reduce(
              kind === 'ends' || kind === 'goes on'
                ? { kind: 'DrainAsked', isEnding: kind === 'ends' }
                : { kind },
              moment,
            ),
          )
          .at(-1) ?? [];
      return alarm?.kind === 'SetAlarm' ? (alarm.at - moment.at) / 1000 : undefined;
    };
    expect(waits('goes on', 'ServerDown')).to.equal(SERVER_LOST_MS.silent);
    expect(waits('goes on', 'ServerDown', 'ServerGone')).to.equal(SERVER_LOST_MS.gone);
    expect(waits('ends', 'ServerDown')).to.equal(SERVER_LOST_ENDING_MS.silent);
    expect(waits('ends', 'ServerDown', 'ServerGone')).to.equal(SERVER_LOST_ENDING_MS.gone);
    expect(waits('ServerDown', 'ends')).to.equal(SERVER_LOST_ENDING_MS.silent);
    expect(waits('ServerDown', 'ServerGone', 'ends')).to.equal(SERVER_LOST_ENDING_MS.gone);
  });
});
