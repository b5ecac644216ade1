/** What a scenario is, and what comes of it. */
import type { Plane } from './plane.js';
import type { ProcessorTimes, Stopwatch } from './processor-time.js';
import type { Summary } from './stats.js';

/** One line of the table: a set of latencies, or one figure. */
export type Row = Readonly<{
  label: string;
  unit: string;
  values: Summary | number;
}>;

/** A figure beside what it should be. */
export type Target = Readonly<{
  label: string;
  value: number;
  unit: string;
  atMost?: number;
  atLeast?: number;
}>;

/** What a scenario measured. */
export type Figures = Readonly<{
  parameters: Readonly<Record<string, number | string>>;
  rows: ReadonlyArray<Row>;
  targets: ReadonlyArray<Target>;
  /** What went wrong; an empty list is a condition for all else to mean anything. */
  errors: ReadonlyArray<string>;
  /** Processor time of each program per Run, milliseconds. */
  cpuPerRun?: ProcessorTimes;
  /** Every single value, by name. */
  raw: Readonly<Record<string, ReadonlyArray<number>>>;
}>;

/** What a scenario has to work with. */
export type Bench = Readonly<{
  plane: () => Promise<Plane>;
  stopwatch: Stopwatch;
  /** A temporary folder on the disk of the store. */
  folder: string;
  /** A parameter, from `--set name=value` or its default. */
  parameter: (name: string, byDefault: number) => number;
  /** Progress, for the person who waits. */
  say: (what: string) => void;
}>;

/** A scenario by its name on the command line. */
export type Scenario = Readonly<{
  name: string;
  question: string;
  measure: (bench: Bench) => Promise<Figures>;
}>;

/** Is the target met? */
export const isMet = ({ value, atMost, atLeast }: Target): boolean =>
  (atMost === undefined || value <= atMost) && (atLeast === undefined || value >= atLeast);
