/** How Git sources are fetched: the settings of a Runtime (`spec.git`), and as runtimed is told them. */
import * as t from 'io-ts';

import { Duration } from './time.js';

/** spec.git of a Runtime. It names Secrets and holds none. */
export const GitSpec = t.partial({
  credentials: t.array(t.type({ host: t.string, secretName: t.string })),
  timeout: Duration,
  maxBytes: t.number,
  cacheBytes: t.number,
  diskBytes: t.number,
});
export type GitSpec = t.TypeOf<typeof GitSpec>;

/** What runtimed is told, in the environment variable KRUNTIME_GIT. */
export const GitOrder = t.partial({
  /** Hosts with credentials; those of the n-th are in the folder `n` of the mounted volume. */
  hosts: t.array(t.string),
  timeoutMs: t.number,
  maxBytes: t.number,
  cacheBytes: t.number,
  diskBytes: t.number,
});
export type GitOrder = t.TypeOf<typeof GitOrder>;

/** Bounds of one fetch, and of what is kept. */
export type GitLimits = Readonly<{
  /** Longest time one fetch may take. */
  timeoutMs: number;
  /** Largest pack that is fetched, and largest sum of the files checked out. */
  maxBytes: number;
  /** Files, links and submodules of one commit. */
  maxEntries: number;
  /** What the mirrors of a pod that are not in use may take in all. */
  cacheBytes: number;
  /** What all mirrors of a pod and the fetches under way may take, each of these counted as the largest it may be. */
  diskBytes: number;
}>;

export const DEFAULT_GIT_LIMITS: GitLimits = {
  timeoutMs: 300_000,
  maxBytes: 1_073_741_824,
  maxEntries: 250_000,
  cacheBytes: 2_147_483_648,
  diskBytes: 10_737_418_240,
};
