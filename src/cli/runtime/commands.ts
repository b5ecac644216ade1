/** `krt runtime ...`. */
import { Command } from 'commander';

import { type Dispatch, verb } from '../command.js';

export const runtimeCommand = (dispatch: Dispatch): Command =>
  new Command('runtime')
    .description('Runtimes: the pools of warm pods')
    .helpCommand(false)
    .helpGroup('Runtimes and artifacts:')
    .alias('rt')
    .addCommand(
      verb('list', 'list Runtimes', dispatch, async () => (await import('./list.js')).list)
        .allowExcessArguments()
        .alias('ls')
        .option('-A, --all-namespaces', 'in all namespaces')
        .option('-l, --selector <selector>', 'only those with these labels')
        .option('-w, --watch', 'go on with every change'),
    )
    .addCommand(
      verb('get', 'show Runtimes by name', dispatch, async () => (await import('./get.js')).get).argument(
        '[name...]',
      ),
    )
    .addCommand(
      verb(
        'describe',
        'show all about Runtimes, for people',
        dispatch,
        async () => (await import('./describe.js')).describe,
      ).argument('[name...]'),
    );
