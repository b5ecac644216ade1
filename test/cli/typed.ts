/** What krt makes of a command line: the verb's Input, as the program hands it over. */
import type { Input } from '../../src/cli/input.js';
import { createProgram, runProgram } from '../../src/cli/program.js';

/** The Input of the command line. Rejects with what the program throws. */
export const typed = async (...argv: ReadonlyArray<string>): Promise<Input> => {
  let seen: Input | undefined;
  const program = createProgram(
    async (input) => {
      seen = input;
    },
    { out: () => undefined },
  );
  await runProgram(program, argv);
  if (!seen) throw new Error(`no verb was called by: krt ${argv.join(' ')}`);
  return seen;
};

/** The exit code and message that the call fails with. */
export const failing = async (call: () => unknown): Promise<Readonly<{ code: number; text: string }>> => {
  try {
    await call();
  } catch (error) {
    if (error instanceof Error && 'exitCode' in error && 'hint' in error)
      return { code: Number(error.exitCode), text: `${error.message}; ${String(error.hint ?? '')}` };
    throw error;
  }
  throw new Error('it did not fail');
};
