/**
 * Which processes belong to one execution, wherever its children have run to?
 *
 * A child may leave its process group and session (setsid), lose its parent (double fork) and drop its environment
 * (env -i). So a tree has four signs, any of which is enough: the leader's group or session, a parent in the tree, an
 * environment entry that the leader was started with, and an odd but harmless hard limit on realtime CPU time, which
 * is inherited over everything and can not be raised again without privilege.
 */
import { lastProcessId, trustMs } from './proc.js';

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
 * Least realtime limit of a tree, microseconds: 71 years, so that it never limits anything. Nobody else sets one so large:
 * a process that has it belongs to the tree whose it is, whatever its environment says.
 */
export const leastTreeLimit = 2 ** 51;

/** A point in time from which on a tree's children have been forked. */
export type ForkMark = Readonly<{ lastPid: number | undefined; atMs: number }>;

/** Taken just before a tree can fork for the first time. */
export const forkMark = (): ForkMark => ({ lastPid: lastProcessId(), atMs: performance.now() });

/**
 * May anything have been forked since the mark? One small read says that nothing was, which is the end of most short
 * scripts on a quiet machine. Process ids are given out in order, so "none since" is certain until they wrap.
 */
export const mayHaveForked = ({ lastPid, atMs }: ForkMark): boolean =>
  lastPid === undefined || performance.now() - atMs > trustMs || lastProcessId() !== lastPid;
