/**
 * All processes of the machine, and which of them belong to which tree: one look at /proc for everybody who asks at
 * the same time.
 *
 * A process is read when it is first seen. What it shows then is enough for ever: what makes it a member of a tree
 * (see TreeSigns) is inherited, cannot be taken on later, and is not forgotten here when the process gives it up. So a
 * look costs one listing and three small reads per process that is new, however many trees are looked at; and ending a
 * thousand trees at once costs about as many looks as one. One read is enough for those that we started ourselves, and for
 * those whose session is known: whoever is in a session was forked below its leader, and has at least the leader's signs.
 * So a thousand processes that one script has forked cost a thousand reads, not three thousand, whosever script it is.
 *
 * The kernel keeps most of /proc/<pid> locked while the process is in its exec, and one of a thousand that fork and exec
 * stays there for a second, with everybody who reads about it: its environment, and (Linux 6.18) its stat. Its status and its
 * limits are never locked: so whoever carries a tree's limit is asked for nothing else, which would only say the same, and a
 * tree that grows out of hand is counted and killed by its limit alone (`marked`), and meanwhile left out of all looks
 * (`condemn`).
 *
 * A look that was begun before it was asked for proves nothing, since a process may have been forked after it: hence
 * `fresh`. A process id means the same process for `trustMs`; after that it is another one if it was started since.
 */
import {
  environEntry,
  hasMemory,
  type ProcessFact,
  type ProcessKin,
  processFact,
  processIds,
  processKin,
  realtimeLimit,
  ticksNow,
  trustMs,
} from './proc.js';
import { leastTreeLimit, type TreeSigns } from './tree.js';

/** Where the facts come from. */
export type ProcessReader = Readonly<{
  /** The process that looks: never a member, what it starts it starts as somebody else's. */
  own: number;
  ids: () => readonly number[];
  /** A moment, in ticks since boot as a fact's start, at which all that is there was started; undefined where nobody says. */
  ticks: () => number | undefined;
  /** Must not wait for a process that is in its exec. */
  kin: (pid: number) => ProcessKin | undefined;
  fact: (pid: number) => ProcessFact | undefined;
  /** The environment entry `NAME=value`; '' when it has none of this name; undefined when it can not be said yet. */
  entry: (pid: number, name: string) => string | undefined;
  limit: (pid: number) => number | undefined;
  /** False when it is over, reaped or not. Must not wait for a process that is in its exec. */
  lives: (pid: number) => boolean;
}>;

const ofProc: ProcessReader = {
  own: process.pid,
  ids: processIds,
  ticks: ticksNow,
  kin: processKin,
  fact: processFact,
  entry: environEntry,
  limit: realtimeLimit,
  lives: hasMemory,
};

/** Where nobody asks for a look for long, those that were started are not kept for one. */
const mostStarted = 1_024;

type Known = {
  readonly pid: number;
  /** Undefined: it was over (a zombie) when it was looked at. */
  readonly kin: ProcessKin | undefined;
  /** A moment at which it was there, in ticks since boot: what has its id and was started later is another process. */
  bornBy: number;
  readonly entry: string;
  readonly limit: number | undefined;
  seenAt: number;
};

/** One look: by our clock, by the kernel's, and who was there. */
type Moment = Readonly<{ now: number; ticks: number | undefined; ids: ReadonlySet<number> }>;

/** Ids of those that may belong to a tree, told apart by how they are known. */
export type Suspects = Readonly<{ seen: readonly number[]; carriers: readonly number[] }>;

const isMark = (limit: number | undefined): boolean => limit !== undefined && limit >= leastTreeLimit;

/** Things by what they have in common. */
class Index<K> {
  readonly #sets = new Map<K, Set<Known>>();

  add(key: K, known: Known): void {
    const set = this.#sets.get(key);
    if (set === undefined) this.#sets.set(key, new Set([known]));
    else set.add(known);
  }

  remove(key: K, known: Known): void {
    const set = this.#sets.get(key);
    if (set?.delete(known) && set.size === 0) this.#sets.delete(key);
  }

  get(key: K): Iterable<Known> {
    return this.#sets.get(key) ?? [];
  }
}

export class ProcessTable {
  readonly #variable: string;
  readonly #reader: ProcessReader;
  readonly #now: () => number;
  readonly #known = new Map<number, Known>();
  readonly #bySession = new Index<number>();
  readonly #byGroup = new Index<number>();
  readonly #byParent = new Index<number>();
  readonly #byEntry = new Index<string>();
  readonly #byLimit = new Index<number>();
  /** Leaders not looked at yet, and the entries they were started with. */
  readonly #started = new Map<number, string>();
  /** Limits of trees that are left out of looks, because all that carry them are being killed, and who was seen to and when. */
  readonly #condemned = new Map<number, Map<number, number>>();
  #next: Promise<void> | undefined;

