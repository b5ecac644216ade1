/** `krt artifact download`: which artifacts are asked for. Fetching them comes with the artifact stores. */
import { runs } from '../../model/resources.js';
import type { ArtifactRef } from '../../model/run.js';
import { Failure, usage } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { type Input, nameOf, textFlag } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import { readRun } from '../run/read-run.js';

export type DownloadOptions = Readonly<{
  name: string;
  /** Empty: all. */
  artifacts: ReadonlyArray<string>;
  directory: string;
}>;

/** Errors: Usage. */
export const parse = (input: Input): DownloadOptions => {
  const [name, ...artifacts] = input.operands;
  if (name === undefined) throw usage('the name of a run is missing', '`krt list` shows them');
  return { name: nameOf(name, 'run'), artifacts, directory: textFlag(input, 'directory') ?? '.' };
};

/** The references asked for. Errors: NotFound, naming what there is. */
export const wantedRefs = (
  refs: ReadonlyArray<ArtifactRef>,
  { name, artifacts }: DownloadOptions,
): ReadonlyArray<ArtifactRef> => {
  const missing = artifacts.filter((wanted) => !refs.some((ref) => ref.name === wanted));
  if (missing.length > 0 || refs.length === 0)
    throw new Failure(
      'NotFound',
      `run ${name} has no artifact${missing.length > 0 ? ` ${missing.join(', ')}` : 's'}`,
      {
        hint: refs.length > 0 ? `it has ${refs.map((ref) => ref.name).join(', ')}` : undefined,
      },
    );
  return artifacts.length === 0 ? refs : refs.filter((ref) => artifacts.includes(ref.name));
};

export const execute = async (
  options: DownloadOptions,
  { api, namespace }: OpenCluster & Pick<Krt, 'terminal'>,
): Promise<number> => {
  const run = readRun(await api.get(runs, { namespace, name: options.name }), options.name);
  const [first] = wantedRefs(run.status?.artifactRefs ?? [], options);
  throw new Failure('Error', `this release of krt cannot download artifacts yet; a later one will`, {
    hint: first && `${first.name} is stored at ${first.location} (${first.driver})`,
  });
};

export const download: Verb = async (input, krt) => {
  const options = parse(input);
  return execute(options, { ...(await krt.openCluster(globalFlags(input))), terminal: krt.terminal });
};
