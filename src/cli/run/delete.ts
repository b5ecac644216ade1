/** `krt delete` */
import { runs } from '../../model/resources.js';
import { usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { formatFlag, type Input, namesOf } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import { failFor, settle } from '../resource/get.js';

export type DeleteOptions = Readonly<{ names: ReadonlyArray<string>; justNames: boolean }>;

/** Errors: Usage. */
export const parse = (input: Input): DeleteOptions => {
  const format = formatFlag(input);
  if (format.kind !== 'table' && format.kind !== 'name')
    throw usage(`krt delete cannot print ${format.kind}: nothing is left`, 'use -o name, or none');
  return { names: namesOf(input, 'run'), justNames: format.kind === 'name' };
};

export const execute = async (
  { names, justNames }: DeleteOptions,
  { api, namespace, terminal }: OpenCluster & Pick<Krt, 'terminal'>,
): Promise<number> => {
  const { found, missing } = await settle(
    names.map(async (name) => {
      await api.delete(runs, { namespace, name });
      return name;
    }),
  );
  for (const name of found) terminal.out(`run.kruntimes.io/${name}${justNames ? '' : ' deleted'}\n`);
  return failFor(missing, terminal);
};

export const deleteRuns: Verb = async (input, krt) => {
  const options = parse(input);
  return execute(options, { ...(await krt.openCluster(globalFlags(input))), terminal: krt.terminal });
};
