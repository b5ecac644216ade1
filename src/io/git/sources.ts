/**
 * Git sources: the files of a commit in a Run's folder, and which commit it was.
 *
 * A commit that a Run of this pod had before comes from the pod's mirror, with one command and no network; a branch or
 * tag is asked for each time. Runs that want the same commit at the same time share one fetch, which is broken off
 * when none of them wants it any more; every other fetch runs beside. What is kept and how: mirrors.ts.
 */
import { mkdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';

import { isFullHash, refProblem } from '../../decide/git/refs.js';
import { type GitRemote, gitRemote } from '../../decide/git/remote.js';
import { submoduleRemote } from '../../decide/git/submodules.js';
import { boundedMessage } from '../../decide/lifecycle.js';
import type { GitLimits } from '../../model/git.js';
import { formatDuration } from '../../model/time.js';
import { errorCode } from '../error-code.js';
import type { Log } from '../log.js';
import { checkOutFiles } from './checkout.js';
import { type Credentials, readCredentials } from './credentials.js';
import { SourceFailure } from './failure.js';
import { type Fetcher, fetchCommit, resolveRef } from './fetch.js';
import { findGit } from './find-git.js';
import { makeRemoteHome } from './home.js';
import { type Lease, Mirrors } from './mirrors.js';
import { listSubmodules } from './submodules.js';
import { type Survey, startSurvey } from './survey.js';

/** A repository, and a commit of it or a branch or tag; the commit counts where there are both. */
export type GitSource = Readonly<{
  repoURL: string;
  commitSHA?: string;
  ref?: string;
  /** Whether its submodules, and theirs, are wanted, too. */
  submodules?: boolean;
}>;

export type NotCheckedOut = Readonly<{ reason: 'PrepareSource' | 'InvalidSpec'; message: string }>;

export type GitSources = Readonly<{
  /** Puts the files into the empty folder and tells the commit. Ends soon after `signal`; never rejects. */
  checkOut: (
    source: GitSource,
    folder: string,
    signal: AbortSignal,
  ) => Promise<E.Either<NotCheckedOut, string>>;
}>;

export type GitOptions = Readonly<{
  /** A folder that no Run can reach. */
  folder: string;
  /** By host, the folder where its Secret is mounted. */
  credentials: ReadonlyMap<string, string>;
  limits: GitLimits;
  path: string | undefined;
  log: Log;
}>;

const NO_GIT =
  'Git sources need the program git, which is not on the PATH of runtimed; install git there, or use source.inline';

/** A fetch that several Runs may wait for; it holds its mirror until the last of them has it. */
type Flight = { readonly done: Promise<Lease>; readonly abort: () => void; waiters: number };

/** A commit that was checked out, whose submodules are next. */
type Parent = Readonly<{ remote: GitRemote; commit: string; folder: string; depth: number }>;

/** Submodules of submodules: so deep, and no deeper. */
const MAX_DEPTH = 4;

/** Why a signal of ours was raised. */
class Overtime extends Error {}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

/** Runs `work` with a signal that is also raised after `ms`. */
const within = async <A>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<A>,
): Promise<A> => {
  const overtime = new AbortController();
  const timer = setTimeout(() => overtime.abort(new Overtime()), ms);
  try {
    return await work(AbortSignal.any([signal, overtime.signal]));
  } finally {
    clearTimeout(timer);
  }
};

/** The folder that git has made for a submodule. A tree may hold a link of the name of a folder above it. */
const folderBelow = async (folder: string, path: string): Promise<string> => {
  const [root, below] = await Promise.all([realpath(folder), realpath(join(folder, path))]).catch(
    (): ReadonlyArray<undefined> => [],
  );
  if (root === undefined || below !== join(root, path)) throw invalid('its path is no folder of the commit');
  return below;
};

const invalid = (message: string): SourceFailure => new SourceFailure('InvalidSpec', message);

/** The repository of a source whose every word is allowed. */
const remoteOf = ({ repoURL, commitSHA, ref }: GitSource): GitRemote => {
  const remote = gitRemote(repoURL);
  if (E.isLeft(remote)) throw invalid(remote.left);
  if (commitSHA !== undefined) {
    if (!isFullHash(commitSHA)) throw invalid('commitSHA is not a full hash of 40 or 64 hexadecimal digits');
    return remote.right;
  }
  const problem = ref === undefined ? 'source names neither commitSHA nor ref' : refProblem(ref);
  if (problem !== undefined) throw invalid(problem);
  return remote.right;
};

