/**
 * Puts a Run's source into its workspace, and says what is to be executed there.
 *
 * A missing entrypoint file, or one that a symlink leads out of the workspace, is InvalidSpec, not PrepareSource: the
 * source is immutable (inline text, or a commit by its hash), so another attempt would miss it again, and
 * PrepareSource is retried. A pod that cannot even make an empty workspace, with an inline script at most, is unfit: that
 * is not the Run's doing, and takes none of its attempts. What else fails for want of room is PrepareSource: it may be
 * the source that is too large.
 *
 * The calls are synchronous: a handful of small ones, which together take less than one turn of the thread pool.
 */
import { realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import * as E from 'fp-ts/lib/Either.js';

import { boundedMessage } from '../../decide/lifecycle.js';
import type { Assignment, AttemptInput, Execution, Work } from '../../decide/sidecar/attempt.js';
import { entrypointProblem } from '../../decide/sidecar/entrypoint.js';
import { environmentOf, type Folders, type Places, placesOf } from '../../decide/sidecar/environment.js';
import { errorCode } from '../error-code.js';
import type { GitSources } from '../git/sources.js';
import { type AttemptFiles, SCRIPT } from './attempt-files.js';
import { recordAttempt, reserveAttempt } from './records.js';

type Prepared = Extract<AttemptInput, { kind: 'Prepared' | 'PrepareFailed' | 'Unprepared' }>;

const invalid = (message: string): Prepared => ({ kind: 'PrepareFailed', reason: 'InvalidSpec', message });

/** What is wrong with the file, or undefined. */
const fileProblem = async (workspace: string, entrypoint: string): Promise<string | undefined> => {
  try {
    const [root, file] = await Promise.all([realpath(workspace), realpath(join(workspace, entrypoint))]);
    if (!file.startsWith(root + sep)) return `entrypoint ${entrypoint} leads out of the workspace`;
    return (await stat(file)).isFile() ? undefined : `entrypoint ${entrypoint} is not a file`;
  } catch (cause) {
    return `entrypoint ${entrypoint} is not there (${errorCode(cause)}); the source has to contain it`;
  }
};

const executionOf = (assignment: Assignment, work: Work, places: Places): Execution => ({
  workingDir: places.workspace,
  entrypoint: work.entrypoint ?? '',
  args: work.args,
  env: environmentOf(assignment.ref, work.env, places),
  timeoutSeconds: assignment.timeoutMs === undefined ? 0 : Math.ceil(assignment.timeoutMs / 1000),
});

/** Never rejects. */
export const prepareWorkspace = async (
  folders: Folders,
  podUid: string,
  assignment: Assignment,
  work: Work,
  { git, files, signal }: Readonly<{ git: GitSources; files: AttemptFiles; signal: AbortSignal }>,
): Promise<Prepared> => {
  const { ref } = assignment;
  const places = placesOf(folders, ref);
  const problem = work.entrypoint === undefined ? undefined : entrypointProblem(work.entrypoint);
  if (problem) return invalid(problem);
  const { repoURL } = work.source ?? {};
  let commit: Readonly<{ commitSHA?: string }> = {};
  const inline = work.source?.inline;
  try {
    if (repoURL === undefined) recordAttempt(podUid, assignment, files);
    else reserveAttempt(ref, files);
    await files.makeOwn(ref);
    await files.makeWorkspace(ref, inline);
  } catch (cause) {
    return { kind: 'Unprepared', message: `the pod can make no workspace: ${errorCode(cause)}` };
  }
  try {
    if (repoURL !== undefined) {
      const source = { ...work.source, repoURL };
      const checkOut = (folder: string) => git.checkOut(source, folder, signal);
      const commitSHA = await files.fillWorkspace(ref, checkOut, signal);
      if (E.isLeft(commitSHA)) return { kind: 'PrepareFailed', ...commitSHA.left };
      commit = { commitSHA: commitSHA.right };
      recordAttempt(podUid, { ...assignment, ...commit }, files);
    }
    const isWritten = inline !== undefined && work.entrypoint === SCRIPT;
    if (work.entrypoint !== undefined && !isWritten) {
      const missing = await fileProblem(places.workspace, work.entrypoint);
      if (missing) return { ...invalid(missing), ...commit };
    }
    return { kind: 'Prepared', execution: executionOf(assignment, work, places), ...commit };
  } catch (cause) {
    return {
      kind: 'PrepareFailed',
      reason: 'PrepareSource',
      message: boundedMessage(`the workspace could not be prepared: ${errorCode(cause)}`),
    };
  }
};
