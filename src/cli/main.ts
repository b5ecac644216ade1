/**
 * krt. Parses the command line, loads the one verb that was asked for, and turns its failure into one line and an
 * exit code. Nothing is imported here that `krt version` does not need.
 */

import { refuseDebugger } from '../io/refuse-debugger.js';
import { explain } from './explain.js';
import { processKrt } from './process-krt.js';
import { createProgram, runProgram } from './program.js';
import './first.js';

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

/** Resolves when all that was written before has left: a full pipe, or a socket, takes what it is given in parts. */
const flushed = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    stream.write('', () => resolve());
  });

refuseDebugger();
const code = await main(process.argv.slice(2));
await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
// Idle connections need no goodbye.
process.exit(code);
