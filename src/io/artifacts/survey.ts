/**
 * What of $KRUNTIME_ARTIFACTS_DIR is to be stored? Each entry is an artifact, a directory as one. Everything is
 * looked at before anything is stored, so that a Run whose artifacts cannot be kept leaves nothing in the store.
 *
 * Hard links are files like any other: whoever can make one to a file may read that file through it, and reads it
 * with the rights of the Run, which has them already.
 */
import type { Stats } from 'node:fs';

import { type ArtifactLimits, nameProblem, shownName } from '../../decide/artifacts/rules.js';
import {
  ArtifactProblem,
  asProblem,
  entriesOf,
  kindProblem,
  look,
  type OpenFolder,
  withEntry,
} from './open-below.js';

/** One artifact to be. */
export type Surveyed = Readonly<{ name: string; type: 'file' | 'directory'; facts: Stats }>;

type Count = { entries: number; bytes: number };

const size = (bytes: number): string =>
  bytes % 1024 ** 3 === 0
    ? `${bytes / 1024 ** 3} GiB`
    : bytes % 1024 ** 2 === 0
      ? `${bytes / 1024 ** 2} MiB`
      : `${bytes} bytes`;

const addBytes = (count: Count, name: string, bytes: number, limits: ArtifactLimits): void => {
  count.bytes += bytes;
  if (count.bytes > limits.bytesEach)
    throw new ArtifactProblem(`${name} is larger than ${size(limits.bytesEach)}`);
};

/** Looks at everything below a directory. */
const surveyBelow = async (
  folder: OpenFolder,
  artifact: string,
  path: string,
  depth: number,
  count: Count,
  limits: ArtifactLimits,
): Promise<void> => {
  if (depth > limits.depth)
    throw new ArtifactProblem(`${artifact} has more than ${limits.depth} directories within each other`);
  const names = await entriesOf(folder);
  count.entries += names.length;
  if (count.entries > limits.entries)
    throw new ArtifactProblem(`${artifact} has more than ${limits.entries} files and directories`);
  for (const name of names) {
    const shown = shownName(`${path}/${name}`);
    try {
      if (name.includes('\ufffd')) throw new ArtifactProblem(`${shown} has a name that is not UTF-8`);
      const facts = await look(folder, name);
      const problem = kindProblem(facts);
      if (problem) throw new ArtifactProblem(`${shown} ${problem}`);
      if (facts.isDirectory())
        await withEntry(folder, name, shown, facts, (_entry, below) =>
          surveyBelow(below, artifact, `${path}/${name}`, depth + 1, count, limits),
        );
      else addBytes(count, artifact, facts.size, limits);
    } catch (cause) {
      throw asProblem(shown, cause);
    }
  }
};

/** @throws ArtifactProblem on the first thing that cannot be stored; other errors are of our own folder. */
export const survey = async (root: OpenFolder, limits: ArtifactLimits): Promise<ReadonlyArray<Surveyed>> => {
  const names = await entriesOf(root);
  if (names.length > limits.count)
    throw new ArtifactProblem(
      `there are ${names.length} artifacts, at most ${limits.count} are stored; put them into a directory`,
    );
  const surveyed: Surveyed[] = [];
  let bytes = 0;
  for (const name of names) {
    const shown = shownName(name);
    try {
      const ofName = nameProblem(name);
      if (ofName) throw new ArtifactProblem(`${shown} ${ofName}`);
      const facts = await look(root, name);
      const problem = kindProblem(facts);
      if (problem) throw new ArtifactProblem(`${shown} ${problem}`);
      const count: Count = { entries: 0, bytes: 0 };
      if (facts.isDirectory())
        await withEntry(root, name, shown, facts, (_entry, below) =>
          surveyBelow(below, shown, name, 1, count, limits),
        );
      else addBytes(count, shown, facts.size, limits);
      bytes += count.bytes;
      surveyed.push({ name, type: facts.isDirectory() ? 'directory' : 'file', facts });
    } catch (cause) {
      throw asProblem(shown, cause);
    }
  }
  if (bytes > limits.bytesInAll)
    throw new ArtifactProblem(`the artifacts are larger than ${size(limits.bytesInAll)} together`);
  return surveyed;
};
