/**
 * Ending a process tree: a signal to all of it, and the certainty that nothing of it is left.
 *
 * Where there is no /proc, the process group is all that can be reached.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { ProcessFact } from './proc.js';
import { type ForkMark, type TreeSigns, treeMembers } from './tree.js';

/** A tree as it is known to the one who started it. */
export type Tree = Readonly<{ signs: TreeSigns; since: ForkMark }>;

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
const signalMembers = (members: ReadonlyMap<number, ProcessFact>, signal: NodeJS.Signals): void => {
  const groups = new Set([...members.values()].map((fact) => fact.group).filter((group) => group > 1));
  for (const group of groups) send(-group, signal);
  for (const { pid, group } of members.values()) if (group <= 1) send(pid, signal);
};

/** Sends a signal to everything that belongs to the tree now. SIGCONT follows, or a stopped process would not act. */
export const signalTree = ({ signs, since }: Tree, signal: NodeJS.Signals): void => {
  const members = treeMembers(signs, since);
  send(-signs.leader, signal);
  signalMembers(members, signal);
  send(-signs.leader, 'SIGCONT');
  signalMembers(members, 'SIGCONT');
};

/** Is anything of the tree alive? */
export const isTreeAlive = ({ signs, since }: Tree): boolean =>
  treeMembers(signs, since).size > 0 || isGroupAlive(signs.leader);

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
  for (let look = 0; isTreeAlive(tree); look += 1) {
    const left = end - performance.now();
    if (left <= 0) return false;
    await delay(Math.min(left, pausesMs[look] ?? 50));
  }
  return true;
};

/** For how long a tree is killed again before it is given up, milliseconds: uninterruptible sleep is not ours to end. */
const killBoundMs = 5_000;

/**
 * Kills every process of the tree, again until none is left. Resolves to false when some outlived `killBoundMs`.
 * Costs two system calls when the tree has forked nothing.
 */
export const killTree = async (tree: Tree): Promise<boolean> => {
  const end = performance.now() + killBoundMs;
  send(-tree.signs.leader, 'SIGKILL');
  for (let look = 0; ; look += 1) {
    const members = treeMembers(tree.signs, tree.since);
    if (members.size === 0 && !isGroupAlive(tree.signs.leader)) return true;
    if (performance.now() > end) return false;
    signalMembers(members, 'SIGKILL');
    send(-tree.signs.leader, 'SIGKILL');
    await delay(pausesMs[look] ?? 50);
  }
};
