/**
 * Enacts one command: which call, with which body, and what its answer means. No decision is taken here.
 */
import * as E from 'fp-ts/lib/Either.js';
import { concat, defer, last, map, type Observable, of, takeWhile, tap } from 'rxjs';

import { cleanupPodOf } from '../../src/decide/cleanup/cleanup-pod.js';
import { type RunEvent, step } from '../../src/decide/lifecycle.js';
import { type PodSettings, podOf } from '../../src/decide/pod-template.js';
import type { Command, RunStep } from '../../src/model/command.js';
import type { RunUid } from '../../src/model/ids.js';
import { CORDONED_KEY, RUNTIMED_READY } from '../../src/model/names.js';
import type { Outcome } from '../../src/model/outcome.js';
import { pods, runs, runtimes } from '../../src/model/resources.js';
import { RunStatus } from '../../src/model/run.js';
import { isMarked, type RunRecord } from '../../src/model/run-record.js';
import type { AttemptRef } from '../../src/model/session.js';
import { statusMergePatch } from '../../src/model/status-patch.js';
import { formatMicros, formatSeconds, type Micros } from '../../src/model/time.js';
import type { Effect, KubePort, ObjectRef, SessionPort } from '../../src/ports.js';
import { explainCleanup, markRun, releaseRun } from './cleanup-calls.js';
import { grantCalls } from './grant-calls.js';
import { recordEvent } from './record-event.js';

/** What enacting needs. */
export type EnactOptions = Readonly<{
  kube: KubePort;
  sessions: SessionPort;
  settings: PodSettings;
  /** Wall clock. */
  now: () => Micros;
  /** Uniform in [0, 1). */
  random: () => number;
  /** Name of this operator, as Events show it. */
  identity: string;
  /** UIDs of all Runs of a namespace; undefined where some of them may not be known. */
  runsOf: (namespace: string) => ReadonlyArray<RunUid> | undefined;
  /** The newest version of the Run that is known: a command may have waited behind a write of ours. */
  latest: (run: RunRecord) => RunRecord;
}>;

const refOf = ({ namespace, name }: ObjectRef): ObjectRef => ({ namespace, name });

/** A call's answer as an outcome; `gone` says whether the object's absence means that nothing is to be done. */
const outcomeOf = (command: Command, call: Effect<unknown>, gone: 'fails' | 'drops'): Observable<Outcome> =>
  call.pipe(
    map((answer): Outcome => {
      if (E.isRight(answer)) return { kind: 'Done', command, object: answer.right };
      if (gone === 'drops' && answer.left.kind === 'NotFound')
        return { kind: 'Dropped', command, why: 'the object is gone' };
      return { kind: 'Failed', command, error: answer.left };
    }),
  );

const signalled = (command: Command, isSent: boolean): Observable<Outcome> =>
  of(
    isSent
      ? { kind: 'Done', command }
      : { kind: 'Dropped', command, why: 'the pod has no session; it will see the Run itself' },
  );

const attemptOf = (run: RunRecord, status: RunStatus): AttemptRef => ({
  runName: run.name,
  runUid: run.uid,
  attempt: status.attempt ?? 1,
});

/** The Run as the pod is to see it: spec as created, status as assigned. Empty when the source is not held. */
const assignmentOf = (run: RunRecord, status: RunStatus): Uint8Array =>
  run.object === undefined
    ? new Uint8Array()
    : Buffer.from(JSON.stringify({ ...run.object, status: RunStatus.encode(status) }));

const eventOf = (runStep: RunStep, at: Micros, chance: number): RunEvent =>
  runStep.kind === 'AttemptEnded' ? { ...runStep, at, chance } : { at, ...runStep };

/** null for each key that is no more, so that a merge patch removes it. */
const replacing = (
  before: Readonly<Record<string, number>> | undefined,
  after: Readonly<Record<string, number>> | undefined,
) => ({
  ...Object.fromEntries(Object.keys(before ?? {}).map((key) => [key, null])),
  ...after,
});

