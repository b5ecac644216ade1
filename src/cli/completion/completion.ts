/** `krt completion` */
import { usage } from '../failure.js';
import type { Input } from '../input.js';
import type { Verb } from '../krt.js';
import { SCRIPTS, type Shell } from './scripts.js';

const isShell = (text: string): text is Shell => Object.hasOwn(SCRIPTS, text);

/** Errors: Usage. */
export const parse = ({ operands }: Input): Shell => {
  const [shell] = operands;
  if (shell === undefined || operands.length > 1 || !isShell(shell))
    throw usage(
      shell === undefined
        ? 'the name of a shell is missing'
        : `there is no completion for ${operands.join(' ')}`,
      `krt completion ${Object.keys(SCRIPTS).join('|')}`,
    );
  return shell;
};

export const completion: Verb = async (input, { terminal }) => {
  terminal.out(SCRIPTS[parse(input)]);
  return 0;
};