/** What a mirror says that has lost or broken objects. */
const isDamage = (problem: string): boolean =>
  /unable to (?:read|find|unpack)|bad object|corrupt|not a valid object|missing|inflate|packfile|not a tree|failed to unpack/i.test(
    problem,
  );

/** A path that no git writes is in that commit for ever. */
const notWritten = (commit: string, problem: string): SourceFailure =>
  new SourceFailure(
    /invalid path/i.test(problem) ? 'InvalidSpec' : 'PrepareSource',
    `the files of commit ${commit} cannot be written: ${problem}`,
  );

class Sources implements GitSources {
  readonly #flights = new Map<string, Flight>();

  constructor(
    private readonly git: string,
    private readonly mirrors: Mirrors,
    private readonly options: GitOptions,
  ) {}

  async checkOut(
    source: GitSource,
    folder: string,
    signal: AbortSignal,
  ): Promise<E.Either<NotCheckedOut, string>> {
    const { limits } = this.options;
    try {
      const remote = remoteOf(source);
      return E.right(
        await within(limits.timeoutMs, signal, (both) => this.#checkOut(source, remote, folder, both)),
      );
    } catch (cause) {
      return E.left(this.#failureOf(cause, signal));
    }
  }

  #failureOf(cause: unknown, signal: AbortSignal): NotCheckedOut {
    if (cause instanceof SourceFailure)
      return { reason: cause.reason, message: boundedMessage(cause.message) };
    const message = signal.aborted
      ? 'the fetch was broken off'
      : cause instanceof Overtime
        ? `the source was not there within ${formatDuration(this.options.limits.timeoutMs)}, the limit that spec.git.timeout of the Runtime sets`
        : `the source could not be prepared: ${errorCode(cause)}`;
    return { reason: 'PrepareSource', message: boundedMessage(message) };
  }

  async #checkOut(
    { commitSHA, ref = '', submodules = false }: GitSource,
    remote: GitRemote,
    folder: string,
    signal: AbortSignal,
  ): Promise<string> {
    const commit =
      commitSHA ?? (await this.#withFetcher(remote, signal, (fetcher) => resolveRef(fetcher, ref)));
    await this.#checkOutCommit(remote, commit, folder, signal);
    if (submodules)
      await this.#checkOutSubmodules(
        { remote, commit, folder, depth: 0 },
        startSurvey(this.options.limits),
        signal,
      );
    return commit;
  }