/** A function that enacts one command once. */
export const enacting = ({
  kube,
  sessions,
  settings,
  now,
  random,
  identity,
  latest,
  runsOf,
}: EnactOptions) => {
  const advance = (command: Extract<Command, { kind: 'AdvanceRun' }>): Observable<Outcome> => {
    const run = latest(command.run);
    const stepped = step(run, run.status, eventOf(command.step, now(), random()));
    if (E.isLeft(stepped))
      return of({
        kind: 'Dropped',
        command,
        why: `a Run in phase ${stepped.left.phase} takes no ${stepped.left.event}`,
      });
    const status = stepped.right;
    const body = statusMergePatch(run.resourceVersion, run.status, status);
    if (body === undefined) return of({ kind: 'Dropped', command, why: 'nothing changes' });
    return outcomeOf(
      command,
      kube.patch(runs, refOf(run), { type: 'merge', body }, { subresource: 'status' }),
      'drops',
    ).pipe(
      map((outcome) => {
        // The assignment is durable: push it. A send that fails is made good by the session's next Hello.
        if (outcome.kind === 'Done' && command.step.kind === 'Assigned')
          sessions.assign(command.step.podUid, attemptOf(run, status), assignmentOf(run, status));
        return outcome;
      }),
    );
  };

  const patchRuntimeStatus = (
    command: Extract<Command, { kind: 'PatchRuntimeStatus' }>,
  ): Observable<Outcome> => {
    const { runtime, status } = command;
    const body = {
      metadata: { uid: runtime.uid },
      status: {
        ...status,
        capacity: replacing(runtime.status.capacity, status.capacity),
        allocated: replacing(runtime.status.allocated, status.allocated),
      },
    };
    return outcomeOf(
      command,
      kube.patch(runtimes, refOf(runtime), { type: 'merge', body }, { subresource: 'status' }),
      'drops',
    );
  };

  return (command: Command): Observable<Outcome> => {
    switch (command.kind) {
      case 'AdvanceRun':
        return defer(() => advance(command));
      case 'SignalCancel':
        return defer(() => {
          const { run, podUid, reason } = command;
          return signalled(command, sessions.cancel(podUid, attemptOf(run, run.status), reason));
        });
      case 'SignalAssign':
        return defer(() => {
          const { run, podUid } = command;
          return signalled(
            command,
            sessions.assign(podUid, attemptOf(run, run.status), assignmentOf(run, run.status)),
          );
        });
      case 'DeleteRun':
        return outcomeOf(
          command,
          kube.delete(runs, refOf(command.run), { uid: command.run.uid, propagationPolicy: 'Background' }),
          'drops',
        );
      case 'RemoveArtifacts':
        return defer(() => {
          const { run, podUid, store } = command;
          return signalled(command, sessions.removeArtifacts(podUid, run.uid, store));
        });
      case 'SweepLogs':
        return defer(() => {
          const { namespace, podUid, store } = command;
          const { installation } = settings;
          const known = runsOf(namespace);
          return known === undefined || installation === undefined
            ? of<Outcome>({
                kind: 'Dropped',
                command,
                why: 'what is ours, or which Runs there are, is not known',
              })
            : signalled(command, sessions.sweepLogs(podUid, store, installation, known));
        });
      case 'ForgetLogs':
        return defer(() => signalled(command, sessions.forgetLogs(command.podUid, command.runs)));
      case 'MarkRun':
        return defer(() => {
          const run = latest(command.run);
          return isMarked(run)
            ? of<Outcome>({ kind: 'Dropped', command, why: 'it has been' })
            : outcomeOf(command, markRun(kube, run), 'drops');
        });
      case 'ReleaseRun':
        return outcomeOf(command, releaseRun(kube, command.run), 'drops');
      case 'ExplainCleanup':
        return outcomeOf(command, explainCleanup(kube, command, now), 'drops');
      case 'CreateCleanupPod': {
        const { namespace, name, store } = command;
        return outcomeOf(
          command,
          kube.create(pods, namespace, cleanupPodOf(namespace, name, store, settings)),
          'fails',
        );
      }
      case 'CreatePod': {
        const { runtime, name, revision } = command;
        return outcomeOf(
          command,
          kube.create(pods, runtime.namespace, podOf(runtime, name, revision, settings)),
          'fails',
        );
      }
      case 'DeletePod':
        return outcomeOf(command, kube.delete(pods, refOf(command.pod), { uid: command.pod.uid }), 'drops');
      case 'CordonPod': {
        const { pod } = command;
        const body = { metadata: { uid: pod.uid, annotations: { [CORDONED_KEY]: formatMicros(now()) } } };
        return outcomeOf(command, kube.patch(pods, refOf(pod), { type: 'merge', body }), 'drops').pipe(
          tap((outcome) => outcome.kind === 'Done' && sessions.drain(pod.uid)),
        );
      }
      case 'PatchPodReady': {
        const { pod, status, reason, message } = command;
        const condition = {
          type: RUNTIMED_READY,
          status,
          reason,
          message,
          lastTransitionTime: formatSeconds(now()),
        };
        const body = { metadata: { uid: pod.uid }, status: { conditions: [condition] } };
        return outcomeOf(
          command,
          kube.patch(pods, refOf(pod), { type: 'strategic', body }, { subresource: 'status' }),
          'drops',
        );
      }
      case 'PatchRuntimeStatus':
        return patchRuntimeStatus(command);
      case 'EnsureGrant':
        // In order, because a binding to a role that is not there yet is refused; the first failure ends it.
        return concat(
          ...grantCalls(kube, command, settings.defaultArtifactStore).map((call) =>
            outcomeOf(command, call, 'drops'),
          ),
        ).pipe(
          takeWhile(({ kind }) => kind !== 'Failed', true),
          last(),
        );
      case 'RecordEvent':
        return outcomeOf(command, recordEvent(kube, command.event, identity, random), 'drops');
      default:
        return command satisfies never;
    }
  };
};
