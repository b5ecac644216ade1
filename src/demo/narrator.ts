/**
 * How is the demo told? Lines for people, on a terminal in colour, in a log file plain. The narrator counts what was
 * claimed and what held; it decides nothing.
 */

/** Where the text goes. */
export type Paper = Readonly<{ write: (text: string) => void; color: boolean }>;

/** How a section went. `ToCome`: everything there held, but this version does not do all of it yet. */
export type Verdict = 'Held' | 'ToCome' | 'Failed';

/** One section's result for the summary. */
export type SectionResult = Readonly<{ title: string; verdict: Verdict; checks: number; ms: number }>;

export type Narrator = ReturnType<typeof narrator>;

/** Columns of the page; a log file has no width to ask for. */
const WIDTH = 100;
/** Output longer than this is cut in the middle, lines. */
const LONGEST = 24;

const CODES = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33', cyan: '36' } as const;

/** `950 ms` below a second and a half, else `2.13 s`; tenths below 10 ms. */
export const formatMs = (ms: number): string =>
  ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1500 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;

const plural = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;

const shortened = (lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length <= LONGEST
    ? lines
    : [
        ...lines.slice(0, 4),
        `... ${plural(lines.length - 8, 'line')} more ...`,
        ...lines.slice(lines.length - 4),
      ];

export const narrator = ({ write, color }: Paper) => {
  const paint = (code: keyof typeof CODES, text: string): string =>
    color ? `\u001b[${CODES[code]}m${text}\u001b[0m` : text;
  const line = (text = ''): void => write(`${text}\n`);
  /** Text on the left, a time at the right margin; `length` is what is visible of `text`. */
  const timed = (text: string, length: number, ms: number | undefined): void => {
    if (ms === undefined) return line(text);
    const time = formatMs(ms);
    line(`${text}${' '.repeat(Math.max(2, WIDTH - length - time.length))}${paint('dim', time)}`);
  };
  const block = (text: string): void => {
    const lines = text.replace(/\n+$/, '').split('\n');
    for (const each of shortened(lines)) line(paint('dim', '  | ') + each);
  };

  let checks = 0;
  let failed = 0;
  let toCome = 0;

  return {
    paint,
    line,
    /** What a section is about. */
    heading: (number: number, title: string): void => {
      checks = failed = toCome = 0;
      const text = `${number}. ${title} `;
      line();
      line(paint('bold', text) + paint('dim', '-'.repeat(Math.max(3, WIDTH - text.length))));
    },
    /** A sentence of the guide, or one that explains what comes. */
    note: (text: string): void => line(`  ${text}`),
    /** A file that is about to be used. */
    file: (name: string, text: string): void => {
      line(`  ${paint('cyan', name)}`);
      block(text);
    },
    /** A command as one would type it, what it printed, and how long it took from its start to its exit. */
    command: (typed: string, output: string, ms: number): void => {
      const [first = '', ...rest] = typed.split('\n');
      timed(`  ${paint('bold', `$ ${first}`)}`, first.length + 4, rest.length === 0 ? ms : undefined);
      rest.forEach((each, index) => {
        timed(`    ${paint('bold', each)}`, each.length + 4, index === rest.length - 1 ? ms : undefined);
      });
      if (output.trim() !== '') block(output);
    },
    /** Something seen, with the time it took. */
    fact: (text: string, ms: number): void => timed(`  ${text}`, text.length + 2, ms),
    /** A claim; `saw` is told where it does not hold. */
    check: (claim: string, holds: boolean, saw?: unknown): void => {
      checks += 1;
      if (holds) return line(`  ${paint('green', 'ok')}  ${claim}`);
      failed += 1;
      line(`  ${paint('red', 'NOT SO')}  ${claim}`);
      if (saw !== undefined) block(`saw: ${typeof saw === 'string' ? saw : JSON.stringify(saw)}`);
    },
    /** This version does not do it yet. */
    toCome: (text: string): void => {
      toCome += 1;
      line(`  ${paint('yellow', 'to come')}  ${text}`);
    },
    /** Something went wrong that is no claim of ours. */
    trouble: (text: string): void => {
      failed += 1;
      line(`  ${paint('red', 'FAILED')}  ${text}`);
    },
    /** How the section went since its heading. */
    verdict: (): Readonly<{ verdict: Verdict; checks: number }> => ({
      verdict: failed > 0 ? 'Failed' : toCome > 0 ? 'ToCome' : 'Held',
      checks,
    }),
    summary: (results: ReadonlyArray<SectionResult>, ms: number): void => {
      line();
      line(paint('bold', 'Summary ') + paint('dim', '-'.repeat(WIDTH - 8)));
      const mark = {
        Held: paint('green', 'ok     '),
        ToCome: paint('yellow', 'to come'),
        Failed: paint('red', 'FAILED '),
      };
      for (const { title, verdict, checks: count, ms: sectionMs } of results) {
        const text = `${title.padEnd(26)} ${plural(count, 'check')}`;
        timed(`  ${mark[verdict]}  ${text}`, text.length + 11, sectionMs);
      }
      const total = `${plural(results.length, 'section')}, ${plural(
        results.reduce((sum, each) => sum + each.checks, 0),
        'check',
      )}`;
      timed(`  ${total}`, total.length + 2, ms);
    },
  };
};
