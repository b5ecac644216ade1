/**
 * Readiness: what should each pod's condition kruntimes.io/RuntimedReady say?
 *
 * True with a healthy session; False at once when runtimed itself says so. A session that is merely lost leaves the
 * condition alone for `LOST_MS`: sessions come back within seconds, and an operator that starts has none yet. It is
 * also left alone on a pod that the kubelet calls not ready, whose state is then plain without us. Each state is asked
 * for once; again only when the write fails, or when the pod's state has moved away.
 */
import type { Command } from '../model/command.js';
import type { PodUid } from '../model/ids.js';
import type { News } from '../model/news.js';
import type { PodRecord } from '../model/pod.js';
import type { World, WorldChange } from '../model/world.js';
import { asked } from './asked.js';
import { deadlines } from './deadlines.js';
import { earliest, type TimedMachine } from './timed-machine.js';

/** How long a lost session leaves the condition as it is, milliseconds. */
export const LOST_MS = 60_000;
/** Wait before a refused write is asked for again, milliseconds. */
export const REFUSED_MS = 5000;

type Claim = Readonly<{ status: 'True' | 'False'; reason: string; message: string }>;

const LOST: Claim = {
  status: 'False',
  reason: 'SessionLost',
  message: `runtimed has had no session for ${LOST_MS / 1000} s`,
};

/** What the pod's session says of it; nothing without one. */
const claimOf = (world: World, uid: PodUid): Claim | undefined => {
  const session = world.sessions.get(uid);
  if (!session) return undefined;
  if (session.draining)
    return {
      status: 'False',
      reason: 'Draining',
      message: 'runtimed takes no more Runs: the pod is to end',
    };
  return session.healthy
    ? {
        status: 'True',
        reason: 'SessionOpen',
        message: 'runtimed has a session and its Runtime Server answers',
      }
    : {
        status: 'False',
        reason: 'RuntimeServerUnhealthy',
        message: session.healthMessage || 'the Runtime Server does not answer',
      };
};

/** The machine behind `streams/pipelines/pod-readiness.ts`. */
export const podReadiness = (world: World): TimedMachine<News, Command> => {
  const lost = deadlines<PodUid>();
  const refused = deadlines<PodUid>();
  const writes = asked();

  const set = (pod: PodRecord, claim: Claim): ReadonlyArray<Command> => {
    const stated = writes.of(pod, 'PatchPodReady')?.status ?? pod.runtimedReady;
    if (stated === claim.status) return [];
    const command = { kind: 'PatchPodReady', pod, ...claim } as const;
    writes.put(command);
    return [command];
  };

  const look = (uid: PodUid, nowMs: number): ReadonlyArray<Command> => {
    const pod = world.podByUid(uid);
    const claim = claimOf(world, uid);
    if (!pod || claim || pod.runtimedReady !== 'True') lost.remove(uid);
    else if (lost.get(uid) === undefined) lost.set(uid, nowMs + LOST_MS);
    return pod && claim && !pod.finished && pod.cleans === undefined ? set(pod, claim) : [];
  };

  const onChange = (change: WorldChange, nowMs: number): ReadonlyArray<Command> => {
    if (change.kind === 'Session') return look(change.key, nowMs);
    if (change.kind !== 'Pod') return [];
    if (change.before && change.before.uid !== change.after?.uid) {
      const { uid } = change.before;
      for (const forgetful of [lost, refused]) forgetful.remove(uid);
      writes.forget(uid);
    }
    return change.after ? look(change.after.uid, nowMs) : [];
  };

  return {
    apply: (news, nowMs) => {
      if (news.kind === 'Change') return onChange(news.change, nowMs);
      const { outcome } = news;
      if (outcome.command.kind !== 'PatchPodReady') return [];
      writes.settle(outcome.command, outcome);
      if (outcome.kind === 'Failed') refused.set(outcome.command.pod.uid, nowMs + REFUSED_MS);
      return [];
    },
    dueMs: () => earliest(lost.nextMs(), refused.nextMs()),
    wake: (nowMs) => [
      ...refused.takeDue(nowMs).flatMap((uid) => look(uid, nowMs)),
      ...lost.takeDue(nowMs).flatMap((uid) => {
        const pod = world.podByUid(uid);
        return pod?.ready ? set(pod, LOST) : [];
      }),
    ],
  };
};
