/**
 * Ending a process tree: a signal to all of it, and the certainty that nothing of it is left.
 *
 * Where there is no /proc, the process group is all that can be reached.
 */
import { setTimeout as delay } from 'node:timers/promises';

import { type ProcessFact, processFact } from './proc.js';
import type { ProcessTable } from './process-table.js';
import { type ForkMark, mayHaveForked, type TreeSigns } from './tree.js';

/** A tree as it is known to the one who started it. */
export type Tree = Readonly<{ signs: TreeSigns; since: ForkMark; processes: ProcessTable }>;

/** Sends a signal; false when there was nobody to take it. A negative id is a process group. */
const send = (pid: number, signal: NodeJS.Signals | 0): boolean => {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
};

/**
 * Groups first: a signal to a group reaches processes that fork at this moment, one to a process does not. A group
 * of a member is the tree's alone, since groups do not span sessions and the session was made by the tree.
 */
const signalMembers = (members: readonly ProcessFact[], leader: number, signal: NodeJS.Signals): void => {
  const groups = new Set(members.map((fact) => fact.group).filter((group) => group > 1 && group !== leader));
  for (const group of groups) send(-group, signal);
  for (const { pid, group } of members) if (group <= 1) send(pid, signal);
};

/** The leader alone, while it lives. */
const leaderOf = ({ signs }: Tree): readonly ProcessFact[] => {
  const leader = processFact(signs.leader);
  return leader?.group === signs.leader ? [leader] : [];
};

/** The tree's living members but those told already, by a look that was begun after this call. */
const membersOf = async (tree: Tree, told?: ReadonlySet<number>): Promise<readonly ProcessFact[]> => {
  if (!mayHaveForked(tree.since)) return leaderOf(tree);
  await tree.processes.fresh();
  return tree.processes.members(tree.signs, told);
};

/**
 * Sends a signal to everything that belongs to the tree now: to the leader's group at once, to what has left it after
 * a look. SIGCONT follows, or a stopped process would not act.
 */
export const signalTree = async (tree: Tree, signal: NodeJS.Signals): Promise<void> => {
  const { leader } = tree.signs;
  send(-leader, signal);
  send(-leader, 'SIGCONT');
  const members = await membersOf(tree);
  signalMembers(members, leader, signal);
  signalMembers(members, leader, 'SIGCONT');
};

const isTreeAlive = async (tree: Tree): Promise<boolean> => {
  if (isGroupAlive(tree.signs.leader)) return true;
  if (!mayHaveForked(tree.since)) return leaderOf(tree).length > 0;
  await tree.processes.fresh();
  return tree.processes.lives(tree.signs);
};

/** The group is asked only where /proc can not be: a zombie nobody reaps still answers for its group. */
const isGroupAlive = (leader: number): boolean => process.platform !== 'linux' && send(-leader, 0);

/**
 * Pauses between two looks at an ending tree, milliseconds. The kernel tells nobody but the parent that a process is
 * over, and we are not the parent of an orphan; so an ending tree, and only that, is looked at again.
 */
const pausesMs = [1, 2, 4, 8, 16, 32];

/** Resolves as soon as nothing of the tree is alive, or to false after `withinMs`. */
export const treeGone = async (tree: Tree, withinMs: number): Promise<boolean> => {
  const end = performance.now() + withinMs;
  for (let look = 0; await isTreeAlive(tree); look += 1) {
    const left = end - performance.now();
    if (left <= 0) return false;
    await delay(Math.min(left, pausesMs[look] ?? 50));
  }
  return true;
};

/** For how long a tree is killed again before it is given up, milliseconds: uninterruptible sleep is not ours to end. */
const killBoundMs = 5_000;

/** After so many looks all that live are killed again. */
const looksForAll = 4;

/**
 * Kills every process of the tree, again until none is left. Resolves to false when some outlived `killBoundMs`.
 * Costs two system calls when the tree has forked nothing. A thousand take a while to end: those that were killed are
 * asked about only until the first is found that lives, and all of them now and then.
 */
export const killTree = async (tree: Tree): Promise<boolean> => {
  const end = performance.now() + killBoundMs;
  const told = new Set<number>();
  send(-tree.signs.leader, 'SIGKILL');
  for (let look = 0; ; look += 1) {
    const members = await membersOf(tree, told);
    const isOver = members.length === 0 && (!mayHaveForked(tree.since) || !tree.processes.lives(tree.signs));
    if (isOver && !isGroupAlive(tree.signs.leader)) return true;
    if (performance.now() > end) return false;
    signalMembers(members, tree.signs.leader, 'SIGKILL');
    send(-tree.signs.leader, 'SIGKILL');
    // One that changed its group at that moment was missed.
    if (look % looksForAll === looksForAll - 1) told.clear();
    else for (const { pid } of members) told.add(pid);
    await delay(pausesMs[look] ?? 50);
  }
};

/**
 * The same for a tree that has grown out of hand: what carries its limit is killed first, without a look at anything that
 * a process keeps locked while it is in its exec (see ProcessTable).
 *
 * @param found ids of those that were just seen to carry it
 */
export const killStorm = async (tree: Tree, found: readonly number[] = []): Promise<boolean> => {
  const { signs, processes } = tree;
  const end = performance.now() + killBoundMs;
  const pardon = processes.condemn(signs);
  try {
    const told = new Set(found);
    for (const pid of found) send(pid, 'SIGKILL');
    /** Is any of those told there still? The first that is will do: a thousand take seconds to end, and each look asks. */
    const isAnyLeft = (): boolean => {
      for (const pid of told) {
        if (processes.carries(pid, signs)) return send(pid, 'SIGKILL');
        told.delete(pid);
      }
      return false;
    };
    for (let look = 0; performance.now() < end; look += 1) {
      send(-signs.leader, 'SIGKILL');
      let isNew = false;
      for (const pid of processes.marked(signs, told)) {
        send(pid, 'SIGKILL');
        told.add(pid);
        isNew = true;
      }
      if (!isNew && !isAnyLeft()) break;
      await delay(pausesMs[look] ?? 50);
    }
  } finally {
    pardon();
  }
  return killTree(tree);
};
