/**
 * Log sweeps: which pod is to look now for logs in its store that Runs which are gone have left there?
 *
 * A Run that stored nothing but its log has no finalizer, so its log is left behind when no pod has the store at its
 * deletion, or this process is away. So a store is looked through when the first pod that has it appears, which is also
 * what happens when this process has begun; a second time when what was too young at first is old enough; and once a
 * day, for what was missed: a removal that was broken off, a log that was stored late. One listing of a namespace each,
 * by one of the pods. A pod that comes and goes does not make it more often than every ten minutes.
 */
import type { Command } from '../model/command.js';
import { namespaceOfKey, type PodUid } from '../model/ids.js';
import type { Session } from '../model/session.js';
import type { World, WorldChange } from '../model/world.js';
import { MIN_AGE_MS } from './artifacts/log-orphans.js';
import { deadlines } from './deadlines.js';
import type { TimedMachine } from './timed-machine.js';

/** No sooner after another. */
export const LEAST_MS = 600_000;
/** What was stored a moment before the first is as old by then as it has to be, whatever the clocks. */
export const SECOND_MS = MIN_AGE_MS + LEAST_MS;
export const EVERY_MS = 24 * 3_600_000;

type Place = {
  readonly namespace: string;
  readonly store: string;
  readonly servers: Set<PodUid>;
  /** When it was last looked through, and how often since there was no pod. */
  sweptMs: number | undefined;
  passes: number;
};

/** The machine behind `streams/pipelines/log-sweeps.ts`. */
export const logSweeps = (world: World): TimedMachine<WorldChange, Command> => {
  const places = new Map<string, Place>();
  const due = deadlines<string>();

  /** A pod of a namespace that is served: what is known of its Runs is all there is. */
  const isKnown = (session: Session | undefined): session is Session =>
    session !== undefined &&
    session.artifactStore !== '' &&
    world.pods.get(session.podKey)?.uid === session.podUid;

  const keyOf = (session: Session): string => `${namespaceOfKey(session.podKey)} ${session.artifactStore}`;

  const isOther = (before: Session, after: Session | undefined): boolean =>
    after === undefined || keyOf(before) !== keyOf(after);

  const joins = (session: Session, nowMs: number): void => {
    const key = keyOf(session);
    const place = places.get(key) ?? {
      namespace: namespaceOfKey(session.podKey),
      store: session.artifactStore,
      servers: new Set(),
      sweptMs: undefined,
      passes: 0,
    };
    places.set(key, place);
    const { size } = place.servers;
    place.servers.add(session.podUid);
    if (size > 0) return;
    place.passes = 0;
    due.set(key, Math.max(nowMs, (place.sweptMs ?? Number.NEGATIVE_INFINITY) + LEAST_MS));
  };

  const leaves = (session: Session, nowMs: number): void => {
    const key = keyOf(session);
    const place = places.get(key);
    if (!place?.servers.delete(session.podUid) || place.servers.size > 0) return;
    // Remembered for as long as it says that one that comes now is early.
    due.set(key, (place.sweptMs ?? nowMs) + LEAST_MS);
  };

  const sweep = (key: string, nowMs: number): ReadonlyArray<Command> => {
    const place = places.get(key);
    const [podUid] = place?.servers ?? [];
    if (!place || podUid === undefined) {
      places.delete(key);
      return [];
    }
    place.sweptMs = nowMs;
    place.passes += 1;
    due.set(key, nowMs + (place.passes === 1 ? SECOND_MS : EVERY_MS));
    return [{ kind: 'SweepLogs', namespace: place.namespace, podUid, store: place.store }];
  };

  return {
    apply: (change, nowMs) => {
      // A pod whose session opens before it is seen is looked at again when it is.
      const pod = change.kind === 'Pod' && !change.before ? change.after : undefined;
      const session = pod && world.sessions.get(pod.uid);
      if (change.kind === 'Session' && change.before && isOther(change.before, change.after))
        leaves(change.before, nowMs);
      const joined = change.kind === 'Session' ? change.after : session;
      if (isKnown(joined)) joins(joined, nowMs);
      return due.takeDue(nowMs).flatMap((key) => sweep(key, nowMs));
    },
    dueMs: due.nextMs,
    wake: (nowMs) => due.takeDue(nowMs).flatMap((key) => sweep(key, nowMs)),
  };
};
