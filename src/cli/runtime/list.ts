/** `krt runtime list` */
import { runtimes } from '../../model/resources.js';
import { usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { formatFlag, type Input, isOn, textFlag } from '../input.js';
import type { Verb } from '../krt.js';
import { checkFormat } from '../output/print.js';
import { type ListOptions, listObjects } from '../resource/list.js';

/** Errors: Usage. */
export const parse = (input: Input): ListOptions => {
  if (input.operands.length > 0)
    throw usage(
      'krt runtime list takes no names',
      `krt runtime get ${input.operands.join(' ')} shows Runtimes by name`,
    );
  const labelSelector = textFlag(input, 'selector');
  return {
    format: formatFlag(input),
    allNamespaces: isOn(input, 'allNamespaces'),
    watch: isOn(input, 'watch'),
    selection: labelSelector === undefined ? {} : { labelSelector },
  };
};

export const list: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return listObjects(runtimes, options, {
    ...(await krt.openCluster(globalFlags(input))),
    terminal: krt.terminal,
  });
};
