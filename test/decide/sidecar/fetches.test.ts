/** What stops a fetch, and what becomes of the attempt then: the steps of one attempt before its process. */
import { expect } from 'chai';

import { admitted, advance } from '../../../src/decide/sidecar/advance.js';
import type {
  Advance,
  Assignment,
  AttemptInput,
  Execution,
  Work,
} from '../../../src/decide/sidecar/attempt.js';
import type { RunUid } from '../../../src/model/ids.js';
import { micros } from '../../../src/model/time.js';

const COMMIT = 'c'.repeat(40);
const execution: Execution = { workingDir: '', entrypoint: 'x', args: [], env: {}, timeoutSeconds: 0 };
const git: Work = {
  source: { repoURL: 'https://h/r', ref: 'main' },
  entrypoint: 'x',
  args: [],
  env: {},
};
const inline: Work = { ...git, source: { inline: ':' } };

const assignment = (timeoutMs?: number): Assignment => ({
  ref: { namespace: 'default', name: 'a', uid: 'u' as RunUid, attempt: 1 },
  runtime: 'bash',
  requests: { runs: 1 },
  policy: { retry: { maxAttempts: 1, backoffMs: 1, reasons: [] }, cancelRequested: false },
  status: { phase: 'Scheduled', assignedPodUID: 'p', attempt: 1 },
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
});
const moment = (ms: number) => ({ at: micros(ms * 1000), chance: 0 });

/** The last step of an attempt that is prepared at 0 and then gets these, a millisecond apart. */
const lastStep = (
  work: Work,
  timeoutMs: number | undefined,
  ...inputs: ReadonlyArray<AttemptInput>
): Advance =>
  inputs.reduce<Advance>(
    ({ attempt }, input, at) => advance(attempt, input, moment(at + 1), { server: 'Synced' }),
    admitted(assignment(timeoutMs), work, false, moment(0)),
  );
const kinds = ({ commands }: Advance): ReadonlyArray<string> => commands.map(({ kind }) => kind);
const written = ({ commands }: Advance): unknown => commands.find(({ kind }) => kind === 'WriteStatus');
const broken: AttemptInput = { kind: 'PrepareFailed', reason: 'PrepareSource', message: 'broken off' };
const prepared: AttemptInput = { kind: 'Prepared', execution, commitSHA: COMMIT };
const rang: AttemptInput = { kind: 'Rang', alarm: 'Timeout' };
const stop = (cause: 'Cancelled' | 'Timeout' | 'Fenced'): AttemptInput => ({ kind: 'StopAsked', cause });

describe('an attempt whose source is fetched', () => {
  it('has its own time for that, and only a fetch has', () => {
    expect(lastStep(git, 500).commands).to.deep.include({
      kind: 'SetAlarm',
      id: 'u',
      alarm: 'Timeout',
      at: micros(500_000),
    });
    expect(kinds(lastStep(git, undefined))).to.deep.equal(['Prepare']);
    expect(kinds(lastStep(inline, 500))).to.deep.equal(['Prepare']);
  });

  it('breaks it off once, whatever asks', () => {
    for (const input of [rang, stop('Cancelled'), stop('Timeout'), stop('Fenced')]) {
      expect(kinds(lastStep(git, 500, input))).to.deep.equal(['AbortPrepare']);
      expect(kinds(lastStep(git, 500, input, stop('Cancelled')))).to.deep.equal([]);
      expect(kinds(lastStep(inline, 500, input))).to.deep.equal([]);
    }
  });

  it('ends as what stopped it, also when the fetch was faster', () => {
    const timedOut = {
      kind: 'Failed',
      reason: 'Timeout',
      message: 'timed out after 500ms, before it started',
    };
    const cancelled = { kind: 'Cancelled', message: 'cancelled before it started' };
    for (const answer of [broken, prepared]) {
      expect(written(lastStep(git, 500, rang, answer)))
        .to.have.nested.property('event.result')
        .deep.equal(timedOut);
      expect(written(lastStep(git, 500, stop('Cancelled'), answer)))
        .to.have.nested.property('event.result')
        .deep.equal(cancelled);
      expect(kinds(lastStep(git, 500, stop('Fenced'), answer))).to.deep.equal(['ClearAlarms', 'Clean']);
    }
  });

  it('tells its commit with whatever is written first', () => {
    const failed: AttemptInput = {
      kind: 'PrepareFailed',
      reason: 'InvalidSpec',
      message: 'x',
      commitSHA: COMMIT,
    };
    expect(written(lastStep(git, 500, failed))).to.have.nested.property('event.commitSHA', COMMIT);
    const started: AttemptInput = { kind: 'Started', at: micros(5) };
    const running = lastStep(git, 500, prepared, { kind: 'Executed' }, started, {
      kind: 'Rang',
      alarm: 'Running',
    });
    expect(written(running)).to.have.nested.property('event.commitSHA', COMMIT);
    expect(written(lastStep(git, 500, broken))).to.not.have.nested.property('event.commitSHA');
  });

  it('gives the process its whole time after the fetch', () => {
    expect(
      lastStep(git, 500, prepared, { kind: 'Executed' }, { kind: 'Started', at: micros(400_000) }).commands,
    ).to.deep.include({
      kind: 'SetAlarm',
      id: 'u',
      alarm: 'Timeout',
      at: micros(900_000),
    });
    // The fetch's alarm may ring between the two: it says nothing of the process.
    expect(kinds(lastStep(git, 500, prepared, rang))).to.deep.equal([]);
  });
});
