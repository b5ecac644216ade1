import { expect } from 'chai';

import type { Collected, Exit, StopCause } from '../../../src/decide/sidecar/attempt.js';
import { entrypointProblem } from '../../../src/decide/sidecar/entrypoint.js';
import { resultOf } from '../../../src/decide/sidecar/result.js';
import { micros } from '../../../src/model/time.js';

const anExit = (overrides: Partial<Exit> = {}): Exit => ({
  code: 0,
  signal: 0,
  cause: 'Exited',
  errorMessage: '',
  lastStderr: '',
  at: micros(0),
  ...overrides,
});
const outputs: Collected = { kind: 'Outputs', outputs: { a: '1' } };
const bad: Collected = { kind: 'Bad', reason: 'OutputsInvalid', message: 'line 1' };

describe('resultOf', () => {
  const rows: ReadonlyArray<
    readonly [string, Partial<Exit>, StopCause | undefined, Collected, Readonly<Record<string, unknown>>]
  > = [
    ['exit 0 is success', {}, undefined, outputs, { kind: 'Succeeded', exitCode: 0 }],
    [
      'exit 0 with bad outputs is their reason',
      {},
      undefined,
      bad,
      { reason: 'OutputsInvalid', exitCode: 0 },
    ],
    [
      'bad outputs of a failure are ignored',
      { code: 3 },
      undefined,
      bad,
      { reason: 'RuntimeError', exitCode: 3 },
    ],
    [
      'a signal is named',
      { code: 137, signal: 9 },
      undefined,
      outputs,
      { message: 'killed by signal 9 (SIGKILL)', exitCode: 137 },
    ],
    [
      'stopped for cancel',
      { code: 143, signal: 15, cause: 'Stopped' },
      'Cancelled',
      outputs,
      { kind: 'Cancelled' },
    ],
    [
      'stopped for timeout',
      { code: 143, signal: 15, cause: 'Stopped' },
      'Timeout',
      outputs,
      { reason: 'Timeout' },
    ],
    [
      'the backstop of the server is a timeout',
      { code: 143, cause: 'TimedOut' },
      undefined,
      outputs,
      { reason: 'Timeout' },
    ],
    ['an end before the stop keeps its result', {}, 'Cancelled', outputs, { kind: 'Succeeded' }],
    ['also a failure', { code: 2 }, 'Timeout', outputs, { reason: 'RuntimeError' }],
    [
      'a unary server: failure after a stop',
      { code: 143, cause: 'Unknown' },
      'Cancelled',
      outputs,
      { kind: 'Cancelled' },
    ],
    ['a unary server: success after a stop', { cause: 'Unknown' }, 'Timeout', outputs, { kind: 'Succeeded' }],
    [
      'ended at the server by somebody else',
      { code: 143, signal: 15, cause: 'Stopped' },
      undefined,
      outputs,
      { reason: 'RuntimeError' },
    ],
    [
      'killed by the Runtime Server for what it did',
      { code: 137, signal: 9, cause: 'Exited', errorMessage: 'it was too many', lastStderr: 'fork: retry' },
      undefined,
      outputs,
      { reason: 'RuntimeError', message: 'killed by signal 9 (SIGKILL): it was too many' },
    ],
    [
      'not started at all',
      { code: 127, cause: 'NotStarted', errorMessage: 'no such file' },
      undefined,
      outputs,
      { reason: 'RuntimeExecute', message: 'could not be started: no such file' },
    ],
  ];
  for (const [claim, exit, stop, collected, expected] of rows)
    it(claim, () => {
      expect(resultOf(anExit(exit), { stop, timeoutMs: 1_000, collected })).to.deep.include(expected);
    });

  it('bounds its message to 1,024 bytes whatever stderr held', () => {
    const result = resultOf(anExit({ code: 1, lastStderr: 'é'.repeat(5_000) }), {
      stop: undefined,
      timeoutMs: undefined,
      collected: outputs,
    });
    expect(result.kind === 'Failed' && Buffer.byteLength(result.message)).to.be.within(1_000, 1_024);
  });
});

describe('entrypointProblem', () => {
  for (const good of ['script', 'bin/run.sh', 'a..b', './x', '...'])
    it(`allows ${good}`, () => {
      expect(entrypointProblem(good)).to.equal(undefined);
    });
  for (const wrong of ['', '/bin/sh', '..', '../x', 'a/../b', 'a/..', 'a\0b', 'x'.repeat(4097)])
    it(`refuses ${JSON.stringify(wrong.slice(0, 20))}`, () => {
      expect(entrypointProblem(wrong)).to.be.a('string');
    });
});
