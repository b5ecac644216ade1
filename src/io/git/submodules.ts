/** Which submodules does a commit have? Read from the objects of a mirror; nothing of it is obeyed. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { complaintOf } from '../../decide/git/complaint.js';
import { type SubmoduleLink, submoduleUrls } from '../../decide/git/submodules.js';
import { SourceFailure } from './failure.js';
import { makeLocalHome } from './home.js';
import { makeRepository } from './repository.js';
import { runGit } from './run-git.js';
import type { Survey } from './survey.js';

export type Listing = Readonly<{
  git: string;
  objects: string;
  commit: string;
  /** A path that nothing else uses; nothing is left there. */
  scratch: string;
  /** Counts what the commit holds. */
  survey: Survey;
  maxBytes: number;
  signal: AbortSignal;
}>;

export type FoundSubmodule = SubmoduleLink & Readonly<{ url: string | undefined }>;

/** The submodules of one commit, not those of its submodules. @throws SourceFailure when a bound is passed. */
export const listSubmodules = async ({
  git,
  objects,
  commit,
  scratch,
  survey,
  maxBytes,
  signal,
}: Listing): Promise<ReadonlyArray<FoundSubmodule>> => {
  const repository = join(scratch, 'repository');
  try {
    const { env } = await makeLocalHome(scratch);
    await makeRepository(repository, commit.length, objects);
    const run = (args: ReadonlyArray<string>, onStdout?: (chunk: Buffer) => boolean) =>
      runGit(git, {
        args: [`--git-dir=${repository}`, ...args],
        env,
        fileBytes: maxBytes,
        signal,
        ...(onStdout === undefined ? {} : { onStdout }),
      });
    const listed = await run(['ls-tree', '-r', '-l', '-z', '--full-tree', commit], survey.take);
    survey.check();
    if (listed.code !== 0)
      throw new SourceFailure(
        'PrepareSource',
        `commit ${commit} cannot be read: ${complaintOf(listed.stderr, [])}`,
      );
    const links = survey.takeLinks();
    if (links.length === 0) return [];
    const keys = String.raw`^submodule\..*\.(path|url)$`;
    const modules = await run(['config', '--blob', `${commit}:.gitmodules`, '-z', '--get-regexp', keys]);
    const urls = submoduleUrls(modules.code === 0 ? modules.stdout : '');
    return links.map((link) => ({ ...link, url: urls.get(link.path) }));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
};
