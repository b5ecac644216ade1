/** What was typed, after the flags are known by name: what every command parses into its own options. */
import { usage } from './failure.js';
import { type Format, parseFormat } from './output/format.js';

/** One command line, as the command sees it. */
export type Input = Readonly<{
  operands: ReadonlyArray<string>;
  /** How many of the operands stand before `--`. */
  operandsBeforeDashes: number;
  /** Flag in camelCase → text, list of texts, or true. */
  flags: Readonly<Record<string, unknown>>;
}>;

/** The text of a flag that takes a value. */
export const textFlag = (input: Input, name: string): string | undefined => {
  const value = input.flags[name];
  return typeof value === 'string' ? value : undefined;
};

/** The texts of a flag that may be repeated. */
export const listFlag = (input: Input, name: string): ReadonlyArray<string> => {
  const value = input.flags[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
};

/** Whether a flag without a value is given. */
export const isOn = (input: Input, name: string): boolean => input.flags[name] === true;

/** A whole number from a flag. Errors: Usage. */
export const countFlag = (input: Input, name: string, flag: string, least = 0): number | undefined => {
  const text = textFlag(input, name);
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value) || value < least)
    throw usage(`${flag} ${text} is not a whole number of at least ${least}`);
  return value;
};

/** `-o`. Errors: Usage. */
export const formatFlag = (input: Input): Format => parseFormat(textFlag(input, 'output'));

/** `-o` of what is no object of the API and has no name. Errors: Usage. */
export const objectFormatFlag = (input: Input): Format => {
  const format = formatFlag(input);
  if (format.kind === 'name') throw usage('-o name does not go with this command: there is no name to print');
  return format;
};

/**
 * Names as people paste them: `hello`, `run/hello`, `runs/hello`, `run.kruntimes.io/hello` (what `-o name` prints).
 * Errors: Usage for none, for another kind, and for what no object can be called.
 */
export const namesOf = (input: Input, noun: 'run' | 'runtime'): ReadonlyArray<string> => {
  if (input.operands.length === 0)
    throw usage(`the name of a ${noun} is missing`, `krt ${noun === 'run' ? '' : 'runtime '}list shows them`);
  return [...new Set(input.operands.map((text) => nameOf(text, noun)))];
};

/** One name; see `namesOf`. */
export const nameOf = (text: string, noun: 'run' | 'runtime'): string => {
  const slash = text.indexOf('/');
  const kind = slash < 0 ? noun : text.slice(0, slash);
  const name = text.slice(slash + 1);
  const kinds = noun === 'run' ? ['run', 'runs', 'rn'] : ['runtime', 'runtimes', 'rt'];
  if (!kinds.includes(kind.replace(/\.kruntimes\.io$/, '')))
    throw usage(`${text} does not name a ${noun}`, `write NAME or ${noun}/NAME`);
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name) || name.length > 253)
    throw usage(
      `${JSON.stringify(name)} cannot be the name of a ${noun}`,
      "names have lower-case letters, digits, '-' and '.', and start and end with a letter or digit",
    );
  return name;
};
