/**
 * krt. Parses the command line, loads the one verb that was asked for, and turns its failure into one line and an
 * exit code. Nothing is imported here that `krt version` does not need.
 */

import { explain } from './explain.js';
import { processKrt } from './process-krt.js';
import { createProgram, runProgram } from './program.js';

const main = async (argv: ReadonlyArray<string>): Promise<number> => {
  const krt = processKrt(argv);
  let code = 0;
  try {
    if (argv[0] === '__complete') {
      const { complete } = await import('./completion/complete.js');
      return await complete(argv.slice(1), krt);
    }
    const program = createProgram(async (input, load) => {
      code = await (await load())(input, krt);
    }, krt.terminal);
    await runProgram(program, argv);
    return code;
  } catch (error) {
    return explain(error, krt.terminal, argv.includes('-v') || argv.includes('--verbose'));
  }
};

// stdio on POSIX is written synchronously, so nothing is lost by leaving at once, and idle connections need no goodbye.
process.exit(await main(process.argv.slice(2)));
