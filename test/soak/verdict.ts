/** Which of the series of a soak grow? Pure; the test for growth is in trend.ts. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { leakOf, type Sample } from './trend.js';

/** What one process held at one moment, or, under the name of the soak, what was done until then. */
export const Noted = t.readonly(
  t.type({ name: t.string, atMs: t.number, reading: t.record(t.string, t.number) }),
);
export type Noted = t.TypeOf<typeof Noted>;

/**
 * Those of a file, a line of JSON each.
 *
 * @throws Error for a line that is none.
 */
export const notedIn = (text: string): ReadonlyArray<Noted> =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const noted = Noted.decode(JSON.parse(line));
      if (E.isLeft(noted)) throw new Error(`no reading: ${line}`);
      return noted.right;
    });

/** Under this name a reading is no process's: `runs` are those of the round before it. */
export const OF_SOAK = 'soak';

/**
 * Growth that is certain is no leak yet where it is less than this for each Run that the process had, KiB: V8 keeps feedback
 * of what it has run often, and runtimed the names of its last 8,192 assignments, 93 bytes each. Measured by heap snapshots
 * over 20,000 Runs (docs/reliability.md).
 */
const ALLOWED_KIB = 0.25;
/** An idle process may grow by what so many Runs a minute would excuse. */
const IDLE_RUNS = 40;

/** Pages of files come and go as the kernel likes, and are most of what is resident: so its other parts are judged. */
const isOnlyShown = (what: string, others: ReadonlySet<string>): boolean =>
  what === 'resident mapped KiB' || (what === 'resident KiB' && others.has('resident native KiB'));

const isOfPods = (name: string): boolean => /^(runtimed|bash-runtime)/.test(name);

/** Numbers are those after the warm-up. `beyond` is by how many standard deviations it grows more than it may. */
export type Row = Readonly<{
  name: string;
  samples: number;
  first: number | undefined;
  last: number | undefined;
  slope: number | undefined;
  perRun: number | undefined;
  beyond: number | undefined;
  says: 'flat' | 'grows' | 'only shown' | 'too few';
}>;

type Load = Readonly<{ pods: number; warmUpMs: number }>;

/** One row for each series, by name. */
export const rowsOf = (noted: ReadonlyArray<Noted>, { pods, warmUpMs }: Load): ReadonlyArray<Row> => {
  const minutes = Math.max(...noted.map(({ atMs }) => atMs)) / 60_000;
  let runs = 0;
  const series = new Map<string, Map<string, Sample[]>>();
  for (const { name, atMs, reading } of noted) {
    if (name === OF_SOAK) {
      runs += reading.runs ?? 0;
      continue;
    }
    const ofName = series.get(name) ?? new Map<string, Sample[]>();
    series.set(name, ofName);
    for (const [what, value] of Object.entries(reading))
      ofName.set(what, [...(ofName.get(what) ?? []), { atMs, value }]);
  }
  const rowOf = (
    name: string,
    what: string,
    samples: ReadonlyArray<Sample>,
    others: ReadonlySet<string>,
  ): Row => {
    const perMinute = runs / minutes / (isOfPods(name) ? pods : 1);
    const late = samples.filter(({ atMs }) => atMs >= warmUpMs);
    const allowed = what.endsWith('KiB') ? ALLOWED_KIB * Math.max(perMinute, IDLE_RUNS) : 0;
    const found = leakOf(late, allowed);
    const slope = found && found.beyond.slope + allowed;
    const verdict = found?.isLeak ? 'grows' : 'flat';
    return {
      name: `${name}: ${what}`,
      samples: late.length,
      first: late[0]?.value,
      last: late.at(-1)?.value,
      slope,
      perRun: slope === undefined || runs === 0 ? undefined : slope / perMinute,
      beyond: found?.beyond.score,
      says: isOnlyShown(what, others) ? 'only shown' : found === undefined ? 'too few' : verdict,
    };
  };
  return [...series]
    .flatMap(([name, ofName]) =>
      [...ofName].map(([what, samples]) => rowOf(name, what, samples, new Set(ofName.keys()))),
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
};
