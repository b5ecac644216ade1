/**
 * The outside as the streams see it: types alone. Adapters are in `src/io`, fakes in `test/support`.
 *
 * A call is an Observable of exactly one Either and then completion; unsubscribing cancels it. Observables rather
 * than Promises, because virtual time does not run promises and because cancelling is half of what we do.
 */
import type { Either } from 'fp-ts/lib/Either.js';
import type { Observable, SchedulerLike } from 'rxjs';

import type { EffectError } from './model/effect-error.js';
import type { PodUid, RunUid } from './model/ids.js';
import type { Resource } from './model/resource.js';
import type { AttemptRef, SessionEvent } from './model/session.js';

/** Timers, the wall clock, which may be set, and one of milliseconds that is not. */
export type SettableClock = SchedulerLike & Readonly<{ steadyMs: () => number }>;

/** One call: one item, then complete. Never errors; a failure is a Left. */
export type Effect<A> = Observable<Either<EffectError, A>>;

/** Names one object; `namespace` is '' for cluster-scoped ones. */
export type ObjectRef = Readonly<{ namespace: string; name: string }>;

/** What to select. No namespace means all. */
export type Selection = Readonly<{
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}>;

/** One page of a list; `items` are as the API sent them, to be decoded by whoever reads them. */
export type ListPage = Readonly<{
  items: ReadonlyArray<unknown>;
  resourceVersion: string;
  /** Absent on the last page. */
  continue?: string;
}>;

/** One line of a watch. `Closed` does not exist: the stream completes. */
export type WatchFrame =
  | Readonly<{ type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: unknown }>
  | Readonly<{ type: 'BOOKMARK'; resourceVersion: string }>;

/** A patch and how it is to be read. */
export type Patch =
  | Readonly<{ type: 'merge'; body: unknown }>
  | Readonly<{ type: 'strategic'; body: unknown }>
  | Readonly<{ type: 'json'; body: ReadonlyArray<JsonPatchOperation> }>
  | Readonly<{ type: 'apply'; body: unknown; fieldManager: string; force: boolean }>;

/** RFC 6902, as far as we use it. */
export type JsonPatchOperation =
  | Readonly<{ op: 'test' | 'add' | 'replace'; path: string; value: unknown }>
  | Readonly<{ op: 'remove'; path: string }>;

/** Options of every write. */
export type WriteOptions = Readonly<{
  subresource?: string;
  dryRun?: boolean;
  fieldManager?: string;
  fieldValidation?: 'Strict' | 'Warn' | 'Ignore';
}>;

export type PatchOptions = WriteOptions &
  Readonly<{
    /** That it was done is all that is asked: the object in the answer is not read, and undefined is given back. */
    isAnswerUnread?: true;
  }>;

export type DeleteOptions = Readonly<{
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan';
  /** Delete only this incarnation. */
  uid?: string;
  resourceVersion?: string;
  dryRun?: boolean;
}>;

/** The Kubernetes API, one kind-agnostic client over one kept-alive transport. */
export type KubePort = Readonly<{
  get: (resource: Resource, ref: ObjectRef) => Effect<unknown>;
  list: (
    resource: Resource,
    selection: Selection,
    page?: Readonly<{ limit?: number; continue?: string; resourceVersion?: string }>,
  ) => Effect<ListPage>;
  /**
   * Frames from `resourceVersion` on; completes when the server closes the stream. Once the server has accepted the
   * watch, a first BOOKMARK repeats the version asked for, so that a quiet watch is known to be open. A failure is one
   * Left (`Gone` for 410, in whichever form it came) and then completion. Silence longer than `idleMs` (bookmarks
   * count as sound) is a Left `Timeout`.
   */
  watch: (
    resource: Resource,
    selection: Selection,
    options: Readonly<{ resourceVersion: string; timeoutSeconds: number; idleMs: number }>,
  ) => Observable<Either<EffectError, WatchFrame>>;
  create: (resource: Resource, namespace: string, body: unknown, options?: WriteOptions) => Effect<unknown>;
  replace: (resource: Resource, ref: ObjectRef, body: unknown, options?: WriteOptions) => Effect<unknown>;
  patch: (resource: Resource, ref: ObjectRef, patch: Patch, options?: PatchOptions) => Effect<unknown>;
  delete: (resource: Resource, ref: ObjectRef, options?: DeleteOptions) => Effect<unknown>;
}>;

/** The operator's side of all sessions. Sends go to an open session or nowhere: false says there is none. */
export type SessionPort = Readonly<{
  events$: Observable<SessionEvent>;
  /** `run` is the Run as JSON, empty when the pod is to read it from the API. */
  assign: (pod: PodUid, attempt: AttemptRef, run: Uint8Array) => boolean;
  cancel: (pod: PodUid, attempt: AttemptRef, reason: 'Cancelled' | 'Timeout') => boolean;
  drain: (pod: PodUid) => boolean;
  /** Remove what the Run has in that store; the answer is an event. */
  removeArtifacts: (pod: PodUid, runUid: RunUid, store: string) => boolean;
  /** Remove the logs in that store that other Runs than these have left; those of this installation alone. */
  sweepLogs: (pod: PodUid, store: string, installation: string, runs: ReadonlyArray<RunUid>) => boolean;
  /** These Runs are gone: no log of them is to be kept in the pod. */
  forgetLogs: (pod: PodUid, runs: ReadonlyArray<RunUid>) => boolean;
}>;
