/** Which attempts of a Run can have a log, and on which pods? */
import type { LogRef, Run } from '../../model/run.js';
import { endOf, phaseOf } from '../run/read-run.js';

export type AttemptPlace = Readonly<{
  attempt: number;
  pod: string;
  podUid: string | undefined;
  /** Its log in the artifact store, where the attempt's end says so. */
  log: LogRef | undefined;
}>;

/** The attempts that have begun to execute, oldest first; the newest 17 at most, as the status keeps them. */
export const startedAttempts = (run: Run): ReadonlyArray<AttemptPlace> => {
  const { status } = run;
  const past = (status?.attemptHistory ?? []).flatMap(({ attempt, pod, podUID, startTime, logRef }) =>
    pod !== undefined && startTime !== undefined ? [{ attempt, pod, podUid: podUID, log: logRef }] : [],
  );
  const started = phaseOf(run) === 'Running' || (endOf(run) !== undefined && status?.startTime !== undefined);
  const { assignedPod: pod, assignedPodUID: podUid, attempt = 1, logRef: log } = status ?? {};
  return started && pod !== undefined && !past.some((each) => each.attempt === attempt)
    ? [...past, { attempt, pod, podUid, log }]
    : past;
};
