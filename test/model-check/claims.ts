/**
 * What must hold in every state of the model, by what truly happened rather than by what a component believes.
 *
 * - phases step only as allowed, a terminal status never changes, the attempt number never decreases and grows by one;
 * - nothing is assigned once cancellation is requested;
 * - no execution without a durable assignment of that attempt to that pod before it;
 * - an attempt is executed once, and a Run has one live process tree, unless the attempt was given up for lost;
 * - an attempt that is executed a second time, the first being lost, has that in the Run's history;
 * - a Run does not end, nor return to the queue, while its process lives, unless it was given up for lost;
 * - a pod never runs more than its capacity;
 * - a result that was written is a result that happened: outputs, exit code;
 * - ExecutionLost is said only of what is not there any more, or what did not answer.
 */
import type { Stored } from './api.js';
import type { Execution } from './runtime-server.js';

/** A claim that does not hold. */
export class Violation extends Error {
  readonly claim: string;

  constructor(claim: string, what: string) {
    super(`${claim}: ${what}`);
    this.claim = claim;
  }
}

type Status = Readonly<{
  phase?: string;
  assignedPodUID?: string;
  attempt?: number;
  exitCode?: number;
  message?: string;
  outputs?: Readonly<Record<string, string>>;
  conditions?: ReadonlyArray<Readonly<{ type: string; status: string; reason?: string }>>;
  attemptHistory?: ReadonlyArray<Readonly<{ attempt: number; reason: string; podUID?: string }>>;
}>;

const TERMINAL = new Set(['Succeeded', 'Failed', 'Timeout', 'Cancelled']);
const LOSSES = new Set(['PodGone', 'PodTerminating', 'PodUnhealthy', 'ExecutionLost']);

/** Phases that may follow one. */
const NEXT: Readonly<Record<string, ReadonlyArray<string>>> = {
  Pending: ['Pending', 'Scheduled', 'Cancelled', 'Failed'],
  Scheduled: ['Scheduled', 'Running', 'Pending', 'Succeeded', 'Failed', 'Timeout', 'Cancelled'],
  Running: ['Running', 'Pending', 'Succeeded', 'Failed', 'Timeout', 'Cancelled'],
};

const statusOf = (run: Stored | undefined): Status => (run?.status ?? {}) as Status;
const phaseOf = (status: Status): string => status.phase ?? 'Pending';

const violated = (claim: string, what: string): never => {
  throw new Violation(claim, what);
};

const reasonOf = (type: string, { conditions = [] }: Status): string =>
  conditions.find((c) => c.type === type)?.reason ?? '';

/** Why the assignment of `before` is over in `after`. */
const whyOver = (before: Status, after: Status): string => {
  if (TERMINAL.has(phaseOf(after))) return reasonOf('Finished', after);
  const past = after.attemptHistory?.at(-1);
  return past?.attempt === before.attempt && before.attemptHistory?.length !== after.attemptHistory?.length
    ? (past?.reason ?? '')
    : reasonOf('Scheduled', after);
};

export class Claims {
  readonly #capacity: number;
  readonly #executions: Execution[] = [];
  /** `run pod attempt` that the API has had. */
  readonly #assigned = new Set<string>();
  /** Of those, the ones somebody gave up for lost. */
  readonly #lost = new Set<string>();
  /** Executions that began a second time under the same number: allowed only where the first was lost. */
  repeated = 0;
  readonly #runOf: (uid: string) => Stored | undefined;

  constructor(capacity: number, runOf: (uid: string) => Stored | undefined) {
    this.#capacity = capacity;
    this.#runOf = runOf;
  }

  executions(): ReadonlyArray<Execution> {
    return this.#executions;
  }

