/** A Run as the API sent it, decoded. */
import * as E from 'fp-ts/lib/Either.js';

import { conditionOf } from '../../model/conditions.js';
import { isTerminal, type Phase, Run, type TerminalPhase } from '../../model/run.js';
import { Failure } from '../failure.js';

/** Errors: Failure when the object is not a Run that this krt understands. */
export const readRun = (object: unknown, name: string): Run => {
  const decoded = Run.decode(object);
  if (E.isRight(decoded)) return decoded.right;
  const places = decoded.left.map(({ context }) =>
    context
      .map(({ key }) => key)
      .filter((key) => !/^\d*$/.test(key))
      .join('.'),
  );
  throw new Failure('Error', `run ${name} cannot be understood: ${[...new Set(places)].join(', ')}`, {
    hint: 'is this krt older than the cluster? `krt get -o yaml` shows the object as it is',
  });
};

/** status.phase; a new Run has none and is Pending. */
export const phaseOf = (run: Run): Phase => run.status?.phase ?? 'Pending';

/** The phase if it is an end. */
export const endOf = (run: Run): TerminalPhase | undefined =>
  isTerminal(run.status?.phase) ? run.status?.phase : undefined;

/** Why the Run ended as it did, or waits; '' when nothing is said. */
export const reasonOf = (run: Run): string => {
  const type = endOf(run) ? 'Finished' : 'Scheduled';
  return conditionOf(run.status?.conditions, type)?.reason ?? '';
};
