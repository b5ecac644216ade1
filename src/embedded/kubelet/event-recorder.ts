/**
 * Kubernetes Events about Pods. Equal ones within the recorder's memory are counted up rather than written anew;
 * writing is best effort and never holds anything up.
 */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { events } from '../../model/resources.js';
import type { KubePort } from '../../ports.js';
import { ask } from './cluster.js';
import type { Pod } from './pod.js';

export type EventRecorder = Readonly<{
  record: (pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string, container?: string) => void;
}>;

const Named = t.type({ metadata: t.type({ name: t.string }) });

/** Events remembered for counting. */
const MOST_REMEMBERED = 512;
/** Least time between two counts of one event, milliseconds: a probe that fails each second is not a write a second. */
const COUNT_EVERY_MS = 30_000;

type Remembered = { name: string | undefined; count: number; writtenAtMs: number };

export const eventRecorder = (kube: KubePort, nodeName: string, component = 'kubelet'): EventRecorder => {
  const known = new Map<string, Remembered>();

  const create = async (
    pod: Pod,
    type: string,
    reason: string,
    message: string,
    container: string | undefined,
    remembered: Remembered,
  ): Promise<void> => {
    const now = new Date(remembered.writtenAtMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
    const { name, namespace, uid, resourceVersion } = pod.metadata;
    const answer = await ask(
      kube.create(events, namespace, {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { generateName: `${name.slice(0, 200)}.`, namespace },
        involvedObject: {
          apiVersion: 'v1',
          kind: 'Pod',
          name,
          namespace,
          uid,
          ...(resourceVersion === undefined ? {} : { resourceVersion }),
          ...(container === undefined ? {} : { fieldPath: `spec.containers{${container}}` }),
        },
        type,
        reason,
        message,
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
        source: { component, host: nodeName },
        reportingComponent: component,
        reportingInstance: nodeName,
      }),
    );
    const decoded = E.isRight(answer) ? Named.decode(answer.right) : answer;
    if (E.isRight(decoded)) remembered.name = decoded.right.metadata.name;
  };

  const count = async (namespace: string, remembered: Remembered): Promise<void> => {
    if (remembered.name === undefined) return;
    const lastTimestamp = new Date(remembered.writtenAtMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
    await ask(
      kube.patch(
        events,
        { namespace, name: remembered.name },
        { type: 'merge', body: { count: remembered.count, lastTimestamp } },
      ),
    );
  };

  return {
    record: (pod, type, reason, message, container) => {
      const key = [pod.metadata.uid, type, reason, message, container ?? ''].join('\0');
      const nowMs = Date.now();
      const remembered = known.get(key);
      if (remembered === undefined) {
        if (known.size >= MOST_REMEMBERED)
          for (const oldest of known.keys()) {
            known.delete(oldest);
            break;
          }
        const first: Remembered = { name: undefined, count: 1, writtenAtMs: nowMs };
        known.set(key, first);
        void create(pod, type, reason, message, container, first);
        return;
      }
      remembered.count += 1;
      if (nowMs - remembered.writtenAtMs < COUNT_EVERY_MS) return;
      remembered.writtenAtMs = nowMs;
      void count(pod.metadata.namespace, remembered);
    },
  };
};
