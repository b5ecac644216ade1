/** The commands of Runs, which stand at the top because they are what krt is for. */
import type { Command } from 'commander';

import { type Dispatch, repeated, verb } from '../command.js';

const GROUP = 'Runs:';

export const runCommands = (dispatch: Dispatch): ReadonlyArray<Command> =>
  [
    verb(
      'run',
      'create a Run: a script, a Git source, or a command after --',
      dispatch,
      async () => (await import('./create.js')).create,
    )
      .usage(
        '[flags] [-f FILE | --repo-url URL --commit-sha SHA | --repo-url URL --ref NAME] [-- command or its arguments]',
      )
      .argument('[command...]', 'after --: one word is a shell line, several are a command and its arguments')
      .option('-r, --runtime <name>', 'Runtime that executes it (default: bash, or the only one there is)')
      .option('-f, --file <file>', 'script to run; - reads it from stdin')
      .option('--repo-url <url>', 'Git repository to run from')
      .option('--commit-sha <sha>', 'commit of the repository, by its full hash')
      .option('--ref <name>', 'branch or tag of the repository, instead of a commit')
      .option('--submodules', 'with the submodules of the repository')
      .option('--entrypoint <path>', 'file to execute, relative to the workspace')
      .addOption(repeated('-e, --env <key=value>', 'environment variable (repeatable)'))
      .option('--timeout <duration>', 'limit of each attempt, such as 30s')
      .option('--retry-attempts <n>', 'attempts in all, 1 to 100')
      .option('--retry-backoff <duration>', 'pause before the second attempt, doubled after each')
      .addOption(repeated('--retry-reason <reason>', 'retry only for this reason (repeatable)'))
      .addOption(repeated('--request <key=n>', 'amount of a logical resource, such as gpu=1 (repeatable)'))
      .option('--name <name>', 'name of the Run (default: run- and some letters)')
      .addOption(repeated('--label <key=value>', 'label of the Run (repeatable)'))
      .option('--ttl <seconds>', 'delete the Run so many seconds after its end')
      .option('-w, --wait', 'wait for the end, and exit as the script did')
      .option('--follow', 'stream the logs while waiting')
      .addHelpText('after', CREATE_HELP),
    verb('list', 'list Runs', dispatch, async () => (await import('./list.js')).list)
      .allowExcessArguments()
      .alias('ls')
      .option('-A, --all-namespaces', 'in all namespaces')
      .option('--runtime <name>', 'only those of this Runtime')
      .addOption(repeated('--phase <phase>', 'only those in this phase (repeatable)'))
      .option('-l, --selector <selector>', 'only those with these labels, such as team=a,tier!=test')
      .option('-w, --watch', 'go on with every change'),
    verb('get', 'show Runs by name', dispatch, async () => (await import('./get.js')).get).argument(
      '[name...]',
    ),
    verb(
      'describe',
      'show all about Runs, for people',
      dispatch,
      async () => (await import('./describe.js')).describe,
    ).argument('[name...]'),
    verb('logs', "print a Run's stdout and stderr", dispatch, async () => (await import('./logs.js')).logs)
      .argument('[name]')
      .option('-f, --follow', 'go on until the Run ends')
      .option('--tail <n>', 'only the last n lines')
      .option(
        '--attempt <n|all>',
        'of this attempt, or of all of them one after the other (default: the last one)',
      )
      .option('--timestamps', 'begin each line with when it was written')
      .option('--stream <name>', 'only stdout or only stderr'),
    verb(
      'wait',
      'wait for the end of Runs, and exit as they did',
      dispatch,
      async () => (await import('./wait.js')).wait,
    )
      .argument('[name...]')
      .option('--timeout <duration>', 'give up after this time, with exit code 1')
      .addHelpText('after', CODES_HELP),
    verb(
      'cancel',
      'request the cancellation of Runs',
      dispatch,
      async () => (await import('./cancel.js')).cancel,
    )
      .argument('[name...]')
      .option('-w, --wait', 'wait for the end, and exit as krt wait does'),
    verb(
      'delete',
      'delete Runs; a Run that executes is ended',
      dispatch,
      async () => (await import('./delete.js')).deleteRuns,
    ).argument('[name...]'),
    verb(
      'rerun',
      'create a new Run like an earlier one',
      dispatch,
      async () => (await import('./rerun.js')).rerun,
    )
      .argument('[name]')
      .option('--name <name>', 'name of the new Run')
      .option('-w, --wait', 'wait for the end, and exit as the script did')
      .option('--follow', 'stream the logs while waiting'),
    verb(
      'outputs',
      'print the outputs of a Run, or the value of one',
      dispatch,
      async () => (await import('./outputs.js')).outputs,
    )
      .argument('[name]')
      .argument('[key]'),
  ].map((command) => command.helpGroup(GROUP));

const CODES_HELP = `
Exit codes: the script's own; 124 Timeout; 130 Cancelled; 125 when it failed for another reason than its exit code.
`;

const CREATE_HELP = `
Examples:
  krt run -- 'echo hello && date'         a shell line
  krt run -- grep -c root /etc/passwd     a command and its arguments, no shell
  krt run -f build.sh --follow -- fast    a script with an argument, its logs live
  echo 'echo hi' | krt run -f - --wait

With --wait, exit codes: the script's own; 124 Timeout; 130 Cancelled; 125 when it failed for another reason than its
exit code. Ctrl-C asks for cancellation and goes on waiting; a second one leaves.
With --follow and -o json (yaml, name, jsonpath) the logs go to stderr, so that stdout holds the object alone.
`;
