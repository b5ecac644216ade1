/** The control plane on this machine, and krt itself. */
import type { Command } from 'commander';

import { type Dispatch, verb } from '../command.js';

export const ownCommands = (dispatch: Dispatch): ReadonlyArray<Command> =>
  [
    verb('version', 'show the version of krt', dispatch, async () => (await import('../version.js')).version),
    verb(
      'completion',
      'print the completion script of a shell',
      dispatch,
      async () => (await import('../completion/completion.js')).completion,
    ).argument('[shell]', 'bash, zsh or fish'),
  ].map((command) => command.helpGroup('krt:'));
