/**
 * Were the Runs of a deleted pod given back, and placed elsewhere, in time? Pure.
 *
 * All times are those in the objects (the operator's clock, which is the machine's) and the moment at which the test's
 * own watch was told that the pod is gone, which the operator is told then, too. A Run can only be placed where there is
 * room: the k-th oldest of those that wait has its room when the k-th place of another pod has become free, as the
 * Runs that were there say. It then has as long as a Run that was given back.
 */
import { isTerminal, type Run } from '../../src/model/run.js';

/** A pod that is gone. */
export type Deletion = Readonly<{
  podUid: string;
  /** When the watch said so, epoch milliseconds. */
  at: number;
}>;

type Stay = Readonly<{ pod: string; from: number; to: number }>;

const ms = (micros: number | undefined): number | undefined =>
  micros === undefined ? undefined : micros / 1000;

/** What the next version says about when this assignment was over. */
const overAt = (next: Run, from: number): number => {
  const { phase, completionTime, attemptHistory } = next.status ?? {};
  return (isTerminal(phase) ? ms(completionTime) : ms(attemptHistory?.at(-1)?.completionTime)) ?? from;
};

const isOn = ({ status }: Run, pod: string): boolean =>
  (status?.phase === 'Scheduled' || status?.phase === 'Running') && status.assignedPodUID === pod;

/** Whether this version says that the Run lost its pod, rather than that it had ended or left before. */
const isLostWith = ({ status }: Run, pod: string): boolean => {
  const past = status?.attemptHistory?.at(-1);
  return (
    !isTerminal(status?.phase) &&
    past?.podUID === pod &&
    (past.reason === 'PodGone' || past.reason === 'PodTerminating')
  );
};

/** Where the Run was, and when: each assignment, from its decision to what the next version says of its end. */
const staysOf = (versions: ReadonlyArray<Run>): ReadonlyArray<Stay> =>
  versions.flatMap((version, i) => {
    const { phase, assignedPodUID: pod, scheduledTime } = version.status ?? {};
    if (phase !== 'Scheduled' || pod === undefined || scheduledTime === undefined) return [];
    if (versions[i - 1]?.status?.scheduledTime === scheduledTime) return [];
    const from = scheduledTime / 1000;
    const after = versions.slice(i + 1).find((later) => !isOn(later, pod));
    return [{ pod, from, to: after === undefined ? Number.POSITIVE_INFINITY : overAt(after, from) }];
  });

/** Moments from `at` on at which a place of a pod that stays becomes free; `at` itself for those that are. */
const roomsFrom = (
  at: number,
  stays: ReadonlyArray<Stay>,
  gone: ReadonlySet<string>,
  capacity: number,
): ReadonlyArray<number> => {
  const there = stays.filter(({ pod }) => !gone.has(pod));
  const known = new Set(there.filter(({ from, to }) => from <= at && at < to).map(({ pod }) => pod));
  const free = [...known].flatMap((pod) => {
    const busy = there.filter((stay) => stay.pod === pod && stay.from <= at && at < stay.to).length;
    return Array.from({ length: Math.max(0, capacity - busy) }, () => at);
  });
  const freed = there.map(({ to }) => to).filter((to) => to >= at && Number.isFinite(to));
  return [...free, ...freed].sort((a, b) => a - b);
};

/** Every Run that was not in time, in words. `measured` is told of each that was looked at, and what it took. */
export const lateRedispatches = (
  versions: ReadonlyMap<string, ReadonlyArray<Run>>,
  deletions: ReadonlyArray<Deletion>,
  { capacity, withinMs }: Readonly<{ capacity: number; withinMs: number }>,
  measured: (what: 'given back' | 'placed', tookMs: number) => void = () => undefined,
): ReadonlyArray<string> => {
  const gone = new Set(deletions.map(({ podUid }) => podUid));
  const runs = [...versions].map(([name, all]) => ({ name, all, stays: staysOf(all) }));
  const stays = runs.flatMap((run) => run.stays);
  const bornAt = (all: ReadonlyArray<Run>): number => Number(all[0]?.metadata.resourceVersion ?? 0);
  return deletions.flatMap(({ podUid, at }) =>
    runs.flatMap(({ name, all, stays: mine }) => {
      const lastOn = all.findLastIndex((version) => isOn(version, podUid));
      const back = all[lastOn + 1];
      if (lastOn < 0 || back === undefined || !isLostWith(back, podUid)) return [];
      // The operator may have been told a moment before the test.
      const backAt = Math.max(at, overAt(back, at));
      measured('given back', backAt - at);
      if (backAt - at > withinMs)
        return [`given back ${Math.round(backAt - at)} ms after its pod was gone: ${name}`];
      const placed = mine.find(({ from }) => from >= overAt(back, at));
      if (placed === undefined) return [];
      const due = Math.max(at, ms(back.status?.nextAttemptTime) ?? at);
      const ahead = runs.filter(
        (other) =>
          bornAt(other.all) < bornAt(all) && other.stays.some(({ from }) => from >= overAt(back, at)),
      ).length;
      const room = roomsFrom(due, stays, gone, capacity)[ahead];
      if (room === undefined) return [];
      measured('placed', placed.from - room);
      return placed.from - room > withinMs
        ? [`placed ${Math.round(placed.from - room)} ms after there was room: ${name}`]
        : [];
    }),
  );
};
