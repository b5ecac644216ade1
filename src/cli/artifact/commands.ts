/** `krt artifact ...`. */
import { Command } from 'commander';

import { type Dispatch, verb } from '../command.js';

export const artifactCommand = (dispatch: Dispatch): Command =>
  new Command('artifact')
    .description('artifacts: the files that Runs left')
    .helpCommand(false)
    .helpGroup('Runtimes and artifacts:')
    .addCommand(
      verb('list', 'list the artifacts of a Run', dispatch, async () => (await import('./list.js')).list)
        .alias('ls')
        .argument('[name]')
        .option(
          '--attempt <n>',
          'what that attempt left, failed or not, or all: asked of the store through a pod that has it',
        ),
    )
    .addCommand(
      verb(
        'download',
        'fetch artifacts of a Run',
        dispatch,
        async () => (await import('./download.js')).download,
      )
        .argument('[name]')
        .argument('[artifact...]', 'default: all of them')
        .option('-d, --directory <dir>', 'where to put them (default: the current folder)')
        .option('--attempt <n>', 'what that attempt left, failed or not'),
    );
