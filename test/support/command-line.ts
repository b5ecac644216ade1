/** The command lines of the longer suites: --help, and a line instead of a stack trace for what they do not know. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

type Options = NonNullable<ParseArgsConfig['options']>;

/** The flags given. Ends the process with its usage where that is asked for, or with exit code 2 where one is wrong. */
export const flagsOf = <const O extends Options>(
  usage: string,
  options: O,
): ReturnType<typeof parseArgs<{ options: O & { help: { type: 'boolean' } } }>>['values'] => {
  try {
    const { values } = parseArgs({ options: { ...options, help: { type: 'boolean' as const } } });
    if (!('help' in values)) return values;
    process.stdout.write(usage);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
};
