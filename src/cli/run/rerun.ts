/** `krt rerun` */
import * as t from 'io-ts';

import { GROUP, runs, VERSION } from '../../model/resources.js';
import { Failure } from '../failure.js';
import { globalFlags } from '../global-flags.js';
import { formatFlag, type Input, isOn, nameOf, textFlag } from '../input.js';
import type { Krt, OpenCluster, Verb } from '../krt.js';
import { checkFormat } from '../output/print.js';
import { type CreateOptions, createAndAttend } from './create.js';
import { oneRun } from './one-run.js';

export type RerunOptions = Readonly<{ name: string; newName: string | undefined }> &
  Pick<CreateOptions, 'format' | 'wait' | 'follow'>;

/** Errors: Usage. */
export const parse = (input: Input): RerunOptions => {
  const follow = isOn(input, 'follow');
  const newName = textFlag(input, 'name');
  return {
    name: oneRun(input),
    newName: newName === undefined ? undefined : nameOf(newName, 'run'),
    format: formatFlag(input),
    follow,
    wait: follow || isOn(input, 'wait'),
  };
};

/** As much as is copied: the spec is taken whole, with whatever a newer API put into it. */
const Earlier = t.type({
  metadata: t.intersection([t.type({ name: t.string }), t.partial({ labels: t.record(t.string, t.string) })]),
  spec: t.UnknownRecord,
});

const MAX_NAME = 253;

/** `hello` → `hello-rerun-x7k2m9`, and `hello-rerun-x7k2m9` → `hello-rerun-...` again, so that names do not grow. */
export const rerunName = (name: string, suffix: string): string => {
  const end = `-rerun-${suffix}`;
  const base = name
    .replace(/-rerun-[a-z0-9]{6}$/, '')
    .slice(0, MAX_NAME - end.length)
    .replace(/[-.]+$/, '');
  return `${base}${end}`;
};

export const execute = (
  options: RerunOptions,
  deps: OpenCluster & Pick<Krt, 'terminal' | 'onInterrupt' | 'randomSuffix'>,
): Promise<number> => createAndAttend(() => createAgain(options, deps), options, deps);

const createAgain = async (
  { name, newName }: RerunOptions,
  { api, namespace, randomSuffix }: OpenCluster & Pick<Krt, 'randomSuffix'>,
): Promise<unknown> => {
  const earlier = Earlier.decode(await api.get(runs, { namespace, name }));
  if (earlier._tag === 'Left')
    throw new Failure('Error', `run ${namespace}/${name} cannot be understood: it has no spec`);
  const { metadata, spec } = earlier.right;
  const { cancelRequested: _, ...again } = spec;
  return api.create(
    runs,
    namespace,
    {
      apiVersion: `${GROUP}/${VERSION}`,
      kind: 'Run',
      metadata: {
        name: newName ?? rerunName(metadata.name, randomSuffix()),
        namespace,
        ...(metadata.labels ? { labels: metadata.labels } : {}),
      },
      spec: again,
    },
    { fieldValidation: 'Strict', fieldManager: 'krt' },
  );
};

export const rerun: Verb = async (input, krt) => {
  const options = parse(input);
  await checkFormat(options.format);
  return execute(options, { ...krt, ...(await krt.openCluster(globalFlags(input))) });
};