  #name({ runUid, podUid, attempt }: Pick<Execution, 'runUid' | 'podUid' | 'attempt'>): string {
    return `${runUid} ${podUid} ${attempt}`;
  }

  /** A Run was written. `isReachable`: whether what ran there could be asked. */
  runWritten(
    before: Stored | undefined,
    after: Stored | undefined,
    by: string,
    isAnswering: (podUid: string) => boolean,
  ): void {
    if (before === undefined || after === undefined) return;
    const [was, is] = [statusOf(before), statusOf(after)];
    const runUid = before.metadata.uid;
    const what = `${before.metadata.name} ${phaseOf(was)}/${was.attempt ?? 0} → ${phaseOf(is)}/${is.attempt ?? 0} by ${by}`;
    if (JSON.stringify(was) === JSON.stringify(is)) return;
    if (TERMINAL.has(phaseOf(was))) violated('terminal is for ever', what);
    if (!NEXT[phaseOf(was)]?.includes(phaseOf(is))) violated('phases step as allowed', what);
    if ((is.attempt ?? 0) < (was.attempt ?? 0)) violated('the attempt never decreases', what);
    if ((is.attempt ?? 0) > (was.attempt ?? 0) + 1) violated('the attempt grows by one', what);
    const isAssigned = ['Scheduled', 'Running'].includes(phaseOf(is));
    const wasAssigned = ['Scheduled', 'Running'].includes(phaseOf(was));
    if (isAssigned && !wasAssigned) {
      const spec = after.spec as Readonly<{ cancelRequested?: boolean }>;
      if (spec.cancelRequested) violated('nothing is assigned once cancelled', what);
      this.#assigned.add(this.#name({ runUid, podUid: is.assignedPodUID ?? '', attempt: is.attempt ?? 0 }));
    }
    if (isAssigned && wasAssigned && (is.assignedPodUID !== was.assignedPodUID || is.attempt !== was.attempt))
      violated('an assignment ends before another begins', what);
    if (wasAssigned && !isAssigned) this.#assignmentOver(runUid, was, is, what, by, isAnswering);
  }

  #assignmentOver(
    runUid: string,
    was: Status,
    is: Status,
    what: string,
    by: string,
    isAnswering: (podUid: string) => boolean,
  ): void {
    const [podUid, attempt] = [was.assignedPodUID ?? '', was.attempt ?? 0];
    const mine = this.#executions.filter(
      (e) => e.runUid === runUid && e.podUid === podUid && e.attempt === attempt,
    );
    const why = whyOver(was, is);
    const isOperators = by.startsWith('operator');
    const saysSo = is.message?.endsWith('is unknown') === true;
    const isGivenUp =
      LOSSES.has(why) || saysSo || (isOperators && (why === 'Timeout' || !isAnswering(podUid)));
    if (isGivenUp) this.#lost.add(this.#name({ runUid, podUid, attempt }));
    else if (mine.some(({ isLive }) => isLive)) violated('no end while the process lives', `${what}, ${why}`);
    if (why === 'ExecutionLost' && isAnswering(podUid) && mine.some((e) => e.isKnown()))
      violated('ExecutionLost is said of what is lost', what);
    if (phaseOf(is) !== 'Succeeded') return;
    const happened = mine.some((e) => e.exit?.code === 0 && e.token === is.outputs?.token);
    if (!happened)
      violated('a result that was written happened', `${what}, outputs ${JSON.stringify(is.outputs)}`);
  }

  #repeated({ runUid, attempt, podUid }: Execution): void {
    this.repeated += 1;
    const run = this.#runOf(runUid);
    if (run === undefined) return;
    const { attemptHistory = [] } = statusOf(run);
    if (!attemptHistory.some((past) => past.attempt === attempt && past.podUID === podUid))
      violated('nothing is executed twice unnoticed', `${run.metadata.name}/${attempt}, before on ${podUid}`);
  }

  /** A process of a Run has begun. */
  started(execution: Execution): void {
    const name = this.#name(execution);
    if (!this.#assigned.has(name)) violated('no execution without an assignment', name);
    const { runUid, podUid, attempt } = execution;
    for (const other of this.#executions) {
      if (other.runUid !== runUid || this.#lost.has(this.#name(other))) continue;
      if (other.attempt === attempt)
        violated('an attempt is executed once', `${name}, before as ${other.token}`);
      if (other.isLive) violated('one live execution of a Run', `${name} beside ${other.token}`);
    }
    const before = this.#executions.find((e) => e.runUid === runUid && e.attempt === attempt);
    if (before) this.#repeated(before);
    this.#executions.push(execution);
    const live = this.#executions.filter((e) => e.podUid === podUid && e.isLive).length;
    if (live > this.#capacity) violated('a pod never runs more than its capacity', `${live} on ${podUid}`);
  }
}
