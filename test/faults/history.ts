/**
 * Reads what truly happened, after the fact: every version of every Run, and the lines that the Runs' scripts wrote
 * about themselves; says which promises were broken. Pure.
 *
 * - phases step as the lifecycle allows; an end is for ever; attempts never decrease and grow by one;
 * - every Run that was not deleted has ended;
 * - an attempt is executed once, or its history says that its pod was lost; none is executed that the status does not know;
 * - no two attempts of a Run live at one time, unless the earlier one was lost;
 * - a pod never executes more than its capacity;
 * - a Run that succeeded was executed to its end by the attempt that says so, and its outputs are that execution's.
 */
import { isTerminal, type Phase, type Run, type RunStatus } from '../../src/model/run.js';

/** What a script writes: at its begin and at its end. */
export type Line = Readonly<{
  what: 'begin' | 'end';
  uid: string;
  attempt: number;
  podUid: string;
  /** Of this execution alone. */
  token: string;
  /** Milliseconds. */
  at: number;
}>;

/** All that is known. */
export type History = Readonly<{
  /** By Run, every version in the order of their writing. */
  versions: ReadonlyMap<string, ReadonlyArray<Run>>;
  lines: ReadonlyArray<Line>;
  capacity: number;
  /** Uids of Runs that were deleted. */
  deleted?: ReadonlySet<string>;
  /** Whether versions may be missing: who watched had to list anew. */
  hasGaps?: boolean;
  /** Milliseconds by which two scripts' clocks may differ, and the API's from theirs. */
  toleranceMs?: number;
}>;

type Execution = Readonly<{ begin: Line; end: Line | undefined }>;

const NEXT: Readonly<Record<Phase, ReadonlyArray<Phase>>> = {
  Pending: ['Pending', 'Scheduled', 'Cancelled', 'Failed'],
  Scheduled: ['Scheduled', 'Running', 'Pending', 'Succeeded', 'Failed', 'Timeout', 'Cancelled'],
  Running: ['Running', 'Pending', 'Succeeded', 'Failed', 'Timeout', 'Cancelled'],
  Succeeded: ['Succeeded'],
  Failed: ['Failed'],
  Timeout: ['Timeout'],
  Cancelled: ['Cancelled'],
};
const LOSSES = new Set(['PodGone', 'PodTerminating', 'PodUnhealthy', 'ExecutionLost']);

const phaseOf = (status: RunStatus | undefined): Phase => status?.phase ?? 'Pending';

/** Lines of the files, one execution each: `begin <uid> <attempt> <pod uid> <token> <seconds.micros>`. */
export const parseLines = (text: string): ReadonlyArray<Line> =>
  text
    .split('\n')
    .map((line) => line.split(' '))
    .flatMap(
      ([what, uid, attempt, podUid, token, at]): ReadonlyArray<Line> =>
        (what === 'begin' || what === 'end') && uid && podUid && token && at
          ? [{ what, uid, attempt: Number(attempt), podUid, token, at: Number(at.replace(',', '.')) * 1000 }]
          : [],
    );

/**
 * The script of a Run that writes them into `file`, taking so long, with its token as output, and as artifact if told
 * to. It fails where it cannot leave them.
 */
export const scriptOf = (file: string, seconds: number, withArtifact = false): string =>
  [
    `pod=\${KRT_POD#*/*/}; pod=\${pod%%/*}; token=$$-$EPOCHREALTIME`,
    `echo "begin $KRUNTIME_RUN_UID $KRUNTIME_ATTEMPT $pod $token $EPOCHREALTIME" >> ${file}`,
    `echo "token=$token" >> "$KRUNTIME_OUTPUTS" || exit 7`,
    ...(withArtifact ? [`echo "$token" > "$KRUNTIME_ARTIFACTS_DIR/token" || exit 7`] : []),
    `sleep ${seconds}`,
    `echo "end $KRUNTIME_RUN_UID $KRUNTIME_ATTEMPT $pod $token $EPOCHREALTIME" >> ${file}`,
  ].join('\n');

const brokenSteps = (name: string, versions: ReadonlyArray<Run>, hasGaps: boolean): ReadonlyArray<string> =>
  versions.slice(1).flatMap((version, i) => {
    const [was, is] = [versions[i]?.status, version.status];
    const [from, to] = [phaseOf(was), phaseOf(is)];
    const [a, b] = [was?.attempt ?? 0, is?.attempt ?? 0];
    const what = `${name}: ${from}/${a} → ${to}/${b}`;
    const other = (status: RunStatus | undefined): string =>
      JSON.stringify([status?.phase, status?.attempt, status?.exitCode, status?.outputs]);
    return [
      ...(NEXT[from].includes(to) || (hasGaps && !isTerminal(from))
        ? []
        : [`a phase steps where it may not: ${what}`]),
      ...(isTerminal(from) && other(was) !== other(is) ? [`an end changes: ${what}`] : []),
      ...(b < a ? [`the attempt decreases: ${what}`] : []),
      ...(b > a + 1 && !hasGaps ? [`the attempt grows by more than one: ${what}`] : []),
    ];
  });

