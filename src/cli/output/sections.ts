/** The pieces of a description for people: named values, and tables under a heading. */
import { cell, table } from './table.js';

/** `Name:   value` lines; absent values are left out, further lines of a value are indented. */
export const namedValues = (
  values: ReadonlyArray<readonly [name: string, value: string | undefined]>,
): string => {
  const shown = values.flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, value] as const],
  );
  const indent = Math.max(0, ...shown.map(([name]) => name.length)) + 4;
  return shown
    .map(([name, value]) => {
      const lines = value.split('\n').map((text) => text.replace(CONTROL, ' '));
      return `${`${name}:`.padEnd(indent)}${lines.join(`\n${' '.repeat(indent)}`)}\n`;
    })
    .join('');
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be kept off the terminal
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** A heading with an indented table below; '' without rows. */
export const section = (
  heading: string,
  header: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<unknown>>,
): string =>
  rows.length === 0
    ? ''
    : `\n${heading}:\n${table(
        header,
        rows.map((row) => row.map(cell)),
      )
        .replace(/^/gm, '  ')
        .replace(/ +$/, '')}`;
