/**
 * Writes the files of a commit into a folder, from a repository that has it.
 *
 * The folder gets no `.git`: nothing there can reach the mirror or its settings, and no command of a Run or of ours
 * takes orders from it. Git itself refuses to write through a link or to a path named `..` or `.git`. Links are written
 * as they are; whoever follows one later checks where it leads.
 */
import { complaintOf } from '../../decide/git/complaint.js';
import type { Home } from './home.js';
import { runGit } from './run-git.js';

export type CheckOut = Readonly<{
  git: string;
  home: Home;
  repository: string;
  commit: string;
  /** An empty folder. */
  folder: string;
  /** A path for git's index, which nothing else uses; removed by whoever gave it. */
  index: string;
  maxBytes: number;
  signal: AbortSignal;
}>;

/** Undefined, or why it could not be done. */
export const checkOutFiles = async ({
  git,
  home,
  repository,
  commit,
  folder,
  index,
  maxBytes,
  signal,
}: CheckOut): Promise<string | undefined> => {
  const { code, stderr } = await runGit(git, {
    args: [`--git-dir=${repository}`, `--work-tree=${folder}`, 'read-tree', '-m', '-u', commit],
    env: { ...home.env, GIT_INDEX_FILE: index },
    fileBytes: maxBytes,
    signal,
  });
  return code === 0 ? undefined : complaintOf(stderr, []) || `git ended with ${code ?? 'a signal'}`;
};
