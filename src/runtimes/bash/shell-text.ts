/** The text a warm shell is given to become an execution. All of it is quoted here, and nowhere else. */
import type { Plan } from './plan.js';

/** A word that bash reads back byte for byte. */
export const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

const words = (list: readonly string[]): string => list.map(quote).join(' ');

/**
 * Ends in the command's own process, or with what a user of a shell expects: 127 and "command not found", 126 for a
 * file that can not be executed.
 */
const execCommand = ([command, ...args]: readonly [string, ...string[]]): string => {
  const exec = `exec -- ${words([command, ...args])}`;
  return command.includes('/')
    ? exec
    : `type -P -- ${quote(command)} >/dev/null || { printf 'bash: %s: command not found\\n' ${quote(command)} >&2; exit 127; }; ${exec}`;
};

/** Text for `bash -c` or a warm shell; empty when the warm shell just goes on to its script. */
export const planText = (plan: Plan, bash: string): string => {
  switch (plan.kind) {
    case 'WarmScript':
      return `set -- ${words(plan.args)}`;
    case 'BashScript':
      return `exec -a bash -- ${words([bash, plan.name, ...plan.args])}`;
    case 'CommandLine':
      return `exec -a bash -- ${words([bash, '-c', plan.line])}`;
    case 'Command':
      return execCommand(plan.argv);
    case 'Interpreter':
      return `[[ -x ${quote(plan.interpreter)} ]] || { printf 'bash: %s: %s: bad interpreter: No such file or directory\\n' ${words([plan.name, plan.interpreter])} >&2; exit 126; }; exec -- ${words(plan.argv)}`;
  }
};

export type Prelude = Readonly<{
  bash: string;
  cwd: string;
  env: Readonly<Record<string, string>>;
  plan: Plan;
  /** Whether SHELL was in the server's environment; a waiting shell has it there in any case. */
  exportsShell: boolean;
  /** See TreeSigns. */
  realtimeLimit: number;
}>;

/**
 * What a warm shell reads as its work, once. Afterwards it is as if it had been started in `cwd` with this
 * environment: no trace of its waiting (descriptors, BASH_ENV, OLDPWD, the seconds it waited).
 */
export const prelude = ({ bash, cwd, env, plan, exportsShell, realtimeLimit }: Prelude): string =>
  [
    'exec 3<&- 4<&-',
    `cd -P -- ${quote(cwd)} || exit 126`,
    `unset -v BASH_ENV OLDPWD; declare -x OLDPWD${exportsShell ? '' : '; declare +x SHELL'}`,
    `ulimit -R ${realtimeLimit} 2>/dev/null`,
    ...Object.entries(env).map(([name, value]) => `export ${name}=${quote(value)}`),
    planText(plan, bash),
    'SECONDS=0',
    '',
  ].join('\n');

/**
 * The start-up file of every warm shell: it waits for a byte on fd 3, then reads its work from the file on fd 4. When
 * the server dies the byte never comes, the pipe ends, and so does the shell. The last line is for `$_`.
 */
export const waitText = (bash: string): string =>
  `IFS= read -r _ <&3 || exit\n. /dev/fd/4\n: ${quote(bash)}\n`;
