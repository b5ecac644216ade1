/** `krt cancel` */
import { runs } from '../../model/resources.js';
import { globalFlags } from '../global-flags.js';
import { formatFlag, type Input, isOn, namesOf } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import type { Format } from '../output/format.js';
import { checkFormat, formatObject, listOf, qualifiedName } from '../output/print.js';
import { failFor, settle } from '../resource/get.js';
import { endOf, readRun } from './read-run.js';
import { execute as waitForEnd } from './wait.js';

export type CancelOptions = Readonly<{ names: ReadonlyArray<string>; format: Format; wait: boolean }>;

/** Errors: Usage. */
export const parse = (input: Input): CancelOptions => ({
  names: namesOf(input, 'run'),
  format: formatFlag(input),
  wait: isOn(input, 'wait'),
});

export const execute = async (
  { names, format, wait }: CancelOptions,
  deps: OpenCluster & Pick<Krt, 'terminal'>,
): Promise<number> => {
  const { api, namespace, terminal } = deps;
  const { found, missing } = await settle(
    names.map((name) =>
      api.patch(
        runs,
        { namespace, name },
        { type: 'merge', body: { spec: { cancelRequested: true } } },
        { fieldManager: 'krt' },
      ),
    ),
  );
  const say = wait ? terminal.err : terminal.out;
  if (format.kind === 'table' || wait)
    for (const object of found) {
      const name = qualifiedName(object);
      const end = endOf(readRun(object, name));
      say(end ? `${name} had already ended: ${end}\n` : `${name} cancellation requested\n`);
    }
  else if (found.length > 0)
    terminal.out(await formatObject(format, names.length === 1 ? found[0] : listOf(found)));
  failFor(missing, terminal);
  return wait ? waitForEnd({ names, format, timeoutMs: undefined }, deps) : 0;
};

export const cancel: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return execute(options, { ...(await krt.openCluster(globalFlags(input))), terminal: krt.terminal });
};
