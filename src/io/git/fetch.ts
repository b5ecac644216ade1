/**
 * Fetches one commit into a folder of its own: by its hash alone and without its history, where the server gives that
 * out; where it does not, all branches and tags with their history, within the same bounds. And looks up which commit a
 * branch or tag means.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { complaintOf, isBareHashRefused, isObjectMissing } from '../../decide/git/complaint.js';
import { commitOf, refPatterns } from '../../decide/git/refs.js';
import type { GitRemote } from '../../decide/git/remote.js';
import type { GitLimits } from '../../model/git.js';
import { type Credentials, secretsOf } from './credentials.js';
import { SourceFailure } from './failure.js';
import type { Home } from './home.js';
import { refOfCommit } from './repository.js';
import { type GitExit, runGit } from './run-git.js';
import { startSurvey } from './survey.js';

/** All there is of history; and a depth, so that servers without smart HTTP, which know no bound, are refused. */
const WHOLE_HISTORY = 2_147_483_647;

export type Fetcher = Readonly<{
  git: string;
  limits: GitLimits;
  remote: GitRemote;
  credentials: Credentials;
  home: Home;
  signal: AbortSignal;
}>;

const command = ({ git, limits, home, signal }: Fetcher, ...args: ReadonlyArray<string>): Promise<GitExit> =>
  runGit(git, { args, env: home.env, fileBytes: limits.maxBytes, signal });

const refused = ({ remote, credentials }: Fetcher, what: string, { stderr }: GitExit): SourceFailure =>
  new SourceFailure(
    'PrepareSource',
    `${what} from ${remote.authority}: ${complaintOf(stderr, secretsOf(credentials)) || 'git gives no reason'}`,
  );

/** The commit that a branch or tag means now. */
export const resolveRef = async (fetcher: Fetcher, ref: string): Promise<string> => {
  const exit = await command(fetcher, 'ls-remote', '--quiet', '--', fetcher.remote.url, ...refPatterns(ref));
  if (exit.code !== 0) throw refused(fetcher, `ref ${ref} cannot be looked up`, exit);
  const commit = commitOf(ref, exit.stdout);
  // Not final: it may be pushed yet.
  if (commit === undefined)
    throw new SourceFailure('PrepareSource', `the repository has neither a tag nor a branch named ${ref}`);
  return commit;
};

/** Whether the download ran into its limit: the file it was written to is as large as it may get. */
const hitLimit = async (repository: string, maxBytes: number): Promise<boolean> => {
  const folder = join(repository, 'objects', 'pack');
  const sizes = await Promise.all(
    (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size),
  );
  return sizes.some((size) => size >= maxBytes - 1024);
};

const fetchInto = async (
  fetcher: Fetcher,
  repository: string,
  depth: number,
  refspecs: ReadonlyArray<string>,
): Promise<GitExit> => {
  const { limits, remote } = fetcher;
  const exit = await command(
    fetcher,
    `--git-dir=${repository}`,
    'fetch',
    '--quiet',
    `--depth=${depth}`,
    '--no-tags',
    '--no-write-fetch-head',
    '--no-recurse-submodules',
    '--no-auto-maintenance',
    '--',
    remote.url,
    ...refspecs,
  );
  if (exit.code !== 0 && (await hitLimit(repository, limits.maxBytes)))
    throw new SourceFailure(
      'PrepareSource',
      `the repository is too large: more than ${limits.maxBytes} bytes had to be fetched, the limit that spec.git.maxBytes of the Runtime sets`,
    );
  return exit;
};

const missing = (commit: string, where: string): SourceFailure =>
  // Not final either: a push, or its way to the server's replicas, may take longer than the Run.
  new SourceFailure('PrepareSource', `commit ${commit} is not in the repository${where}`);

/** Whether it is there, and is a commit. */
const checkCommit = async (fetcher: Fetcher, repository: string, commit: string): Promise<boolean> => {
  const { code, stdout } = await command(fetcher, `--git-dir=${repository}`, 'cat-file', '-t', commit);
  if (code !== 0) return false;
  const type = stdout.trim();
  if (type !== 'commit')
    throw new SourceFailure('InvalidSpec', `${commit} is the hash of a ${type}, not of a commit`);
  return true;
};

/** Whether all of it is within bounds. */
const surveyCommit = async (fetcher: Fetcher, repository: string, commit: string): Promise<void> => {
  const { git, limits, home, signal } = fetcher;
  const survey = startSurvey(limits);
  const exit = await runGit(git, {
    args: [`--git-dir=${repository}`, 'ls-tree', '-r', '-l', '-z', '--full-tree', commit],
    env: home.env,
    fileBytes: limits.maxBytes,
    signal,
    onStdout: survey.take,
  });
  survey.check();
  if (exit.code !== 0) throw refused(fetcher, `commit ${commit} was fetched incompletely`, exit);
};

/** Fetches it into `repository`, which may know of earlier commits. Whole and within bounds when it resolves. */
export const fetchCommit = async (fetcher: Fetcher, repository: string, commit: string): Promise<void> => {
  const exit = await fetchInto(fetcher, repository, 1, [`${commit}:${refOfCommit(commit)}`]);
  if (exit.code !== 0) {
    if (isObjectMissing(exit.stderr)) throw missing(commit, '');
    if (!isBareHashRefused(exit.stderr)) throw refused(fetcher, `commit ${commit} cannot be fetched`, exit);
    const whole = await fetchInto(fetcher, repository, WHOLE_HISTORY, [
      '+refs/heads/*:refs/fetched/heads/*',
      '+refs/tags/*:refs/fetched/tags/*',
    ]);
    if (whole.code !== 0) throw refused(fetcher, `commit ${commit} cannot be fetched`, whole);
  }
  if (!(await checkCommit(fetcher, repository, commit)))
    throw missing(commit, ', not in the history of any branch or tag');
  await surveyCommit(fetcher, repository, commit);
};
