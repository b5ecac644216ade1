/**
 * What was asked of pods and is not to be seen in the cache yet, so that a decision is not repeated meanwhile.
 *
 * An entry lasts from the command until the cache holds a version of the pod that the command's write is part of. A
 * command that failed is forgotten at once: the next look asks again. O(1) per call.
 */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import type { Command } from '../model/command.js';
import type { PodUid } from '../model/ids.js';
import type { Outcome } from '../model/outcome.js';
import type { PodRecord } from '../model/pod.js';

/** Commands that write to one pod. */
type PodCommand = Extract<Command, Readonly<{ pod: PodRecord }>>;

/** The memory of one decision. */
export type Asked = Readonly<{
  /** The last command of that kind for the pod, unless the pod as it is now shows its effect or it failed. */
  of: <K extends PodCommand['kind']>(
    pod: PodRecord,
    kind: K,
  ) => Extract<PodCommand, Readonly<{ kind: K }>> | undefined;
  put: (command: PodCommand) => void;
  /** Takes in what became of a command. */
  settle: (command: PodCommand, outcome: Outcome) => void;
  /** The pod is gone. */
  forget: (uid: PodUid) => void;
}>;

const Written = t.type({ metadata: t.type({ resourceVersion: t.string }) });

/** Version of the object that a write was answered with; never, where the answer is none. */
const versionOf = (object: unknown): number => {
  const written = Written.decode(object);
  return E.isRight(written) ? Number(written.right.metadata.resourceVersion) : Infinity;
};

/** `seenFrom`: the pod's version from which on the cache speaks for itself. */
type Entry = { readonly command: PodCommand; seenFrom: number };

/** An empty memory. */
export const asked = (): Asked => {
  const byPod = new Map<PodUid, Map<string, Entry>>();
  const remove = (uid: PodUid, kind: string): void => {
    const entries = byPod.get(uid);
    entries?.delete(kind);
    if (entries?.size === 0) byPod.delete(uid);
  };
  return {
    of: <K extends PodCommand['kind']>(pod: PodRecord, kind: K) => {
      const entry = byPod.get(pod.uid)?.get(kind);
      if (entry === undefined) return undefined;
      if (Number(pod.resourceVersion) < entry.seenFrom)
        return entry.command as Extract<PodCommand, Readonly<{ kind: K }>>;
      remove(pod.uid, kind);
      return undefined;
    },
    put: (command) => {
      const entries = byPod.get(command.pod.uid) ?? new Map<string, Entry>();
      byPod.set(command.pod.uid, entries.set(command.kind, { command, seenFrom: Infinity }));
    },
    settle: (command, outcome) => {
      const entry = byPod.get(command.pod.uid)?.get(command.kind);
      // A newer command of the kind has taken its place.
      if (entry?.command !== command) return;
      // A deleted pod stays deleted: its end is an event of its own.
      if (outcome.kind === 'Done' && command.kind === 'DeletePod') return;
      if (outcome.kind === 'Done') entry.seenFrom = versionOf(outcome.object);
      else remove(command.pod.uid, command.kind);
    },
    forget: (uid) => {
      byPod.delete(uid);
    },
  };
};
