/** `krt artifact list` */
import { runs } from '../../model/resources.js';
import type { Run } from '../../model/run.js';
import { globalFlags } from '../global-flags.js';
import { countFlag, formatFlag, type Input, textFlag } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import type { Format } from '../output/format.js';
import { checkFormat, formatObject } from '../output/print.js';
import { cell, table } from '../output/table.js';
import { oneRun } from '../run/one-run.js';
import { endOf, phaseOf, readRun } from '../run/read-run.js';
import { formatBytes } from './bytes.js';
import { storedEntries } from './stored.js';

export type ListOptions = Readonly<{
  name: string;
  format: Format;
  /** Undefined: what the Run's status refers to. */
  attempt: number | 'all' | undefined;
}>;

/** Errors: Usage. */
export const parse = (input: Input): ListOptions => ({
  name: oneRun(input),
  format: formatFlag(input),
  attempt: textFlag(input, 'attempt') === 'all' ? 'all' : countFlag(input, 'attempt', '--attempt', 1),
});

type Cluster = OpenCluster & Pick<Krt, 'terminal'>;

/** What the status refers to. */
const listReferred = async (run: Run, format: Format, { namespace, terminal }: Cluster): Promise<void> => {
  const refs = run.status?.artifactRefs ?? [];
  if (format.kind === 'name') terminal.out(refs.map((ref) => `${ref.name}\n`).join(''));
  else if (format.kind !== 'table') terminal.out(await formatObject(format, refs));
  else if (refs.length === 0)
    terminal.err(
      `run ${namespace}/${run.metadata.name} has no artifacts${endOf(run) ? '' : `: it is ${phaseOf(run)}, and they are stored at the end`}\n`,
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
};

/** What the store has of attempts, also of failed ones, which the status does not refer to. */
const listStored = async (
  run: Run,
  { format, attempt }: ListOptions,
  { api, namespace, terminal }: Cluster,
): Promise<void> => {
  const entries = (await storedEntries({ api, namespace }, run)).filter(
    (entry) => attempt === 'all' || entry.attempt === attempt,
  );
  if (format.kind === 'name') terminal.out(entries.map(({ name }) => `${name}\n`).join(''));
  else if (format.kind !== 'table') terminal.out(await formatObject(format, entries));
  else if (entries.length === 0)
    terminal.err(
      `the store has no artifacts of ${attempt === 'all' ? '' : `attempt ${attempt} of `}run ${namespace}/${run.metadata.name}\n`,
    );
  else
    terminal.out(
      table(
        ['ATTEMPT', 'NAME', 'SIZE'],
        entries.map((entry) => [String(entry.attempt), cell(entry.name), formatBytes(entry.sizeBytes)]),
      ),
    );
};

export const execute = async (options: ListOptions, cluster: Cluster): Promise<number> => {
  const { api, namespace } = cluster;
  const run = readRun(await api.get(runs, { namespace, name: options.name }), options.name);
  await (options.attempt === undefined
    ? listReferred(run, options.format, cluster)
    : listStored(run, options, cluster));
  return 0;
};

export const list: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return execute(options, { ...(await krt.openCluster(globalFlags(input))), terminal: krt.terminal });
};
