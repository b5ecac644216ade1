/** `krt artifact list` */
import { runs } from '../../model/resources.js';
import { globalFlags } from '../global-flags.js';
import { formatFlag, type Input } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import type { Format } from '../output/format.js';
import { checkFormat, formatObject } from '../output/print.js';
import { cell, table } from '../output/table.js';
import { oneRun } from '../run/one-run.js';
import { endOf, phaseOf, readRun } from '../run/read-run.js';
import { formatBytes } from './bytes.js';

export type ListOptions = Readonly<{ name: string; format: Format }>;

/** Errors: Usage. */
export const parse = (input: Input): ListOptions => ({ name: oneRun(input), format: formatFlag(input) });

export const execute = async (
  { name, format }: ListOptions,
  { api, namespace, terminal }: OpenCluster & Pick<Krt, 'terminal'>,
): Promise<number> => {
  const run = readRun(await api.get(runs, { namespace, name }), name);
  const refs = run.status?.artifactRefs ?? [];
  if (format.kind === 'name') terminal.out(refs.map((ref) => `${ref.name}\n`).join(''));
  else if (format.kind !== 'table') terminal.out(await formatObject(format, refs));
  else if (refs.length === 0)
    terminal.err(
      `run ${namespace}/${name} has no artifacts${endOf(run) ? '' : `: it is ${phaseOf(run)}, and they are stored at the end`}\n`,
    );
  else
    terminal.out(
      table(
        ['NAME', 'TYPE', 'SIZE', 'STORE', ...(format.wide ? ['DIGEST', 'LOCATION'] : [])],
        refs.map((ref) => [
          cell(ref.name),
          cell(ref.type),
          ref.sizeBytes === undefined ? cell(undefined) : formatBytes(ref.sizeBytes),
          cell(ref.driver),
          ...(format.wide ? [cell(ref.digest), cell(ref.location)] : []),
        ]),
      ),
    );
  return 0;
};

export const list: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return execute(options, { ...(await krt.openCluster(globalFlags(input))), terminal: krt.terminal });
};
