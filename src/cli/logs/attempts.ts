/** Which attempts of a Run can have a log, and on which pods? */
import type { Run } from '../../model/run.js';
import { endOf, phaseOf } from '../run/read-run.js';

export type AttemptPlace = Readonly<{ attempt: number; pod: string }>;

/** The attempts that have begun to execute, oldest first; the newest 17 at most, as the status keeps them. */
export const startedAttempts = (run: Run): ReadonlyArray<AttemptPlace> => {
  const { status } = run;
  const past = (status?.attemptHistory ?? []).flatMap(({ attempt, pod, startTime }) =>
    pod !== undefined && startTime !== undefined ? [{ attempt, pod }] : [],
  );
  const started = phaseOf(run) === 'Running' || (endOf(run) !== undefined && status?.startTime !== undefined);
  const { assignedPod: pod, attempt = 1 } = status ?? {};
  return started && pod !== undefined && !past.some((each) => each.attempt === attempt)
    ? [...past, { attempt, pod }]
    : past;
};
