/**
 * Which processes belong to one execution, wherever its children have run to?
 *
 * A child may leave its process group and session (setsid), lose its parent (double fork) and drop its environment
 * (env -i). So a tree has four signs, any of which is enough: the leader's group or session, a parent in the tree, an
 * environment entry that the leader was started with, and an odd but harmless hard limit on realtime CPU time, which
 * is inherited over everything and can not be raised again without privilege.
 */
import {
  hasEnvironEntry,
  lastProcessId,
  type ProcessFact,
  processFact,
  processIds,
  realtimeLimit,
} from './proc.js';

/** The signs of a tree. */
export type TreeSigns = Readonly<{
  /** The first process; also the id of its own process group and session. */
  leader: number;
  /** `NAME=value` in the environment the leader was started with. */
  environEntry: string;
  /** The value of RLIMIT_RTTIME, microseconds, unique to the tree. */
  realtimeLimit: number;
}>;

/**
 * The tree's members among the given processes: those that carry a sign, and all their descendants.
 * `carriesMark` is only asked for processes outside the leader's group and session.
 */
export const membersOf = (
  facts: readonly ProcessFact[],
  leader: number,
  carriesMark: (pid: number) => boolean,
): ReadonlyMap<number, ProcessFact> => {
  const members = new Map<number, ProcessFact>();
  const others: ProcessFact[] = [];
  for (const fact of facts) {
    // Not by the leader's own id: it leads group and session while it lives, and may be somebody else's after that.
    const isMember = fact.group === leader || fact.session === leader || carriesMark(fact.pid);
    if (isMember) members.set(fact.pid, fact);
    else others.push(fact);
  }
  for (let grew = members.size > 0; grew; ) {
    const children = others.filter((fact) => members.has(fact.parent) && !members.has(fact.pid));
    for (const child of children) members.set(child.pid, child);
    grew = children.length > 0;
  }
  return members;
};

/** Longer than this, and process ids may have been used up once around; then everything is looked at. */
const trustIdsMs = 2_000;

/** A point in time from which on a tree's children have been forked. */
export type ForkMark = Readonly<{ lastPid: number | undefined; atMs: number }>;

/** Taken just before a tree can fork for the first time. */
export const forkMark = (): ForkMark => ({ lastPid: lastProcessId(), atMs: performance.now() });

/**
 * Ids of processes that may have been forked since the mark. Costs one small read when there are none, which is the
 * end of most short scripts.
 */
export const forkedSince = ({ lastPid, atMs }: ForkMark): readonly number[] => {
  const now = lastProcessId();
  if (lastPid === undefined || now === undefined || performance.now() - atMs > trustIdsMs)
    return processIds();
  if (now === lastPid) return [];
  // No upper bound, or a process forked during the look would be passed over; after a wrap a generous one.
  return processIds().filter(
    now > lastPid ? (pid) => pid > lastPid : (pid) => pid > lastPid || pid <= now + 1_000,
  );
};

/** The living members of a tree: its leader and whatever was forked since the mark. */
export const treeMembers = (signs: TreeSigns, since: ForkMark): ReadonlyMap<number, ProcessFact> => {
  const pids = new Set(forkedSince(since)).add(signs.leader);
  pids.delete(process.pid);
  const facts = [...pids].map(processFact).filter((fact) => fact !== undefined);
  return membersOf(
    facts,
    signs.leader,
    (pid) => hasEnvironEntry(pid, signs.environEntry) || realtimeLimit(pid) === signs.realtimeLimit,
  );
};
