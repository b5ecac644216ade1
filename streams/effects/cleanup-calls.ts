/** The calls about a Run whose stored artifacts are being removed: let it go, or say why it waits. */
import * as E from 'fp-ts/lib/Either.js';
import { of, switchMap } from 'rxjs';

import type { Command } from '../../src/model/command.js';
import { withCondition } from '../../src/model/conditions.js';
import type { EffectError } from '../../src/model/effect-error.js';
import { ARTIFACT_FINALIZER } from '../../src/model/names.js';
import { runs } from '../../src/model/resources.js';
import { Run } from '../../src/model/run.js';
import type { RunRecord } from '../../src/model/run-record.js';
import type { Micros } from '../../src/model/time.js';
import type { Effect, KubePort } from '../../src/ports.js';

/** Type of the condition. */
export const REMOVED_CONDITION = 'ArtifactsRemoved';

/** Puts our finalizer on, provided the Run is as it was seen. */
export const markRun = (
  kube: Pick<KubePort, 'patch'>,
  { namespace, name, uid, resourceVersion, finalizers = [] }: RunRecord,
): Effect<unknown> => {
  const metadata = { uid, resourceVersion, finalizers: [...finalizers, ARTIFACT_FINALIZER] };
  return kube.patch(runs, { namespace, name }, { type: 'merge', body: { metadata } });
};

/** Takes our finalizer off, and no other. */
export const releaseRun = (
  kube: Pick<KubePort, 'patch'>,
  { namespace, name, uid, finalizers = [] }: RunRecord,
): Effect<unknown> => {
  const path = `/metadata/finalizers/${finalizers.indexOf(ARTIFACT_FINALIZER)}`;
  return kube.patch(
    runs,
    { namespace, name },
    {
      type: 'json',
      body: [
        { op: 'test', path: '/metadata/uid', value: uid },
        { op: 'test', path, value: ARTIFACT_FINALIZER },
        { op: 'remove', path },
      ],
    },
  );
};

/** Sets the condition. The cache has no conditions of Runs that have ended, so the Run is read first. */
export const explainCleanup = (
  kube: Pick<KubePort, 'get' | 'patch'>,
  { run, reason, message }: Extract<Command, { kind: 'ExplainCleanup' }>,
  now: () => Micros,
): Effect<unknown> => {
  const ref = { namespace: run.namespace, name: run.name };
  const gone = E.left<EffectError>({ kind: 'NotFound', message: 'the Run is gone' });
  return kube.get(runs, ref).pipe(
    switchMap((answer): Effect<unknown> => {
      if (E.isLeft(answer)) return of(answer);
      const read = Run.decode(answer.right);
      if (E.isLeft(read) || read.right.metadata.uid !== run.uid) return of(gone);
      const { metadata, status } = read.right;
      const conditions = withCondition(
        status?.conditions ?? [],
        { type: REMOVED_CONDITION, status: 'False', reason, message },
        now(),
      );
      const body = { metadata: { resourceVersion: metadata.resourceVersion }, status: { conditions } };
      return kube.patch(runs, ref, { type: 'merge', body }, { subresource: 'status' });
    }),
  );
};