  /** What `parent` has as submodules, into its folder, one after the other; they are one work of one size. */
  async #checkOutSubmodules(parent: Parent, survey: Survey, signal: AbortSignal): Promise<void> {
    const { remote, commit, folder, depth } = parent;
    const { maxBytes } = this.options.limits;
    const lease = this.mirrors.lease(remote.url, commit.length);
    const found = await listSubmodules({
      git: this.git,
      objects: lease.objects,
      commit,
      scratch: this.mirrors.fetchFolder(),
      survey,
      maxBytes,
      signal,
    }).finally(lease.release);
    if (found.length > 0 && depth >= MAX_DEPTH)
      throw new SourceFailure(
        'PrepareSource',
        `submodules lie within each other more than ${MAX_DEPTH} deep`,
      );
    for (const { path, url, commit: wanted } of found) {
      const from = submoduleRemote(remote.url, url);
      if (E.isLeft(from)) throw invalid(`submodule ${path} cannot be fetched: ${from.left}`);
      try {
        const below = await folderBelow(folder, path);
        await this.#checkOutCommit(from.right, wanted, below, signal);
        const next = { remote: from.right, commit: wanted, folder: below, depth: depth + 1 };
        await this.#checkOutSubmodules(next, survey, signal);
      } catch (cause) {
        throw cause instanceof SourceFailure
          ? new SourceFailure(cause.reason, `submodule ${path}: ${cause.message}`)
          : cause;
      }
    }
  }

  async #checkOutCommit(
    remote: GitRemote,
    commit: string,
    folder: string,
    signal: AbortSignal,
  ): Promise<void> {
    if (await this.#writeKept(remote, commit, folder, signal)) return;
    // No mirror is held meanwhile: a fetch may have to wait for the room that it takes.
    const lease = await this.#fetchShared(remote, commit, signal);
    try {
      const problem = await this.#write(lease, commit, folder, signal);
      if (problem !== undefined) throw notWritten(commit, problem);
    } finally {
      lease.release();
    }
  }

  /** From what the mirror has; false where it has not, or is damaged. */
  async #writeKept(remote: GitRemote, commit: string, folder: string, signal: AbortSignal): Promise<boolean> {
    const lease = this.mirrors.lease(remote.url, commit.length);
    try {
      if (!lease.has(commit)) return false;
      const problem = await this.#write(lease, commit, folder, signal);
      if (problem === undefined) return true;
      if (!isDamage(problem)) throw notWritten(commit, problem);
      this.options.log.warn({ host: remote.authority, commit }, 'mirror is damaged, fetching anew');
      lease.condemn();
      await rm(folder, { recursive: true });
      await mkdir(folder, { mode: 0o770 });
      return false;
    } finally {
      lease.release();
    }
  }

  #write(
    { objects }: Lease,
    commit: string,
    folder: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const scratch = this.mirrors.fetchFolder();
    const { maxBytes } = this.options.limits;
    return checkOutFiles({ git: this.git, objects, commit, folder, scratch, maxBytes, signal });
  }

  async #withFetcher<A>(
    remote: GitRemote,
    signal: AbortSignal,
    work: (fetcher: Fetcher, folder: string) => Promise<A>,
  ): Promise<A> {
    const { limits } = this.options;
    const mounted = this.options.credentials.get(remote.authority);
    const credentials: Credentials = mounted === undefined ? {} : await readCredentials(mounted);
    const folder = this.mirrors.fetchFolder();
    try {
      const home = await makeRemoteHome(folder, remote, credentials);
      return await work({ git: this.git, limits, remote, credentials, home, signal }, folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #fetch(remote: GitRemote, commit: string, signal: AbortSignal): Promise<Lease> {
    const startMs = performance.now();
    const giveBack = await this.mirrors.reserve(this.options.limits.maxBytes, signal);
    const lease = this.mirrors.lease(remote.url, commit.length);
    let isFetched = false;
    try {
      await this.#withFetcher(remote, signal, async (fetcher, folder) => {
        const repository = join(folder, 'repository');
        await lease.prepare(repository);
        await fetchCommit(fetcher, repository, commit);
        signal.throwIfAborted();
        await lease.adopt(repository, commit);
      });
      isFetched = true;
    } finally {
      giveBack();
      if (!isFetched) lease.release();
    }
    const durationMs = Math.round(performance.now() - startMs);
    this.options.log.info({ host: remote.authority, commit, durationMs }, 'commit fetched');
    return lease;
  }

  /** The fetch that is under way, or a new one. */
  #flight(remote: GitRemote, commit: string): Flight {
    const key = `${remote.url} ${commit}`;
    const known = this.#flights.get(key);
    if (known !== undefined) return known;
    const controller = new AbortController();
    const land = (): void => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key);
    };
    const done = this.#fetch(remote, commit, controller.signal).finally(land);
    // Whoever waits hears of it; nobody may.
    done.catch(() => undefined);
    const abort = (): void => {
      land();
      controller.abort(new Error('nobody waits for it any more'));
    };
    const flight: Flight = { done, abort, waiters: 0 };
    this.#flights.set(key, flight);
    return flight;
  }

  async #fetchShared(remote: GitRemote, commit: string, signal: AbortSignal): Promise<Lease> {
    const flight = this.#flight(remote, commit);
    flight.waiters += 1;
    try {
      const lease = await Promise.race([flight.done, aborted(signal)]);
      return lease.share();
    } finally {
      flight.waiters -= 1;
      if (flight.waiters === 0) {
        flight.abort();
        // Its processes and files, the credentials among them, are gone when this returns.
        await flight.done.then(
          (lease) => lease.release(),
          () => undefined,
        );
      }
    }
  }
}

/** Where there is no git: each such Run is told so, all others run. */
const withoutGit: GitSources = {
  checkOut: () => Promise.resolve(E.left({ reason: 'PrepareSource', message: NO_GIT })),
};

/**
 * Looks for git and opens the mirrors.
 *
 * @throws Error when the folder cannot be used.
 */
export const gitSources = async (options: GitOptions): Promise<GitSources> => {
  const git = await findGit(options.path);
  if (git === undefined) {
    options.log.info('git is not on the path, git sources cannot be prepared');
    return withoutGit;
  }
  const mirrors = await Mirrors.open(options.folder, options.limits);
  return new Sources(git, mirrors, options);
};
