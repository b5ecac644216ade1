/**
 * A Run as the operator caches it: what decisions need, and no script of a Run that is placed or has ended.
 */
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { type ObjectKey, objectKey, RunUid } from './ids.js';
import { ABANDON_KEY, ARTIFACT_FINALIZER } from './names.js';
import {
  type Amounts,
  isTerminal,
  type PastAttempt,
  type RetryPolicy,
  Run,
  type RunStatus,
  requests,
  retryPolicy,
} from './run.js';
import { type Micros, parseInstant } from './time.js';

/**
 * Scripts up to this many characters are kept while a Run waits and travel with its assignment; a longer one is read
 * from the API by the pod that executes it, so that a backlog costs memory by count, not by script.
 */
export const MAX_CACHED_SOURCE = 16_384;

/** A Run as cached. */
export type RunRecord = Readonly<{
  key: ObjectKey;
  namespace: string;
  name: string;
  uid: RunUid;
  resourceVersion: string;
  createdAt: Micros;
  runtime: ObjectKey;
  requests: Amounts;
  timeoutMs: number | undefined;
  retry: RetryPolicy;
  cancelRequested: boolean;
  ttlSeconds: number | undefined;
  deleting: boolean;
  /** Undefined: none. */
  finalizers: ReadonlyArray<string> | undefined;
  /** The log of an attempt, or some of it, is or will be in its Runtime's store, if it has one. */
  logged: boolean;
  /** Its artifacts are to be left where they are. */
  abandoned: boolean;
  /** Of a Run that has ended: phase, assignedPod and completionTime alone. */
  status: RunStatus;
  /** The object as read, managedFields left out, while it waits and is small. */
  object: Readonly<Record<string, unknown>> | undefined;
}>;

const DEFAULT_RETRY: RetryPolicy = { maxAttempts: 1, backoffMs: 1000, reasons: [] };
const ONE_RUN: Amounts = { runs: 1 };

const trimmedStatus = (status: RunStatus): RunStatus =>
  isTerminal(status.phase)
    ? {
        phase: status.phase,
        ...(status.assignedPod === undefined ? {} : { assignedPod: status.assignedPod }),
        ...(status.completionTime === undefined ? {} : { completionTime: status.completionTime }),
        ...(status.attempt === undefined ? {} : { attempt: status.attempt }),
        ...(status.exitCode === undefined ? {} : { exitCode: status.exitCode }),
        ...(status.message === undefined ? {} : { message: status.message }),
        ...(status.artifactStores === undefined ? {} : { artifactStores: status.artifactStores }),
      }
    : status;

const assignable = (u: unknown, run: Run): Readonly<Record<string, unknown>> | undefined => {
  const phase = run.status?.phase;
  if (phase !== undefined && phase !== 'Pending') return undefined;
  if ((run.spec.source?.inline?.length ?? 0) > MAX_CACHED_SOURCE) return undefined;
  const { managedFields: _fields, ...metadata } = (u as { metadata: Record<string, unknown> }).metadata;
  return { ...(u as Record<string, unknown>), metadata };
};

const ONLY_OURS: ReadonlyArray<string> = [ARTIFACT_FINALIZER];

/** One array for the many that have no other. */
const sharedFinalizers = (
  finalizers: ReadonlyArray<string> | undefined,
): ReadonlyArray<string> | undefined => {
  if (finalizers === undefined || finalizers.length === 0) return undefined;
  return finalizers.length === 1 && finalizers[0] === ARTIFACT_FINALIZER ? ONLY_OURS : finalizers;
};

/** Whether it carries the finalizer of stored artifacts. */
export const isMarked = ({ finalizers }: Pick<RunRecord, 'finalizers'>): boolean =>
  finalizers?.includes(ARTIFACT_FINALIZER) ?? false;

/** An attempt that started and says nothing of its log was lost with its pod, which may have stored some of it. */
const mayHaveLog = ({ logRef, startTime }: Pick<PastAttempt, 'logRef' | 'startTime'>): boolean =>
  logRef === undefined ? startTime !== undefined : logRef.location !== undefined;

const isLogged = (status: RunStatus = {}): boolean =>
  mayHaveLog(status) || (status.attemptHistory ?? []).some(mayHaveLog);

/** A decoded Run → its record. `u` is the object it was decoded from. */
const recordOf = (u: unknown, run: Run): RunRecord => {
  const { metadata, spec } = run;
  const namespace = metadata.namespace ?? '';
  return {
    key: objectKey(namespace, metadata.name),
    namespace,
    name: metadata.name,
    uid: metadata.uid as RunUid,
    resourceVersion: metadata.resourceVersion,
    createdAt: parseInstant(metadata.creationTimestamp) ?? (0 as Micros),
    runtime: objectKey(namespace, spec.runtime),
    requests: spec.resources?.requests === undefined ? ONE_RUN : requests(spec),
    timeoutMs: spec.timeout,
    retry: spec.retryPolicy === undefined ? DEFAULT_RETRY : retryPolicy(spec),
    cancelRequested: spec.cancelRequested ?? false,
    ttlSeconds: spec.ttlSecondsAfterFinished,
    deleting: metadata.deletionTimestamp !== undefined,
    finalizers: sharedFinalizers(metadata.finalizers),
    logged: isLogged(run.status),
    abandoned: metadata.annotations?.[ABANDON_KEY] === 'true',
    status: trimmedStatus(run.status ?? {}),
    object: assignable(u, run),
  };
};

/** Object of the API → RunRecord. */
export const CachedRun = new t.Type<RunRecord, unknown, unknown>(
  'Run',
  (u): u is RunRecord => typeof u === 'object' && u !== null && 'retry' in u,
  (u, context) => {
    const run = Run.validate(u, context);
    if (E.isLeft(run)) return run;
    const uid = RunUid.validate(run.right.metadata.uid, context);
    return E.isLeft(uid) ? uid : t.success(recordOf(u, run.right));
  },
  t.identity,
);
