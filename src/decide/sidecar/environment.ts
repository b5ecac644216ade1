/** The environment of a Run that runtimed adds to the runtime container's own, and the folders it names. */
import { join } from 'node:path';

import { type AttemptRef, idOf } from './attempt.js';

/** Where runtimed works: `work` is shared with the Runs, `state` is its own. */
export type Folders = Readonly<{ work: string; state: string }>;

/** Where things of one attempt are (ARCHITECTURE.md, "Where a Run's folder is"). */
export type Places = Readonly<{
  /** The working directory, shared by the attempts of a Run, which never overlap on one pod. */
  workspace: string;
  /** Parent of the next two. */
  own: string;
  outputs: string;
  artifacts: string;
  /** What a restarted runtimed knows of it. */
  record: string;
  /** Its end, while the API is away. */
  end: string;
}>;

/** Of the shared volume: parent of the folders of attempts beside their workspaces. */
export const OWN_FOLDERS = '.kruntimes';

/** The folder `own` of an attempt, step by step below the shared volume: none of them is to be followed as a link. */
export const ownSteps = (ref: AttemptRef): ReadonlyArray<string> => [OWN_FOLDERS, idOf(ref)];

/** All places of one attempt. */
export const placesOf = ({ work, state }: Folders, ref: AttemptRef): Places => {
  const id = idOf(ref);
  const own = join(work, OWN_FOLDERS, id);
  return {
    workspace: join(work, ref.uid),
    own,
    outputs: join(own, 'outputs'),
    artifacts: join(own, 'artifacts'),
    record: join(state, 'attempts', `${id}.json`),
    end: join(state, 'ends', `${id}.json`),
  };
};

/** The Run's own variables, then the six of the contract, which nothing can override. */
export const environmentOf = (
  ref: AttemptRef,
  env: Readonly<Record<string, string>>,
  places: Places,
): Record<string, string> => ({
  ...env,
  KRUNTIME_OUTPUTS: places.outputs,
  KRUNTIME_ARTIFACTS_DIR: places.artifacts,
  KRUNTIME_RUN_NAME: ref.name,
  KRUNTIME_RUN_UID: ref.uid,
  KRUNTIME_NAMESPACE: ref.namespace,
  KRUNTIME_ATTEMPT: String(ref.attempt),
});
