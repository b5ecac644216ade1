/** The control plane on this machine, and krt itself. */
import type { Command } from 'commander';

import { type Dispatch, repeated, verb } from '../command.js';

export const clusterCommands = (dispatch: Dispatch): ReadonlyArray<Command> =>
  [
    verb('up', 'start a control plane on this machine', dispatch, async () => (await import('./up.js')).up)
      .option('--port <n>', 'port of the API on 127.0.0.1')
      .option('--data-dir <dir>', 'where its state is kept (default: ~/.kruntimes)')
      .option('--detach', 'return as soon as the API answers')
      .addOption(
        repeated('--image <name=command>', 'run containers of this image as this command (repeatable)'),
      )
      .option('--no-runtimes', 'do not put the bash Runtime into namespace default'),
    verb(
      'down',
      'stop the control plane on this machine',
      dispatch,
      async () => (await import('./down.js')).down,
    ).option('--data-dir <dir>', 'where its state is kept (default: ~/.kruntimes)'),
    verb(
      'status',
      'show how the control plane on this machine is',
      dispatch,
      async () => (await import('./status.js')).status,
    ).option('--data-dir <dir>', 'where its state is kept (default: ~/.kruntimes)'),
  ].map((command) => command.helpGroup('Control plane on this machine:'));

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
