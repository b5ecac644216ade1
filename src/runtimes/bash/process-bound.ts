/**
 * Does an execution have more processes than it may?
 *
 * No kernel limit answers that for each execution everywhere: RLIMIT_NPROC counts all processes of the user and root not
 * at all, and the cgroups of a container are read-only. So they are counted, of executions that last, by a look at /proc.
 * A look is made only when there can be too many: process ids are given out in order, and an execution that had `n`
 * members has no more than `n` and the ids given out since. Most of the time that is one small read, 100 ms after an
 * execution began and then less and less often, to once a second, while nobody forks much; and nothing while nothing runs.
 *
 * What forks faster than that is over its bound for a moment. The kernel's own limits (a pod's, a user's) are behind it.
 */
import type { Tree } from '../../io/processes/kill-tree.js';
import { lastProcessId } from '../../io/processes/proc.js';
import type { ProcessTable } from '../../io/processes/process-table.js';

/** Pause before a question after an execution began, or when many ids are given out; a shell forks some hundred times in it. */
const SHORTEST_PAUSE_MS = 100;
/** The same while few are: executions that only wait wake nobody more often. */
const LONGEST_PAUSE_MS = 1_000;
/** Ids given out between two questions that are few, as a share of the bound. */
const FEW = 1 / 8;

/** How long to wait for the next question, milliseconds, after a pause in which so many ids were given out. */
const nextPauseMs = (pauseMs: number, given: number, most: number): number =>
  given > most * FEW ? SHORTEST_PAUSE_MS : Math.min(2 * pauseMs, LONGEST_PAUSE_MS);

/** Told what is wrong, and of members as far as they are known: ids of those that carry the tree's limit. */
type OnMore = (fault: string, found: readonly number[]) => void;

type Bound = {
  readonly tree: Tree;
  readonly onMore: OnMore;
  /** Members it had when `lastPid` had been given out. */
  size: number;
  lastPid: number | undefined;
};

/** What it asks; replaced in tests. */
export type BoundSources = Readonly<{
  lastPid: () => number | undefined;
  /** Calls back once, unless the answer is called before. */
  after: (ms: number, tick: () => void) => () => void;
}>;

const ofSystem: BoundSources = {
  lastPid: lastProcessId,
  after: (ms, tick) => {
    const timer = setTimeout(tick, ms).unref();
    return () => clearTimeout(timer);
  },
};

export class ProcessBound {
  readonly #most: number;
  readonly #processes: ProcessTable;
  readonly #sources: BoundSources;
  readonly #bounds = new Set<Bound>();
  #stop: (() => void) | undefined;
  #pauseMs = SHORTEST_PAUSE_MS;
  /** The newest id at the last question. */
  #askedAt: number | undefined;
  #looking = false;

  /** @param most processes an execution may have at once, at least 1 */
  constructor(most: number, processes: ProcessTable, sources: BoundSources = ofSystem) {
    this.#most = most;
    this.#processes = processes;
    this.#sources = sources;
  }

  /** Calls back once, with what is wrong, when the tree has too many. The answer ends the watch. */
  watch(tree: Tree, onMore: OnMore): () => void {
    const bound: Bound = { tree, onMore, size: 1, lastPid: tree.since.lastPid };
    this.#bounds.add(bound);
    if (this.#stop === undefined || this.#pauseMs > SHORTEST_PAUSE_MS) this.#pause(SHORTEST_PAUSE_MS);
    return () => this.#drop(bound);
  }

  #drop(bound: Bound): void {
    this.#bounds.delete(bound);
    if (this.#bounds.size > 0) return;
    this.#stop?.();
    this.#stop = undefined;
  }

  #pause(ms: number): void {
    this.#stop?.();
    this.#pauseMs = ms;
    this.#stop = this.#sources.after(ms, () => void this.#ask());
  }

  /** May it have too many by now? Ids that were used up once around say nothing. */
  #isSuspect({ size, lastPid }: Bound, now: number | undefined): boolean {
    return now === undefined || lastPid === undefined || now < lastPid || size + now - lastPid > this.#most;
  }

  async #ask(): Promise<void> {
    const lastPid = this.#sources.lastPid();
    const given = lastPid === undefined ? 0 : Math.abs(lastPid - (this.#askedAt ?? lastPid));
    this.#askedAt = lastPid;
    this.#pause(nextPauseMs(this.#pauseMs, given, this.#most));
    const suspects = [...this.#bounds].filter((bound) => this.#isSuspect(bound, lastPid));
    if (this.#looking || suspects.length === 0) return;
    // First what can be counted without waiting for anybody: most have their limit. In a storm there is little time for this
    // process, so nobody is asked twice, and those found are told to whoever has to end them.
    const found = this.#processes.suspects(suspects.map(({ tree }) => tree.signs));
    let isStorm = false;
    for (const [index, bound] of suspects.entries()) {
      const { seen = [], carriers = [] } = found[index] ?? {};
      if (seen.length + carriers.length <= this.#most) continue;
      const { signs } = bound.tree;
      const living = [...carriers, ...seen.filter((pid) => this.#processes.carries(pid, signs))];
      isStorm = this.#judge(bound, living.length, living) || isStorm;
    }
    if (isStorm) return;
    this.#looking = true;
    try {
      await this.#processes.fresh();
    } finally {
      this.#looking = false;
    }
    for (const bound of this.#bounds) {
      const { signs } = bound.tree;
      bound.lastPid = lastPid;
      bound.size = this.#processes.count(signs);
      if (bound.size <= this.#most) continue;
      // Some may have ended since, or are zombies that nobody reaps.
      bound.size = this.#processes.living(signs, this.#most + 1);
      this.#judge(bound, bound.size);
    }
  }

  /** Whether it has too many; whoever watches is then told. */
  #judge(bound: Bound, count: number, found: readonly number[] = []): boolean {
    if (count <= this.#most) return false;
    this.#drop(bound);
    bound.onMore(`it had more than ${this.#most} processes at once`, found);
    return true;
  }
}
