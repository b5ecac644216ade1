import { expect } from 'chai';

import { exitCodeOf } from '../../../src/cli/run/exit-code.js';
import { phaseSelector } from '../../../src/cli/run/list.js';
import { progressText } from '../../../src/cli/run/progress-line.js';
import { readRun } from '../../../src/cli/run/read-run.js';
import { rerunName } from '../../../src/cli/run/rerun.js';
import { summaryOf } from '../../../src/cli/run/summary.js';
import { aRun, finished, runObject } from '../a-run.js';
import { failing } from '../typed.js';

describe('exitCodeOf', () => {
  for (const [phase, reason, exitCode, code] of [
    ['Succeeded', 'Succeeded', 0, 0],
    ['Failed', 'RuntimeError', 3, 3],
    ['Failed', 'RuntimeError', 255, 255],
    ['Failed', 'RuntimeError', 137, 137],
    ['Failed', 'RuntimeError', undefined, 125],
    ['Failed', 'OutputsInvalid', 0, 125],
    ['Failed', 'OutputsInvalid', 7, 125],
    ['Failed', 'ExecutionLost', undefined, 125],
    ['Timeout', 'Timeout', 143, 124],
    ['Cancelled', 'Cancelled', 143, 130],
  ] as const)
    it(`${phase} ${reason} ${exitCode} → ${code}`, () => {
      const status = { phase, conditions: finished(reason), ...(exitCode === undefined ? {} : { exitCode }) };
      expect(exitCodeOf(aRun(status))).to.equal(code);
    });
});

describe('readRun', () => {
  it('names what cannot be understood', async () => {
    const { code, text } = await failing(() => readRun(runObject({ phase: 'Dreaming' }), 'hello'));
    expect(text).to.match(/run hello cannot be understood: .*status.*phase/);
    expect(code).to.equal(1);
  });
});

describe('summaryOf', () => {
  const times = { startTime: '2026-01-01T00:00:01.000000Z', completionTime: '2026-01-01T00:00:02.250000Z' };
  for (const [status, text] of [
    [{ phase: 'Succeeded', conditions: finished('Succeeded'), ...times }, 'run hello Succeeded in 1.25s'],
    [
      { phase: 'Failed', conditions: finished('RuntimeError'), message: 'exit code 3', attempt: 2, ...times },
      'run hello Failed (RuntimeError) after 1.25s (attempt 2): exit code 3',
    ],
    [{ phase: 'Timeout', conditions: finished('Timeout') }, 'run hello Timeout'],
  ] as const)
    it(text, () => {
      expect(summaryOf(aRun(status))).to.equal(text);
    });
});

describe('progressText', () => {
  const waiting = {
    type: 'Scheduled',
    status: 'False',
    reason: 'AtCapacity',
    message: '8/8 runs busy, 41 ahead',
  };
  for (const [status, text] of [
    [{}, 'hello Pending'],
    [{ phase: 'Pending', conditions: [waiting] }, 'hello Pending: 8/8 runs busy, 41 ahead'],
    [{ phase: 'Running', assignedPod: 'bash-0', attempt: 1 }, 'hello Running on bash-0'],
    [{ phase: 'Running', assignedPod: 'bash-0', attempt: 2 }, 'hello Running on bash-0 (attempt 2)'],
  ] as const)
    it(text, () => {
      expect(progressText(aRun(status))).to.equal(text);
    });
});

describe('phaseSelector', () => {
  it('asks for one phase by name', () => {
    expect(phaseSelector(['Failed'])).to.deep.equal(['status.phase=Failed']);
  });
  it('asks for Pending by what it is not, since a new Run has no phase', () => {
    expect(phaseSelector(['Pending'])).to.have.members(
      ['Scheduled', 'Running', 'Succeeded', 'Failed', 'Timeout', 'Cancelled'].map(
        (phase) => `status.phase!=${phase}`,
      ),
    );
  });
  it('asks for several phases by the ones they are not', () => {
    expect(phaseSelector(['Failed', 'Timeout'])).to.have.members(
      ['Pending', 'Scheduled', 'Running', 'Succeeded', 'Cancelled'].map((phase) => `status.phase!=${phase}`),
    );
  });
});

describe('rerunName', () => {
  it('derives from the first name, however often', () => {
    expect(rerunName('hello', 'aaaaaa')).to.equal('hello-rerun-aaaaaa');
    expect(rerunName('hello-rerun-aaaaaa', 'bbbbbb')).to.equal('hello-rerun-bbbbbb');
  });
  it('keeps within 253 characters and ends its base with a letter or digit', () => {
    const name = rerunName(`${'a'.repeat(238)}-.${'b'.repeat(13)}`, 'cccccc');
    expect(name).to.match(/^a{238}-rerun-cccccc$/);
    expect(rerunName('a'.repeat(253), 'cccccc')).to.have.length(253);
  });
});
