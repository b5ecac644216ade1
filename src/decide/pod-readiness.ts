/**
 * Readiness: what should each pod's condition kruntimes.io/RuntimedReady say?
 *
 * True with a healthy session; False at once when runtimed itself says so. A session that is merely lost leaves the
 * condition alone for `LOST_MS`: sessions come back within seconds, and an operator that starts has none yet. It is
 * also left alone on a pod that the kubelet calls not ready, whose state is then plain without us.
 */
import type { Command } from '../model/command.js';
import type { PodUid } from '../model/ids.js';
import type { PodRecord } from '../model/pod.js';
import type { World, WorldChange } from '../model/world.js';
import { deadlines } from './deadlines.js';
import type { TimedMachine } from './timed-machine.js';

/** How long a lost session leaves the condition as it is, milliseconds. */
export const LOST_MS = 60_000;

/** The machine behind `streams/pipelines/pod-readiness.ts`. */
export const podReadiness = (world: World): TimedMachine<WorldChange, Command> => {
  const lost = deadlines<PodUid>();

  const set = (
    pod: PodRecord,
    status: 'True' | 'False',
    reason: string,
    message: string,
  ): ReadonlyArray<Command> =>
    pod.runtimedReady === status ? [] : [{ kind: 'PatchPodReady', pod, status, reason, message }];

  const look = (uid: PodUid, nowMs: number): ReadonlyArray<Command> => {
    const pod = world.podByUid(uid);
    const session = world.sessions.get(uid);
    if (!pod || session || pod.runtimedReady !== 'True') lost.remove(uid);
    else if (lost.get(uid) === undefined) lost.set(uid, nowMs + LOST_MS);
    if (!pod || !session || pod.finished) return [];
    if (session.draining)
      return set(pod, 'False', 'Draining', 'runtimed takes no more Runs: the pod is to end');
    return session.healthy
      ? set(pod, 'True', 'SessionOpen', 'runtimed has a session and its Runtime Server answers')
      : set(
          pod,
          'False',
          'RuntimeServerUnhealthy',
          session.healthMessage || 'the Runtime Server does not answer',
        );
  };

  return {
    apply: (change, nowMs) => {
      if (change.kind === 'Session') return look(change.key, nowMs);
      return change.kind === 'Pod' && change.after ? look(change.after.uid, nowMs) : [];
    },
    dueMs: lost.nextMs,
    wake: (nowMs) =>
      lost.takeDue(nowMs).flatMap((uid) => {
        const pod = world.podByUid(uid);
        return pod?.ready
          ? set(pod, 'False', 'SessionLost', `runtimed has had no session for ${LOST_MS / 1000} s`)
          : [];
      }),
  };
};
