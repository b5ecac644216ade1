/** The command tree of krt: what was typed → one verb with its Input, or a Usage failure. */
import { Command, CommanderError } from 'commander';

import { artifactCommand } from './artifact/commands.js';
import { clusterCommands, ownCommands } from './cluster/commands.js';
import { type Dispatch, withGlobalFlags } from './command.js';
import { Failure, usage } from './failure.js';
import type { Terminal } from './krt.js';
import { runCommands } from './run/commands.js';
import { runtimeCommand } from './runtime/commands.js';

/** commander's `error: unknown option '--x'\n(Did you mean --y?)` as a Failure. */
const usageOf = (text: string, command: string): Failure => {
  const [first = '', ...rest] = text.replace(/^error: /, '').trim().split('\n');
  const suggestion = rest.join(' ').replace(/^\(|\)$/g, '');
  return usage(first, suggestion || `\`${command} --help\` shows what there is`);
};

const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();

/** Makes commander write and fail our way, in the command and all below it. */
const configure = (command: Command, terminal: Pick<Terminal, 'out'>): void => {
  let complaint = '';
  command
    .exitOverride((error) => {
      // Help and version end in an "error" of code 0.
      throw error.exitCode === 0 ? error : usageOf(complaint || error.message, pathOf(command));
    })
    .configureOutput({
      writeOut: terminal.out,
      writeErr: () => undefined,
      outputError: (text) => {
        complaint = text;
      },
    })
    .helpCommand(false)
    .showSuggestionAfterError();
  for (const child of command.commands) configure(child, terminal);
};

/** A noun without its verb: says which verbs there are. */
const needsVerb = (noun: Command): Command =>
  noun.action(() => {
    const verbs = noun.commands.map((child) => child.name());
    const [typed] = noun.args;
    throw usage(
      typed === undefined
        ? `krt ${noun.name()} needs one of: ${verbs.join(', ')}`
        : `unknown command '${noun.name()} ${typed}'`,
      `\`krt ${noun.name()} --help\` shows what each does`,
    );
  });

/** The whole tree; verbs go to `dispatch`. */
export const createProgram = (dispatch: Dispatch, terminal: Pick<Terminal, 'out'>): Command => {
  const program = withGlobalFlags(new Command('krt'))
    .description('Runs short work on Kubernetes in pools of warm pods.')
    .usage('[command] [flags]')
    .enablePositionalOptions()
    .helpOption('-h, --help', 'show this help')
    .action(() => program.outputHelp());
  for (const command of [
    ...runCommands(dispatch),
    needsVerb(runtimeCommand(dispatch)),
    needsVerb(artifactCommand(dispatch)),
    ...clusterCommands(dispatch),
    ...ownCommands(dispatch),
  ])
    program.addCommand(command);
  configure(program, terminal);
  return program;
};

/** Parses and runs. Errors: Failure. */
export const runProgram = async (program: Command, argv: ReadonlyArray<string>): Promise<void> => {
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    throw error;
  }
};
