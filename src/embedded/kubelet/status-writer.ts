/**
 * Writes one Pod's status: one write at a time, always the newest, only when something changed.
 *
 * A merge patch with the resourceVersion it was computed from, because it carries the whole list of conditions, some
 * of which belong to others: a write from a stale view is refused and the status computed again from a fresh one.
 */
import { isDeepStrictEqual } from 'node:util';

import * as E from 'fp-ts/lib/Either.js';

import { forwardMs } from '../../io/wall-clock.js';
import type { EffectError } from '../../model/effect-error.js';
import { isRetryable } from '../../model/effect-error.js';
import { pods } from '../../model/resources.js';
import type { KubePort } from '../../ports.js';
import type { Alarms } from './alarms.js';
import { ask } from './cluster.js';
import { Pod, podKey } from './pod.js';
import { OWN_CONDITIONS, type PodStatus } from './status.js';

export type StatusWriterOptions = Readonly<{
  kube: KubePort;
  alarms: Alarms;
  /** The Pod as last seen and the status it should have; undefined when nothing is to be written. */
  wanted: () => Readonly<{ pod: Pod; status: PodStatus }> | undefined;
  /** A newer Pod, from the answer of a write or a read. */
  onPod: (pod: Pod) => void;
  onGone: () => void;
  onError: (error: EffectError) => void;
}>;

const LONGEST_PAUSE_MS = 5000;

/** The part of a status that is the kubelet's, for comparing. Absent and empty fields are the same. */
const ownPart = (status: Readonly<Record<string, unknown>>): unknown => {
  const { conditions } = status;
  const own = (Array.isArray(conditions) ? conditions : []).filter((condition: unknown) =>
    OWN_CONDITIONS.some(
      (type) =>
        typeof condition === 'object' && condition !== null && 'type' in condition && condition.type === type,
    ),
  );
  return withoutEmpty({
    phase: status.phase,
    conditions: own,
    podIP: status.podIP,
    hostIP: status.hostIP,
    startTime: status.startTime,
    containerStatuses: status.containerStatuses,
    initContainerStatuses: status.initContainerStatuses,
  });
};

const withoutEmpty = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(
        ([, inner]) =>
          inner !== undefined &&
          inner !== null &&
          !(typeof inner === 'object' && Object.keys(inner).length === 0),
      )
      .map(([key, inner]) => [key, withoutEmpty(inner)]),
  );
};

/** Whether writing `status` would change nothing the kubelet owns. */
export const isWritten = (pod: Pod, status: PodStatus): boolean =>
  isDeepStrictEqual(ownPart(pod.status ?? {}), ownPart(status));

export type StatusWriter = Readonly<{
  /** Looks whether something is to be written; resolves when no write is under way or due any more. */
  look: () => Promise<void>;
}>;

export const statusWriter = (options: StatusWriterOptions): StatusWriter => {
  const { kube, alarms, wanted, onPod, onGone, onError } = options;
  let writing: Promise<void> | undefined;
  let again = false;
  let pauseMs = 0;

  const take = (answer: unknown): void => {
    const pod = Pod.decode(answer);
    if (E.isRight(pod)) onPod(pod.right);
  };

  const writeOnce = async (): Promise<void> => {
    const next = wanted();
    if (next === undefined || isWritten(next.pod, next.status)) return;
    const { name, namespace, resourceVersion, uid } = next.pod.metadata;
    const ref = { namespace, name };
    const answer = await ask(
      kube.patch(
        pods,
        ref,
        { type: 'merge', body: { metadata: { resourceVersion, uid }, status: next.status } },
        { subresource: 'status' },
      ),
    );
    if (E.isRight(answer)) {
      pauseMs = 0;
      take(answer.right);
      return;
    }
    if (answer.left.kind === 'NotFound') return onGone();
    if (answer.left.kind === 'Conflict') {
      const fresh = await ask(kube.get(pods, ref));
      if (E.isRight(fresh)) take(fresh.right);
      else if (fresh.left.kind === 'NotFound') return onGone();
    } else onError(answer.left);
    if (answer.left.kind === 'Conflict' && pauseMs === 0) {
      pauseMs = 1;
      again = true;
      return;
    }
    if (!isRetryable(answer.left) && answer.left.kind !== 'Conflict') return;
    pauseMs = Math.min(Math.max(pauseMs * 2, 50), LONGEST_PAUSE_MS);
    alarms.set(`status ${podKey(next.pod)} ${uid}`, forwardMs() + pauseMs, () => void look());
  };

  const drain = async (): Promise<void> => {
    do {
      again = false;
      await writeOnce();
    } while (again);
    writing = undefined;
  };

  const look = (): Promise<void> => {
    again = true;
    writing ??= drain();
    return writing;
  };

  return { look };
};
