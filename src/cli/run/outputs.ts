/** `krt outputs` */
import { runs } from '../../model/resources.js';
import { Failure, usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { formatFlag, type Input } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import type { Format } from '../output/format.js';
import { checkFormat, formatObject } from '../output/print.js';
import { cell, table } from '../output/table.js';
import { oneRun } from './one-run.js';
import { endOf, phaseOf, readRun } from './read-run.js';

export type OutputsOptions = Readonly<{ name: string; key: string | undefined; format: Format }>;

/** Errors: Usage. */
export const parse = (input: Input): OutputsOptions => {
  const format = formatFlag(input);
  const key = input.operands[1];
  if (key !== undefined && format.kind !== 'table')
    throw usage('-o does not go with a key: the value is printed as it is', 'leave one of them out');
  return { name: oneRun(input, 2), key, format };
};

/** The value of one key as it is (and a newline), or all of them. */
export const execute = async (
  { name, key, format }: OutputsOptions,
  { api, namespace, terminal }: OpenCluster & Pick<Krt, 'terminal'>,
): Promise<number> => {
  const run = readRun(await api.get(runs, { namespace, name }), name);
  const outputs = run.status?.outputs ?? {};
  const keys = Object.keys(outputs).sort();
  if (key !== undefined) {
    const value = Object.hasOwn(outputs, key) ? outputs[key] : undefined;
    if (value === undefined)
      throw new Failure('NotFound', `run ${namespace}/${name} has no output ${JSON.stringify(key)}`, {
        hint: endOf(run)
          ? keys.length > 0
            ? `it has ${keys.join(', ')}`
            : 'it has none'
          : `it is ${phaseOf(run)}, and outputs are stored at the end: krt wait ${name}`,
      });
    terminal.out(`${value}\n`);
    return 0;
  }
  if (format.kind === 'name') terminal.out(keys.map((each) => `${each}\n`).join(''));
  else if (format.kind !== 'table') terminal.out(await formatObject(format, outputs));
  else if (keys.length > 0)
    terminal.out(
      table(
        ['KEY', 'VALUE'],
        keys.map((each) => [each, cell(outputs[each])]),
      ),
    );
  else
    terminal.err(
      `run ${namespace}/${name} has no outputs${endOf(run) ? '' : `: it is ${phaseOf(run)}, and outputs are stored at the end`}\n`,
    );
  return 0;
};

export const outputs: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return execute(options, { ...(await krt.openCluster(globalFlags(input))), terminal: krt.terminal });
};
