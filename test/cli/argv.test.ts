/**
 * Any command line: it gives one verb with its input, or a usage error of one line with exit code 2, or is help.
 */
import { expect } from 'chai';
import fc from 'fast-check';

import { Failure } from '../../src/cli/failure.js';
import { createProgram, runProgram } from '../../src/cli/program.js';

const noop = { out: () => undefined };
const tree = createProgram(() => Promise.resolve(), noop);
type Tree = typeof tree;
const all = (command: Tree): ReadonlyArray<Tree> => [
  command,
  ...command.commands.flatMap((each) => all(each as Tree)),
];

const words = [...new Set(all(tree).flatMap((each) => [each.name(), ...each.aliases()]))];
const flags = [
  ...new Set(
    all(tree).flatMap((each) => each.options.flatMap(({ short, long }) => [short ?? '', long ?? ''])),
  ),
].filter((flag) => flag !== '' && !/help|^-h$/.test(flag));

const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...words) },
  { weight: 4, arbitrary: fc.constantFrom(...flags) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...flags).chain((flag) => fc.string().map((value) => `${flag}=${value}`)),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('--', '-', '', '=', '--=', '-n', '\0', '../..', '__proto__', '-9', 'a=b'),
  },
  { weight: 2, arbitrary: fc.string() },
);

describe('krt with any command line', () => {
  it('calls one verb, or says in one line what is wrong with it', async () => {
    const seen = { verbs: 0, usages: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(word, { maxLength: 7 }), async (argv) => {
        let calls = 0;
        const program = createProgram((input) => {
          calls += 1;
          expect(input.operands.every((operand) => typeof operand === 'string')).to.equal(true);
          return Promise.resolve();
        }, noop);
        try {
          await runProgram(program, argv);
          expect(calls).to.be.at.most(1);
          seen.verbs += calls;
        } catch (error) {
          expect(error, String(error)).to.be.instanceOf(Failure);
          const failure = error as Failure;
          expect(failure.exitCode).to.equal(2);
          expect(failure.message).to.not.equal('');
          expect(calls).to.equal(0);
          seen.usages += 1;
        }
      }),
      { numRuns: 600 },
    );
    expect(seen.verbs).to.be.greaterThan(20);
    expect(seen.usages).to.be.greaterThan(20);
  });
});
