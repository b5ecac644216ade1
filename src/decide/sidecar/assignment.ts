/** From a Run, as the API holds it, to what this pod keeps and executes of it. */

import { RunUid } from '../../model/ids.js';
import { type Run, requests, retryPolicy } from '../../model/run.js';
import type { LifecyclePolicy } from '../lifecycle.js';
import type { Assignment, AttemptRef, Work } from './attempt.js';

/** What the lifecycle needs of the Run. */
export const policyOf = (run: Run): LifecyclePolicy => ({
  retry: retryPolicy(run.spec),
  cancelRequested: run.spec.cancelRequested ?? false,
});

/** The attempt its status speaks of; undefined for a Run that was never assigned or has no namespace or UID. */
export const refOf = (run: Run): AttemptRef | undefined => {
  const { namespace, name, uid } = run.metadata;
  const { attempt } = run.status ?? {};
  return namespace === undefined || attempt === undefined || attempt < 1 || !RunUid.is(uid)
    ? undefined
    : { namespace, name, uid, attempt };
};

/** What is kept. */
export const assignmentOf = (run: Run, ref: AttemptRef): Assignment => ({
  ref,
  runtime: run.spec.runtime,
  requests: requests(run.spec),
  ...(run.spec.timeout === undefined ? {} : { timeoutMs: run.spec.timeout }),
  policy: policyOf(run),
  status: run.status ?? {},
});

/** What is executed. A branch or tag is what it was for the first attempt that got to know it: one Run, one commit. */
export const workOf = ({ spec, status }: Run): Work => {
  const commitSHA = spec.source?.commitSHA ?? status?.source?.commitSHA;
  return {
    source: spec.source
      ? {
          ...(spec.source.inline === undefined ? {} : { inline: spec.source.inline }),
          ...(spec.source.repoURL === undefined ? {} : { repoURL: spec.source.repoURL }),
          ...(commitSHA === undefined ? {} : { commitSHA }),
          ...(spec.source.ref === undefined ? {} : { ref: spec.source.ref }),
          ...(spec.source.submodules === undefined ? {} : { submodules: spec.source.submodules }),
        }
      : undefined,
    entrypoint: spec.entrypoint ?? (spec.source?.inline === undefined ? undefined : 'script'),
    args: spec.args ?? [],
    env: spec.env ?? {},
  };
};
