import { expect } from 'chai';

import { explain } from '../../src/cli/explain.js';
import { Failure, failureOf } from '../../src/cli/failure.js';

const said = (error: unknown, verbose = false): Readonly<{ code: number; text: string }> => {
  let text = '';
  const code = explain(error, { err: (more) => (text += String(more)) }, verbose);
  return { code, text };
};

describe('failureOf', () => {
  for (const [kind, status, reason, exitCode] of [
    ['NotFound', 404, 'NotFound', 3],
    ['NotFound', 404, undefined, 1],
    ['Unauthorized', 401, undefined, 4],
    ['Forbidden', 403, 'Forbidden', 4],
    ['Unavailable', undefined, undefined, 4],
    ['Timeout', undefined, undefined, 4],
    ['Unavailable', 503, undefined, 1],
    ['AlreadyExists', 409, 'AlreadyExists', 1],
    ['Conflict', 409, 'Conflict', 1],
    ['Invalid', 422, 'Invalid', 1],
  ] as const)
    it(`${kind} with status ${status} exits ${exitCode}`, () => {
      const error = { kind, message: 'm', ...(status ? { status } : {}), ...(reason ? { reason } : {}) };
      expect(failureOf(error).exitCode).to.equal(exitCode);
    });

  it('gives each refused field its line', () => {
    const failure = failureOf({
      kind: 'Invalid',
      message: 'Run.kruntimes.io "x" is invalid: [a: bad, b: worse]',
      causes: [
        { field: 'spec.a', message: 'bad' },
        { field: 'spec.b', message: 'worse\nthan that' },
      ],
    });
    expect(said(failure)).to.deep.equal({
      code: 1,
      text: 'krt: Run.kruntimes.io "x" is invalid\n  spec.a: bad\n  spec.b: worse; than that\n',
    });
  });
});

describe('explain', () => {
  it('is one line: what, then what to do next', () => {
    expect(said(new Failure('NotFound', 'no run x', { hint: 'krt list shows them' }))).to.deep.equal({
      code: 3,
      text: 'krt: no run x; krt list shows them\n',
    });
  });
  it('shows no stack of a defect unless asked', () => {
    expect(said(new Error('boom\nbang')).text).to.equal(
      'krt: this is a defect of krt: boom bang; -v shows where\n',
    );
    expect(said(new Error('boom'), true).text).to.match(/at .*failure\.test/);
  });
  it('says nothing for an end that was already told', () => {
    expect(said(new Failure('Ended', '', { exitCode: 130 }))).to.deep.equal({ code: 130, text: '' });
  });
});
