/**
 * What has to be run for a request, and is the warm shell good for it?
 *
 * A user expects what `cd working_dir; bash entrypoint args...` would do in a terminal, or `./entrypoint` when the
 * file names another interpreter. Without an entrypoint: one argument is a command line, several are a command.
 */

/** The process to be made out of a shell, warm or cold. */
export type Plan =
  /** The very file the warm shell was started for: it goes on to read it as its script. */
  | Readonly<{ kind: 'WarmScript'; name: string; args: readonly string[] }>
  /** Another file for bash. */
  | Readonly<{ kind: 'BashScript'; name: string; args: readonly string[] }>
  | Readonly<{ kind: 'CommandLine'; line: string }>
  /** A command found through PATH. */
  | Readonly<{ kind: 'Command'; argv: readonly [string, ...string[]] }>
  /** A file with an interpreter of its own; `interpreter` is checked first, as the kernel does. */
  | Readonly<{
      kind: 'Interpreter';
      interpreter: string;
      argv: readonly [string, ...string[]];
      name: string;
    }>;

/** What was found at the entrypoint. */
export type EntrypointFact = Readonly<{ isExecutable: boolean; firstBytes: Buffer }>;

/** How much of a file has to be read to know its interpreter; the kernel looks at 256 bytes. */
export const firstBytesWanted = 256;

const isBash = (interpreter: string, argument: string | undefined, bash: string): boolean =>
  argument === undefined
    ? interpreter === bash || interpreter === '/bin/bash' || interpreter === '/usr/bin/bash'
    : interpreter === '/usr/bin/env' && argument === 'bash';

/** The interpreter line as the kernel reads it: a path and at most one argument, which may hold blanks. */
const shebang = (firstBytes: Buffer): readonly [string, string | undefined] | undefined => {
  const line = /^#![ \t]*([^ \t\n]+)[ \t]*([^\n]*?)[ \t]*(?:\n|$)/.exec(firstBytes.toString('latin1'));
  if (line?.[1] === undefined) return undefined;
  return [line[1], line[2] === '' ? undefined : line[2]];
};

/** A name that no program takes for an option. */
const asOperand = (name: string): string => (name.startsWith('-') ? `./${name}` : name);

const isText = (firstBytes: Buffer): boolean => {
  const firstLine = firstBytes.indexOf(0x0a);
  return !firstBytes.subarray(0, firstLine < 0 ? undefined : firstLine).includes(0);
};

/** How to run a file of the working directory. `bash` is the path of the shell, `warmName` the file warm shells wait for. */
export const planEntrypoint = (
  name: string,
  args: readonly string[],
  { isExecutable, firstBytes }: EntrypointFact,
  { bash, warmName }: Readonly<{ bash: string; warmName: string }>,
): Plan => {
  const line = shebang(firstBytes);
  if (line !== undefined && !isBash(...line, bash)) {
    const [interpreter, argument] = line;
    const words = argument === undefined ? [] : [argument];
    return {
      kind: 'Interpreter',
      interpreter,
      argv: [interpreter, ...words, asOperand(name), ...args],
      name,
    };
  }
  if (line === undefined && isExecutable && !isText(firstBytes))
    return { kind: 'Command', argv: [`./${name}`, ...args] };
  return name === warmName
    ? { kind: 'WarmScript', name, args }
    : { kind: 'BashScript', name: asOperand(name), args };
};

/** How to run arguments that are themselves the command; undefined when there are none. */
export const planCommand = (args: readonly string[]): Plan | undefined => {
  const [first, ...rest] = args;
  if (first === undefined) return undefined;
  return rest.length === 0
    ? { kind: 'CommandLine', line: first }
    : { kind: 'Command', argv: [first, ...rest] };
};

/**
 * Names that mean something to bash itself, or to the way it reads text. A running shell treats an assignment to them
 * otherwise than an environment it is started with, so they need a shell that is started with them.
 */
const shellNames =
  /^(_|BASH.*|CHILD_MAX|COLUMNS|COMP_.*|COPROC|DIRSTACK|EMACS|ENV|EPOCH.*|EUID|EXECIGNORE|FIGNORE|FUNCNAME|FUNCNEST|GLOBIGNORE|GLOBSORT|GROUPS|HIST.*|HOSTFILE|HOSTNAME|HOSTTYPE|IFS|IGNOREEOF|INPUTRC|INSIDE_EMACS|LANG|LANGUAGE|LC_.*|LINENO|LINES|MACHTYPE|MAIL.*|MAPFILE|OLDPWD|OPT.*|OSTYPE|PIPESTATUS|POSIX.*|PPID|PROMPT_.*|PS[0-9]|PWD|RANDOM|READLINE_.*|REPLY|SECONDS|SHELL|SHELLOPTS|SHLVL|SRANDOM|TERM|TEXTDOMAIN.*|TIMEFORMAT|TMOUT|UID|auto_resume|histchars|ignoreeof)$/;

/** Can a shell that runs already take over this environment exactly? */
export const isWarmEnv = (names: readonly string[]): boolean =>
  names.every((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !shellNames.test(name));
