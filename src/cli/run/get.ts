/** `krt get` */
import { runs } from '../../model/resources.js';
import { globalFlags } from '../global-flags.js';
import { formatFlag, type Input, namesOf } from '../input.js';
import type { Verb } from '../krt.js';
import { checkFormat } from '../output/print.js';
import { type GetOptions, getObjects } from '../resource/get.js';

/** Errors: Usage. */
export const parse = (input: Input): GetOptions => ({
  format: formatFlag(input),
  names: namesOf(input, 'run'),
});

export const get: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return getObjects(runs, options, {
    ...(await krt.openCluster(globalFlags(input))),
    terminal: krt.terminal,
  });
};