  /** @param variable name of the environment entry that is a sign of a tree */
  constructor(variable: string, reader: ProcessReader = ofProc, now: () => number = () => performance.now()) {
    this.#variable = variable;
    this.#reader = reader;
    this.#now = now;
  }

  /** A process that was just started as its own group's leader: what it was started with need not be read. */
  started(pid: number, entry: string): void {
    this.#started.set(pid, entry);
    const [oldest] = this.#started.keys();
    if (oldest !== undefined && this.#started.size > mostStarted) this.#started.delete(oldest);
  }

  /** Resolves after a look that was begun after this call, the same one for all calls of one turn. */
  fresh(): Promise<void> {
    this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#next = undefined;
        this.#look();
        resolve();
      });
    });
    return this.#next;
  }

  /**
   * Ids of those that live and carry the tree's limit at this moment, each as soon as it is found, the newest first: in a storm
   * they are those that fork. Waits for no process, whatever that is doing.
   *
   * @param told those that are not asked about
   */
  *marked(signs: TreeSigns, told: ReadonlySet<number> = new Set()): Iterable<number> {
    const members = this.#of(signs);
    for (const pid of this.#reader.ids().toReversed()) {
      const known = this.#known.get(pid);
      const mayBe = pid !== this.#reader.own && !told.has(pid) && (known === undefined || members.has(known));
      if (mayBe && this.carries(pid, signs)) yield pid;
    }
  }

  /**
   * Who may belong to each of the trees at this moment: those that a look has shown, over or not, and others that live and carry
   * its limit, the newest first. One listing for all trees, however many they are. Waits for no process, as `marked`.
   */
  suspects(trees: readonly TreeSigns[]): readonly Suspects[] {
    const ids = new Set(this.#reader.ids());
    ids.delete(this.#reader.own);
    const carriers = new Map<number, number[]>(trees.map(({ realtimeLimit }) => [realtimeLimit, []]));
    for (const pid of [...ids].reverse()) {
      if (this.#known.has(pid)) continue;
      const found = carriers.get(this.#reader.limit(pid) ?? 0);
      if (found !== undefined && this.#reader.lives(pid)) found.push(pid);
    }
    return trees.map((signs) => ({
      seen: [...this.#of(signs)].flatMap(({ pid }) => (ids.has(pid) ? [pid] : [])),
      carriers: carriers.get(signs.realtimeLimit) ?? [],
    }));
  }

  /** Does this process live and carry the tree's limit at this moment? One that nobody has reaped shows it still. */
  carries(pid: number, signs: TreeSigns): boolean {
    return this.#reader.limit(pid) === signs.realtimeLimit && this.#reader.lives(pid);
  }

  /** From now on what carries this limit is not looked at, until the answer is called. */
  condemn({ realtimeLimit }: TreeSigns): () => void {
    this.#condemned.set(realtimeLimit, new Map());
    return () => this.#condemned.delete(realtimeLimit);
  }

  /** Asks each process once for as long as its id can be trusted: there may be thousands, and looks at every end of others. */
  #isCondemned(pid: number, now: number): boolean {
    if (this.#condemned.size === 0) return false;
    for (const seen of this.#condemned.values())
      if (now - (seen.get(pid) ?? Number.NEGATIVE_INFINITY) <= trustMs) return true;
    const seen = this.#condemned.get(this.#reader.limit(pid) ?? 0);
    seen?.set(pid, now);
    return seen !== undefined;
  }

  /** How many members the tree had at the last look, over or not: asks nobody. */
  count(signs: TreeSigns): number {
    return this.#of(signs).size;
  }

  /**
   * How many members of the tree as of the last look live still, counted as far as `enough`. Waits for none that carries its
   * limit.
   */
  living(signs: TreeSigns, enough: number): number {
    let count = 0;
    for (const known of this.#of(signs)) {
      if (count >= enough) break;
      if (this.carries(known.pid, signs) || this.#living(known) !== undefined) count += 1;
    }
    return count;
  }

  /**
   * Members of the tree as of the last look that live still, each as it is now.
   *
   * @param told those that are not asked about
   */
  members(signs: TreeSigns, told: ReadonlySet<number> = new Set()): readonly ProcessFact[] {
    return [...this.#of(signs)].flatMap((known) => (told.has(known.pid) ? [] : (this.#living(known) ?? [])));
  }

  /** Does any member of the tree as of the last look live still? Asks as few as it can. */
  lives(signs: TreeSigns): boolean {
    for (const known of this.#of(signs)) if (this.#living(known) !== undefined) return true;
    return false;
  }

  #living(known: Known): ProcessFact | undefined {
    const now = this.#reader.fact(known.pid);
    if (now !== undefined && now.start <= known.bornBy) return now;
    // It may stay a zombie for long: the next look sees that once, and nobody asks about it any more.
    this.#drop(known);
    return undefined;
  }

  #of({ leader, environEntry: entry, realtimeLimit: limit }: TreeSigns): ReadonlySet<Known> {
    const found = new Set<Known>([
      // Not by the leader's own id: it leads group and session while it lives, and may be somebody else's after that.
      ...this.#byGroup.get(leader),
      ...this.#bySession.get(leader),
      ...this.#byEntry.get(entry),
      ...this.#byLimit.get(limit),
    ]);
    // A set goes on to what is added while it is gone through.
    for (const { pid } of found) for (const child of this.#byParent.get(pid)) found.add(child);
    return found;
  }

  #look(): void {
    const now = this.#now();
    const ids = new Set(this.#reader.ids());
    // After the listing, so that all that is in it was there by then.
    const moment = { now, ticks: this.#reader.ticks(), ids };
    ids.delete(this.#reader.own);
    for (const [pid, known] of this.#known) if (!ids.has(pid)) this.#drop(known);
    for (const pid of this.#started.keys()) if (!ids.has(pid)) this.#started.delete(pid);
    for (const pid of ids) this.#see(pid, moment);
  }

  #see(pid: number, moment: Moment): void {
    const { now, ticks } = moment;
    const known = this.#known.get(pid);
    if (known !== undefined && now - known.seenAt <= trustMs) return;
    if (this.#isCondemned(pid, now)) return;
    const isUnclear = known?.seenAt === Number.NEGATIVE_INFINITY;
    const isSame = known !== undefined && this.#isSame(known);
    if (isSame && !isUnclear) {
      known.seenAt = now;
      known.bornBy = ticks ?? known.bornBy;
      return;
    }
    if (known !== undefined) this.#drop(known);
    // Where nobody says what time it is, its start has to be asked for, though that may take a while.
    const fact = ticks === undefined ? this.#reader.fact(pid) : undefined;
    const kin = ticks === undefined ? fact : this.#reader.kin(pid);
    const started = kin && this.#startedAs(kin);
    const parent = kin && this.#known.get(kin.parent);
    const leader = kin && this.#leaderOf(kin, moment);
    const limit =
      kin && started === undefined
        ? leader === undefined
          ? this.#reader.limit(pid)
          : leader.limit
        : undefined;
    const entry =
      kin && (started ?? leader?.entry ?? (isMark(limit) ? '' : this.#reader.entry(pid, this.#variable)));
    // In the middle of its exec a process shows no environment, so it is read again; a kernel thread never has one.
    const isClear = kin === undefined || entry !== undefined || (isSame && isUnclear);
    this.#add({
      pid,
      kin,
      bornBy: ticks ?? fact?.start ?? 0,
      entry: entry || parent?.entry || '',
      limit: limit ?? parent?.limit,
      seenAt: isClear ? now : Number.NEGATIVE_INFINITY,
    });
  }

  /**
   * Is what has its id now the same process? One that carries the limit of the same tree may be taken for it, and is not
   * asked when it was started, for which it would keep us waiting during its exec.
   */
  #isSame({ pid, kin, bornBy, limit }: Known): boolean {
    if (kin === undefined) return false;
    if (isMark(limit) && this.#reader.limit(pid) === limit) return this.#reader.lives(pid);
    const fact = this.#reader.fact(pid);
    return fact !== undefined && fact.start <= bornBy;
  }

  /** The entry it was started with, if it is one of those we started and have not seen yet. */
  #startedAs({ pid, parent, group }: ProcessKin): string | undefined {
    const entry = this.#started.get(pid);
    this.#started.delete(pid);
    return parent === this.#reader.own && group === pid ? entry : undefined;
  }

  /**
   * The leader of the process's session, if it is another one and its signs are known. Its id is given to nobody else
   * while there is the session.
   */
  #leaderOf({ pid, session }: ProcessKin, moment: Moment): Known | undefined {
    if (pid === session || !moment.ids.has(session)) return undefined;
    this.#see(session, moment);
    const leader = this.#known.get(session);
    const isClear = leader?.kin?.session === session && leader.seenAt !== Number.NEGATIVE_INFINITY;
    return isClear ? leader : undefined;
  }

  #add(known: Known): void {
    this.#known.set(known.pid, known);
    const { kin, entry, limit } = known;
    if (kin === undefined) return;
    this.#bySession.add(kin.session, known);
    this.#byGroup.add(kin.group, known);
    this.#byParent.add(kin.parent, known);
    if (entry !== '') this.#byEntry.add(entry, known);
    if (limit !== undefined) this.#byLimit.add(limit, known);
  }

  #drop(known: Known): void {
    this.#known.delete(known.pid);
    const { kin, entry, limit } = known;
    if (kin === undefined) return;
    this.#bySession.remove(kin.session, known);
    this.#byGroup.remove(kin.group, known);
    this.#byParent.remove(kin.parent, known);
    if (entry !== '') this.#byEntry.remove(entry, known);
    if (limit !== undefined) this.#byLimit.remove(limit, known);
  }
}
