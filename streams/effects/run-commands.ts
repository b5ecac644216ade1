/**
 * Runs commands: the one place where decisions become effects.
 *
 * One command in flight per object, a newer decision replaces one of its kind that waits, at most `concurrency` in
 * all; what may work later is tried again with backoff. Every command ends in exactly one outcome, or is replaced.
 */
import {
  asyncScheduler,
  catchError,
  concatMap,
  defer,
  type Observable,
  of,
  type SchedulerLike,
  timer,
} from 'rxjs';

import { type Command, commandKey, isBackground } from '../../src/model/command.js';
import type { Outcome } from '../../src/model/outcome.js';
import { runKeyed } from '../operators/run-keyed.js';
import { retryAfterMs } from './retry-policy.js';

/** How commands are run. */
export type RunOptions = Readonly<{
  /** Does one command once: one outcome, then completion. */
  enact: (command: Command) => Observable<Outcome>;
  random: () => number;
  clock?: SchedulerLike;
  /** Commands in flight at most; more than connections of the transport would only queue there. */
  concurrency?: number;
  /** Of those, commands nothing of a Run's life depends on. */
  backgroundConcurrency?: number;
}>;

const kindOf = (command: Command): string =>
  command.kind === 'AdvanceRun' ? `AdvanceRun ${command.step.kind}` : command.kind;

/** Commands in, outcomes out. */
export const runCommands = (
  commands$: Observable<Command>,
  { enact, random, clock = asyncScheduler, concurrency = 32, backgroundConcurrency = 4 }: RunOptions,
): Observable<Outcome> => {
  const attempt = (command: Command, tries: number): Observable<Outcome> =>
    enact(command).pipe(
      concatMap((outcome) => {
        const waitMs =
          outcome.kind === 'Failed' ? retryAfterMs(command, outcome.error, tries, random()) : undefined;
        return waitMs === undefined
          ? of(outcome)
          : timer(waitMs, clock).pipe(concatMap(() => attempt(command, tries + 1)));
      }),
    );
  return commands$.pipe(
    runKeyed({
      keyOf: commandKey,
      kindOf,
      isBackground,
      concurrency,
      backgroundConcurrency,
      run: (command) =>
        defer(() => attempt(command, 1)).pipe(catchError((defect: unknown) => defectOf(command, defect))),
    }),
  );
};

/** A throw inside one effect is a bug of ours; it is reported as an outcome so that the others go on. */
const defectOf = (command: Command, defect: unknown): Observable<Outcome> =>
  of({
    kind: 'Failed',
    command,
    error: {
      kind: 'Invalid',
      message: `defect in ${command.kind}: ${defect instanceof Error ? defect.stack : String(defect)}`,
    },
  });
