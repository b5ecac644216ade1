/** Columns for people: padded to the widest cell, three spaces between, none at a line's end. */

/** How many terminal cells a text takes: wide (East Asian, emoji) characters count two, combining ones none. */
export const width = (text: string): number => {
  let cells = 0;
  for (const { segment } of segments(text)) cells += WIDE.test(segment) ? 2 : 1;
  return cells;
};
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]/u;
let segmenter: Intl.Segmenter | undefined;
const segments = (text: string): Iterable<{ segment: string }> => {
  // Plain ASCII, the usual case, needs no segmenter.
  if (/^[\x20-\x7e]*$/.test(text)) return Array.from(text, (segment) => ({ segment }));
  segmenter ??= new Intl.Segmenter();
  return segmenter.segment(text);
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is to be kept off the terminal
const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;

/** One cell's text without line breaks and control characters, which could move the cursor. */
export const cell = (value: unknown): string =>
  value === null || value === undefined || value === ''
    ? '<none>'
    : String(typeof value === 'object' ? JSON.stringify(value) : value).replace(CONTROL, ' ');

/** Widths for the columns of all given rows. */
export const widths = (rows: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<number> => {
  const found: number[] = [];
  for (const row of rows)
    row.forEach((text, i) => {
      found[i] = Math.max(found[i] ?? 0, width(text));
    });
  return found;
};

/** One line, without a newline. */
export const line = (row: ReadonlyArray<string>, columns: ReadonlyArray<number>): string =>
  row
    .map((text, i) =>
      i === row.length - 1 ? text : text + ' '.repeat(Math.max(0, (columns[i] ?? 0) - width(text)) + 3),
    )
    .join('')
    .trimEnd();

/** A whole table, a newline after each line; '' when there are no rows and no header. */
export const table = (
  header: ReadonlyArray<string> | undefined,
  rows: ReadonlyArray<ReadonlyArray<string>>,
): string => {
  const all = header ? [header, ...rows] : rows;
  const columns = widths(all);
  return all.map((row) => `${line(row, columns)}\n`).join('');
};
