/** `krt list` */

import { runs } from '../../model/resources.js';
import { PHASES, type Phase } from '../../model/run.js';
import { usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { formatFlag, type Input, isOn, listFlag, nameOf, textFlag } from '../input.js';
import type { Verb } from '../krt.js';
import { checkFormat } from '../output/print.js';
import { type ListOptions, listObjects } from '../resource/list.js';

const phaseOf = (text: string): Phase => {
  const phase = PHASES.find((known) => known.toLowerCase() === text.toLowerCase());
  if (!phase) throw usage(`--phase ${text} is no phase`, `phases are ${PHASES.join(', ')}`);
  return phase;
};

/**
 * The field selector for Runs in one of the phases. Written as "none of the others" where it can be Pending, because
 * a new Run has no phase yet and means Pending, and because selectors know no "or".
 */
export const phaseSelector = (phases: ReadonlyArray<Phase>): ReadonlyArray<string> => {
  const [first] = phases;
  if (first === undefined) return [];
  if (phases.length === 1 && first !== 'Pending') return [`status.phase=${first}`];
  return PHASES.filter((phase) => !phases.includes(phase)).map((phase) => `status.phase!=${phase}`);
};

/** Errors: Usage. */
export const parse = (input: Input): ListOptions => {
  if (input.operands.length > 0)
    throw usage('krt list takes no names', `krt get ${input.operands.join(' ')} shows Runs by name`);
  const runtime = textFlag(input, 'runtime');
  const fields = [
    ...phaseSelector(
      listFlag(input, 'phase')
        .flatMap((text) => text.split(','))
        .map(phaseOf),
    ),
    ...(runtime === undefined ? [] : [`spec.runtime=${nameOf(runtime, 'runtime')}`]),
  ];
  const labelSelector = textFlag(input, 'selector');
  return {
    format: formatFlag(input),
    allNamespaces: isOn(input, 'allNamespaces'),
    watch: isOn(input, 'watch'),
    selection: {
      ...(fields.length > 0 ? { fieldSelector: fields.join(',') } : {}),
      ...(labelSelector === undefined ? {} : { labelSelector }),
    },
  };
};

export const list: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return listObjects(runs, options, {
    ...(await krt.openCluster(globalFlags(input))),
    terminal: krt.terminal,
  });
};
