/**
 * Lost pods: which Runs are on a pod that will not finish them?
 *
 * - A pod that is deleted or has ended as a whole: at once.
 * - A pod with neither session nor readiness for `UNHEALTHY_MS`. Either alone is not enough: runtimed ends Runs without
 *   the operator, and the kubelet can be late.
 * - A Run whose pod was never seen, or that names none: after `UNSEEN_MS`, because the pods' informer may be behind.
 *
 * A Scheduled Run goes back without using up an attempt; a Running one ends its attempt and its policy decides.
 */
import type { Command } from '../model/command.js';
import type { ObjectKey, PodUid } from '../model/ids.js';
import type { PodRecord } from '../model/pod.js';
import type { RunRecord } from '../model/run-record.js';
import type { World, WorldChange } from '../model/world.js';
import { deadlines } from './deadlines.js';
import { phaseOf } from './lifecycle.js';
import { earliest, type TimedMachine } from './timed-machine.js';

/** How long both session and readiness must be gone, milliseconds. */
export const UNHEALTHY_MS = 30_000;
/** How long a Run's pod may be unknown, milliseconds: an informer's usual lag with room. */
export const UNSEEN_MS = 1000;

type LossReason = 'PodGone' | 'PodTerminating' | 'PodUnhealthy';

const WORDS: Readonly<Record<LossReason, string>> = {
  PodGone: 'is gone',
  PodTerminating: 'was terminated before the Run ended',
  PodUnhealthy: `was unreachable and not ready for ${UNHEALTHY_MS / 1000} s`,
};

const lose = (run: RunRecord, reason: LossReason): Command => {
  const message = `pod ${run.status.assignedPod ?? '?'} ${WORDS[reason]}`;
  return phaseOf(run.status) === 'Scheduled'
    ? { kind: 'AdvanceRun', run, step: { kind: 'Returned', reason, message } }
    : {
        kind: 'AdvanceRun',
        run,
        step: { kind: 'AttemptEnded', result: { kind: 'Failed', reason, message } },
      };
};

/**
 * Whether the pod gives no sign of life. Ready means little once our own readiness gate is False; then the kubelet's
 * view of the containers counts.
 */
const isSilent = (world: World, pod: PodRecord): boolean =>
  !world.sessions.has(pod.uid) && !(pod.runtimedReady === 'True' ? pod.ready : pod.containersReady);

/** The machine behind `streams/pipelines/lost-pods.ts`. */
export const lostPods = (world: World): TimedMachine<WorldChange, Command> => {
  const silent = deadlines<PodUid>();
  const unseen = deadlines<ObjectKey>();
  /** Pods whose silence has lasted too long: a Run whose loss could not be written is lost again in its next version. */
  const unhealthy = new Set<PodUid>();

  const runsLost = (uid: PodUid, reason: LossReason): ReadonlyArray<Command> =>
    world.runsOn(uid).map((run) => lose(run, reason));

  const watchSilence = (pod: PodRecord, nowMs: number): void => {
    if (!isSilent(world, pod)) {
      silent.remove(pod.uid);
      unhealthy.delete(pod.uid);
    } else if (silent.get(pod.uid) === undefined && !unhealthy.has(pod.uid))
      silent.set(pod.uid, nowMs + UNHEALTHY_MS);
  };

  const onPod = (
    before: PodRecord | undefined,
    after: PodRecord | undefined,
    nowMs: number,
  ): ReadonlyArray<Command> => {
    const commands: Command[] = [];
    if (before && before.uid !== after?.uid) {
      silent.remove(before.uid);
      unhealthy.delete(before.uid);
      commands.push(...runsLost(before.uid, before.terminating ? 'PodTerminating' : 'PodGone'));
    }
    if (after?.finished) commands.push(...runsLost(after.uid, 'PodGone'));
    else if (after) watchSilence(after, nowMs);
    return commands;
  };

  const onRun = (run: RunRecord | undefined, key: ObjectKey, nowMs: number): ReadonlyArray<Command> => {
    const phase = run && phaseOf(run.status);
    const uid = run?.status.assignedPodUID as PodUid | undefined;
    if (!run || (phase !== 'Scheduled' && phase !== 'Running')) {
      unseen.remove(key);
      return [];
    }
    const pod = uid && world.podByUid(uid);
    if (pod !== undefined) unseen.remove(key);
    else if (unseen.get(key) === undefined) unseen.set(key, nowMs + UNSEEN_MS);
    if (pod?.finished) return [lose(run, 'PodGone')];
    return uid && unhealthy.has(uid) ? [lose(run, 'PodUnhealthy')] : [];
  };

  return {
    apply: (change, nowMs) => {
      switch (change.kind) {
        case 'Pod':
          return onPod(change.before, change.after, nowMs);
        case 'Session': {
          const pod = world.podByUid(change.key);
          if (pod) watchSilence(pod, nowMs);
          return [];
        }
        case 'Run':
          return onRun(change.after, change.key, nowMs);
        case 'Runtime':
        case 'Refused':
        case 'ArtifactsRemoved':
          return [];
        default:
          return change satisfies never;
      }
    },
    dueMs: () => earliest(silent.nextMs(), unseen.nextMs()),
    wake: (nowMs) => [
      ...silent.takeDue(nowMs).flatMap((uid) => {
        unhealthy.add(uid);
        return runsLost(uid, 'PodUnhealthy');
      }),
      ...unseen.takeDue(nowMs).flatMap((key) => {
        const run = world.runs.get(key);
        const uid = run?.status.assignedPodUID as PodUid | undefined;
        return run && !(uid && world.podByUid(uid)) ? [lose(run, 'PodGone')] : [];
      }),
    ],
  };
};
