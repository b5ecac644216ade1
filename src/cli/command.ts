/** How a command is declared: light, so that `krt --help` and completion load nothing else. */
import { Command, Option } from 'commander';

import type { Input } from './input.js';
import type { Verb } from './krt.js';

/** Runs a verb with what was typed; the program gives it the world and takes its exit code. */
export type Dispatch = (input: Input, load: () => Promise<Verb>) => Promise<void>;

const collect = (value: string, before: ReadonlyArray<string> | undefined): ReadonlyArray<string> => [
  ...(before ?? []),
  value,
];

/** A flag that may be given several times. */
export const repeated = (flags: string, description: string): Option =>
  new Option(flags, description).argParser(collect);

/** Made once: twenty commands share them. */
const globalOptions: ReadonlyArray<Option> = [
  new Option('--kubeconfig <file>', 'kubeconfig to use instead of the one found'),
  new Option('--context <name>', 'context of the kubeconfig'),
  new Option('-n, --namespace <name>', "namespace, instead of the context's"),
  new Option('-o, --output <format>', 'table, wide, json, yaml, name or jsonpath=TEMPLATE'),
  new Option('--request-timeout <duration>', 'limit of one request, such as 10s; 0 means none'),
  new Option('--no-color', 'no colours (NO_COLOR does the same)'),
  new Option('-v, --verbose', 'show requests on stderr, and more of an error'),
].map((option) => option.helpGroup('Flags of every command:'));

/** The flags of every command. Given to the program and to each command, so that they stand anywhere. */
export const withGlobalFlags = (command: Command): Command =>
  globalOptions.reduce((all, option) => all.addOption(option), command);

/** A command that does something. `-- operands` are counted apart from those before the dashes. */
export const verb = (
  name: string,
  description: string,
  dispatch: Dispatch,
  load: () => Promise<Verb>,
): Command => {
  const command = new Command(name).description(description);
  return withGlobalFlags(command).action(() => {
    const root = rootOf(command);
    const typed = 'rawArgs' in root && Array.isArray(root.rawArgs) ? root.rawArgs : [];
    const dashes = typed.indexOf('--');
    const after = dashes < 0 ? 0 : typed.length - dashes - 1;
    return dispatch(
      {
        operands: command.args,
        operandsBeforeDashes: Math.max(0, command.args.length - after),
        flags: { ...root.opts(), ...given(command) },
      },
      load,
    );
  });
};

const rootOf = (command: Command): Command => (command.parent ? rootOf(command.parent) : command);

/** The flags typed at the command itself: its defaults must not hide what was given to the program. */
const given = (command: Command): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(command.opts()).filter(([name]) => command.getOptionValueSource(name) !== 'default'),
  );
