/** A Runtime Pod, reduced to what decisions need. */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { type ObjectKey, objectKey, PodUid } from './ids.js';
import { Condition, Metadata } from './metadata.js';
import {
  CAPACITY_PREFIX,
  CLEANS_KEY,
  CORDONED_KEY,
  REVISION_KEY,
  RUNTIME_KEY,
  RUNTIMED_READY,
} from './names.js';
import { Amounts } from './run.js';
import { type Micros, parseInstant } from './time.js';

const Waiting = t.partial({ reason: t.string, message: t.string });
const Terminated = t.partial({ reason: t.string, message: t.string, exitCode: t.number, signal: t.number });
const ContainerStatus = t.intersection([
  t.type({ name: t.string }),
  t.partial({
    ready: t.boolean,
    restartCount: t.number,
    state: t.partial({ waiting: Waiting, terminated: Terminated }),
    lastState: t.partial({ terminated: Terminated }),
  }),
]);

const PodObject = t.intersection([
  t.type({ metadata: Metadata }),
  t.partial({
    status: t.partial({
      phase: t.string,
      reason: t.string,
      message: t.string,
      conditions: t.array(Condition),
      containerStatuses: t.array(ContainerStatus),
      initContainerStatuses: t.array(ContainerStatus),
    }),
  }),
]);

/** Why a pod's container does not run, in the kubelet's words. */
export type PodTrouble = Readonly<{ reason: string; message: string }>;

/** A Runtime Pod as cached. */
export type PodRecord = Readonly<{
  key: ObjectKey;
  namespace: string;
  name: string;
  uid: PodUid;
  resourceVersion: string;
  /** Key of the Runtime it belongs to. */
  runtime: ObjectKey;
  /** UID of the owning Runtime; a pod of a deleted and re-created Runtime is not its successor's. */
  ownerUid: string | undefined;
  revision: string;
  capacity: Amounts;
  createdAt: Micros;
  /** deletionTimestamp is set. */
  terminating: boolean;
  cordonedSince: Micros | undefined;
  /** It has ended as a whole: phase Failed or Succeeded. */
  finished: boolean;
  /** The kubelet's Ready condition, readiness gates included. */
  ready: boolean;
  /** The kubelet's ContainersReady condition. */
  containersReady: boolean;
  /** Our own condition as it stands. */
  runtimedReady: Condition['status'] | undefined;
  trouble: PodTrouble | undefined;
  /** It belongs to no Runtime and only removes artifacts, in this store. */
  cleans?: string;
}>;

const HARMLESS = new Set(['ContainerCreating', 'PodInitializing']);

/** The capacity that a pod's annotations state. */
const statedCapacity = (annotations: Readonly<Record<string, string>>): Amounts => {
  const stated = Object.fromEntries(
    Object.entries(annotations)
      .filter(([key]) => key.startsWith(CAPACITY_PREFIX))
      .map(([key, value]) => [key.slice(CAPACITY_PREFIX.length), value]),
  );
  const decoded = Amounts.decode(stated);
  return E.isRight(decoded) ? decoded.right : {};
};

const troubleOf = (status: t.TypeOf<typeof PodObject>['status']): PodTrouble | undefined => {
  if (status?.phase === 'Failed')
    return { reason: status.reason ?? 'PodFailed', message: status.message ?? 'the pod has failed' };
  for (const { name, state } of [
    ...(status?.initContainerStatuses ?? []),
    ...(status?.containerStatuses ?? []),
  ]) {
    const { waiting, terminated } = state ?? {};
    if (waiting?.reason && !HARMLESS.has(waiting.reason))
      return { reason: waiting.reason, message: `container ${name}: ${waiting.message ?? waiting.reason}` };
    if (terminated && (terminated.exitCode ?? 0) !== 0)
      return {
        reason: terminated.reason ?? 'Error',
        message: `container ${name} ended with exit code ${terminated.exitCode ?? '?'}`,
      };
  }
  const unscheduled = status?.conditions?.find((c) => c.type === 'PodScheduled' && c.status === 'False');
  return unscheduled
    ? {
        reason: unscheduled.reason ?? 'Unschedulable',
        message: unscheduled.message ?? 'no node takes the pod',
      }
    : undefined;
};

/** Object of the API → PodRecord; fails for a pod that carries no Runtime label. */
export const Pod = new t.Type<PodRecord, unknown, unknown>(
  'Pod',
  (u): u is PodRecord => typeof u === 'object' && u !== null && 'containersReady' in u,
  (u, context) => {
    const decoded = PodObject.validate(u, context);
    if (E.isLeft(decoded)) return decoded;
    const { metadata, status } = decoded.right;
    const namespace = metadata.namespace ?? '';
    const runtime = metadata.labels?.[RUNTIME_KEY];
    const uid = PodUid.validate(metadata.uid, context);
    if (E.isLeft(uid)) return uid;
    if (runtime === undefined) return t.failure(u, context, `carries no label ${RUNTIME_KEY}`);
    const isTrue = (type: string): boolean =>
      status?.conditions?.some((c) => c.type === type && c.status === 'True') ?? false;
    const cleans = metadata.annotations?.[CLEANS_KEY];
    const cordoned = metadata.annotations?.[CORDONED_KEY];
    return t.success({
      key: objectKey(namespace, metadata.name),
      namespace,
      name: metadata.name,
      uid: uid.right,
      resourceVersion: metadata.resourceVersion,
      runtime: objectKey(namespace, runtime),
      ownerUid: metadata.ownerReferences?.find((o) => o.controller)?.uid,
      revision: metadata.labels?.[REVISION_KEY] ?? '',
      capacity: statedCapacity(metadata.annotations ?? {}),
      createdAt: parseInstant(metadata.creationTimestamp) ?? (0 as Micros),
      terminating: metadata.deletionTimestamp !== undefined,
      cordonedSince: cordoned === undefined ? undefined : (parseInstant(cordoned) ?? (0 as Micros)),
      finished: status?.phase === 'Failed' || status?.phase === 'Succeeded',
      ready: isTrue('Ready'),
      containersReady: isTrue('ContainersReady'),
      runtimedReady: status?.conditions?.find((c) => c.type === RUNTIMED_READY)?.status,
      trouble: troubleOf(status),
      ...(runtime === '' && cleans !== undefined ? { cleans } : {}),
    });
  },
  t.identity,
);
