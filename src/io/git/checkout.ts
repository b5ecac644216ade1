/**
 * Writes the files of a commit into a folder, from the objects of a mirror.
 *
 * The folder gets no `.git`: nothing there can reach the mirror or its settings, and no command of a Run or of ours
 * takes orders from it. Git itself refuses to write through a link or to a path named `..` or `.git`. Links are written
 * as they are; whoever follows one later checks where it leads.
 *
 * Git works in a repository made for this one checkout, with a name that cannot be guessed: the Runs of a pod share the
 * volume with the workspaces, and one that made git write through a link of its own could leave settings in a mirror.
 */
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { complaintOf } from '../../decide/git/complaint.js';
import { makeLocalHome } from './home.js';
import { makeRepository } from './repository.js';
import { runGit } from './run-git.js';

export type CheckOut = Readonly<{
  git: string;
  /** Folder of objects that has the commit. */
  objects: string;
  commit: string;
  /** An empty folder. */
  folder: string;
  /** A path that nothing else uses; nothing is left there. */
  scratch: string;
  maxBytes: number;
  signal: AbortSignal;
}>;

/** Undefined, or why it could not be done. */
export const checkOutFiles = async ({
  git,
  objects,
  commit,
  folder,
  scratch,
  maxBytes,
  signal,
}: CheckOut): Promise<string | undefined> => {
  const repository = join(scratch, 'repository');
  try {
    const home = await makeLocalHome(scratch);
    await makeRepository(repository, commit.length, objects);
    if (!(await lstat(folder)).isDirectory() || (await readdir(folder)).length > 0)
      return 'the workspace is not the empty folder it was made as';
    const { code, stderr } = await runGit(git, {
      args: [`--git-dir=${repository}`, `--work-tree=${folder}`, 'read-tree', '-m', '-u', commit],
      env: home.env,
      fileBytes: maxBytes,
      signal,
    });
    return code === 0 ? undefined : complaintOf(stderr, []) || `git ended with ${code ?? 'a signal'}`;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
};
