/** A failure as people read it: one line (and one per refused field), no stack trace unless asked for. */
import { Failure } from './failure.js';
import type { Terminal } from './krt.js';

const causes = (error: unknown): string => {
  if (error instanceof Error)
    return `${error.stack ?? error.message}\n${error.cause === undefined ? '' : causes(error.cause)}`;
  return `${JSON.stringify(error)}\n`;
};

/** Writes the failure and gives the exit code. */
export const explain = (error: unknown, terminal: Pick<Terminal, 'err'>, verbose: boolean): number => {
  if (!(error instanceof Failure)) {
    const message = error instanceof Error ? error.message : String(error);
    terminal.err(
      `krt: this is a defect of krt: ${message.replace(/\s*\n\s*/g, ' ')}${verbose ? '' : '; -v shows where'}\n`,
    );
    if (verbose) terminal.err(causes(error));
    return 1;
  }
  if (error.message !== '') {
    terminal.err(
      `krt: ${error.message}${error.hint && error.details.length === 0 ? `; ${error.hint}` : ''}\n`,
    );
    for (const detail of error.details) terminal.err(`  ${detail}\n`);
  }
  if (verbose) terminal.err(causes(error));
  return error.exitCode;
};