const executionsOf = (lines: ReadonlyArray<Line>): ReadonlyArray<Execution> => {
  const ends = new Map(lines.filter(({ what }) => what === 'end').map((line) => [line.token, line]));
  return lines.filter(({ what }) => what === 'begin').map((begin) => ({ begin, end: ends.get(begin.token) }));
};

/** Whether the status says that this attempt, on this pod, was lost. */
const isKnownLost = (status: RunStatus | undefined, { attempt, podUid }: Line): boolean =>
  (status?.attemptHistory ?? []).some(
    (past) => past.attempt === attempt && past.podUID === podUid && LOSSES.has(past.reason),
  ) ||
  (status?.attempt === attempt &&
    status.assignedPodUID === podUid &&
    (status.conditions ?? []).some(({ type, reason }) => type === 'Finished' && LOSSES.has(reason ?? '')));

const brokenExecutions = (
  name: string,
  status: RunStatus | undefined,
  executions: ReadonlyArray<Execution>,
  toleranceMs: number,
): ReadonlyArray<string> => {
  const broken: string[] = [];
  const sorted = [...executions].sort((a, b) => a.begin.at - b.begin.at);
  sorted.forEach(({ begin }, i) => {
    const what = `${name}/${begin.attempt} on ${begin.podUid}`;
    if (begin.attempt > (status?.attempt ?? 0)) broken.push(`executed, but not in the status: ${what}`);
    for (const before of sorted.slice(0, i)) {
      if (isKnownLost(status, before.begin)) continue;
      if (before.begin.attempt === begin.attempt) broken.push(`executed twice unnoticed: ${what}`);
      else if (before.end && before.end.at > begin.at + toleranceMs)
        broken.push(`two attempts live at one time: ${what} and ${before.begin.attempt}`);
    }
  });
  if (status?.phase === 'Succeeded') {
    const mine = executions.filter(({ begin }) => begin.attempt === status.attempt);
    const token = status.outputs?.token;
    if (!mine.some(({ begin, end }) => end !== undefined && begin.token === token))
      broken.push(`a result that did not happen: ${name}/${status.attempt}, token ${token ?? 'none'}`);
  }
  return broken;
};

/** Where a pod executes more than it may, by the executions that are known from begin to end. */
const overfull = (executions: ReadonlyArray<Execution>, capacity: number, toleranceMs: number) => {
  const byPod = new Map<string, { at: number; by: number }[]>();
  for (const { begin, end } of executions) {
    if (end === undefined || end.at - begin.at <= toleranceMs) continue;
    const moments = byPod.get(begin.podUid) ?? [];
    byPod.set(begin.podUid, moments);
    moments.push({ at: begin.at, by: 1 }, { at: end.at - toleranceMs, by: -1 });
  }
  return [...byPod].flatMap(([podUid, moments]) => {
    let [now, most] = [0, 0];
    for (const { by } of moments.sort((a, b) => a.at - b.at || a.by - b.by)) {
      now += by;
      most = Math.max(most, now);
    }
    return most > capacity ? [`a pod executes ${most} Runs and may ${capacity}: ${podUid}`] : [];
  });
};

/** Every broken promise, in words; none: all is well. */
export const brokenPromises = ({
  versions,
  lines,
  capacity,
  deleted = new Set(),
  hasGaps = false,
  toleranceMs = 5,
}: History): ReadonlyArray<string> => {
  const byUid = new Map<string, Execution[]>();
  for (const execution of executionsOf(lines)) {
    const { uid } = execution.begin;
    byUid.set(uid, [...(byUid.get(uid) ?? []), execution]);
  }
  const known = new Set<string>();
  const ofRuns = [...versions].flatMap(([name, all]) => {
    const last = all.at(-1);
    if (last === undefined) return [];
    known.add(last.metadata.uid);
    const isDeleted = deleted.has(last.metadata.uid);
    const { phase } = last.status ?? {};
    return [
      ...brokenSteps(name, all, hasGaps),
      ...(isTerminal(phase) || isDeleted ? [] : [`does not end: ${name} is ${phase ?? 'Pending'}`]),
      ...(isDeleted
        ? []
        : brokenExecutions(name, last.status, byUid.get(last.metadata.uid) ?? [], toleranceMs)),
    ];
  });
  const unknown = [...byUid.keys()].filter((uid) => !known.has(uid) && !deleted.has(uid));
  return [
    ...ofRuns,
    ...unknown.map((uid) => `executed, but there is no such Run: ${uid}`),
    ...overfull(executionsOf(lines), capacity, toleranceMs),
  ];
};
