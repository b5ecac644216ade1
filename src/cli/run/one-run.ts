/** The verbs that are about exactly one Run. */
import { usage } from '../failure.js';
import { type Input, nameOf } from '../input.js';

/** The name of the one Run. Errors: Usage for none and for more than `most` operands. */
export const oneRun = (input: Input, most = 1): string => {
  const [name] = input.operands;
  if (name === undefined) throw usage('the name of a run is missing', '`krt list` shows them');
  if (input.operands.length > most)
    throw usage(`unexpected ${JSON.stringify(input.operands[most])}`, 'one run at a time');
  return nameOf(name, 'run');
};
