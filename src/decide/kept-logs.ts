/**
 * Kept logs: a pod says which ended Runs it keeps logs of on its own disk; which of them are gone?
 *
 * A Run's deletion is told to one pod, and only where a store has something of the Run. So the logs of Runs that were
 * deleted while the pod's session was away, of attempts before the last, and of Runs of pods without a store would stay
 * until the pod ends or its disk's share is full. Pods therefore ask, from time to time (`streams/sidecar/kept-logs.ts`);
 * here nothing is remembered of a Run that is gone.
 *
 * The Runs are looked through once for all pods that ask within a second: after a start of the operator all of them do.
 */
import type { Command } from '../model/command.js';
import { namespaceOfKey, type PodUid, type RunUid } from '../model/ids.js';
import type { SessionEvent } from '../model/session.js';
import type { World } from '../model/world.js';
import type { TimedMachine } from './timed-machine.js';

/** How long questions are gathered, milliseconds. */
export const GATHER_MS = 1000;

/** A pod's question. */
export type KeptLogs = Extract<SessionEvent, { kind: 'KeptLogs' }>;

/**
 * The machine behind `streams/pipelines/kept-logs.ts`.
 *
 * @param isWhole whether every Run of the namespace is in the world: a Run that could not be read is not gone
 */
export const keptLogs = (
  world: World,
  isWhole: (namespace: string) => boolean,
): TimedMachine<KeptLogs, Command> => {
  const asked = new Map<PodUid, Set<RunUid>>();
  let answerMs: number | undefined;

  /** A pod that is served, in a namespace of which all Runs are known. */
  const isAnswerable = (podUid: PodUid): boolean => {
    const session = world.sessions.get(podUid);
    return (
      session !== undefined &&
      world.pods.get(session.podKey)?.uid === podUid &&
      isWhole(namespaceOfKey(session.podKey))
    );
  };

  const answer = (): ReadonlyArray<Command> => {
    const gone = new Set<RunUid>();
    for (const runs of asked.values()) for (const uid of runs) gone.add(uid);
    for (const { uid } of world.runs.values()) gone.delete(uid);
    const commands = [...asked].flatMap(([podUid, kept]): ReadonlyArray<Command> => {
      const runs = isAnswerable(podUid) ? [...kept].filter((uid) => gone.has(uid)) : [];
      return runs.length === 0 ? [] : [{ kind: 'ForgetLogs', podUid, runs }];
    });
    asked.clear();
    answerMs = undefined;
    return commands;
  };

  return {
    apply: ({ podUid, runs }, nowMs) => {
      const known = asked.get(podUid) ?? new Set();
      asked.set(podUid, known);
      for (const uid of runs) known.add(uid);
      answerMs ??= nowMs + GATHER_MS;
      return [];
    },
    dueMs: () => answerMs,
    wake: answer,
  };
};
