/** What the sidecar's commands do: each effect joins the adapters for one command and logs what became of it. */
import * as E from 'fp-ts/lib/Either.js';
import {
  catchError,
  concat,
  defer,
  EMPTY,
  finalize,
  from,
  ignoreElements,
  map,
  merge,
  type Observable,
  of,
  type Subject,
  tap,
} from 'rxjs';

import type { SidecarEffects } from '../../streams/runtimed.js';
import type { RunEvent } from '../decide/lifecycle.js';
import { type Assignment, type AttemptInput, type AttemptRef, idOf } from '../decide/sidecar/attempt.js';
import type { Folders } from '../decide/sidecar/environment.js';
import type { GitSources } from '../io/git/sources.js';
import type { Log } from '../io/log.js';
import type { RunLogs } from '../io/run-logs/run-logs.js';
import type { LogShipper } from '../io/run-logs/ship.js';
import { type WriterPorts, type Written, writeStatus } from '../io/runs/status-writer.js';
import type { Call, RuntimeServerClient } from '../io/runtime-server/client.js';
import type { AttemptFiles } from '../io/workspace/attempt-files.js';
import { cleanPatiently } from '../io/workspace/clean.js';
import { prepareWorkspace } from '../io/workspace/prepare.js';
import { recordEnd } from '../io/workspace/records.js';
import type { Micros } from '../model/time.js';
import type { KubePort } from '../ports.js';
import type { PodArtifacts } from './artifacts.js';

export type EffectParts = Readonly<{
  folders: Folders;
  podUid: string;
  kube: Pick<KubePort, 'get' | 'patch'>;
  server: RuntimeServerClient;
  logs: RunLogs;
  artifacts: PodArtifacts;
  /** Brings logs into the store and says where they are there; undefined: the pod has none. */
  shipping: Readonly<{ shipper: LogShipper; locationOf: (ref: AttemptRef) => string }> | undefined;
  git: GitSources;
  files: AttemptFiles;
  /** Told of executions that were accepted. */
  executedSubject: Subject<string>;
  log: Log;
  now: () => Micros;
}>;

/** Of what is not waited for. */
const NEVER_ABORTED = new AbortController().signal;

/** The fields by which an attempt is found in the log. */
export const logFields = (ref: AttemptRef): Readonly<Record<string, unknown>> => ({
  run: `${ref.namespace}/${ref.name}`,
  uid: ref.uid,
  attempt: ref.attempt,
});

const logWritten = (log: Log, assignment: Assignment, event: RunEvent, written: Written): void => {
  const fields = { ...logFields(assignment.ref), event: event.kind };
  if (written.kind === 'StatusUnwritten') log.warn(fields, 'status not written, the api is away');
  if (written.kind !== 'StatusWritten') return;
  const { phase, exitCode } = written.status;
  if (event.kind !== 'AttemptEnded') {
    log.info({ ...fields, phase }, 'status written');
    return;
  }
  const reason = event.result.kind === 'Failed' ? event.result.reason : event.result.kind;
  log.info({ ...fields, phase, reason, exitCode }, 'attempt ended');
};

/** The effects over their adapters. */
export const sidecarEffects = ({
  folders,
  podUid,
  kube,
  server,
  logs,
  artifacts,
  shipping,
  git,
  files,
  executedSubject,
  log,
  now,
}: EffectParts): SidecarEffects => {
  const writer: WriterPorts = {
    kube,
    podUid,
    hold: (assignment, event) =>
      recordEnd(folders, podUid, assignment, event).catch((err: unknown) => {
        log.error({ ...logFields(assignment.ref), err }, 'end cannot be kept on disk');
      }),
    onRetry: ({ ref }, error, retryInMs) =>
      log.warn(
        { ...logFields(ref), err: error, errKind: error.kind, nextAttemptMs: Math.round(retryInMs) },
        'status write failed, trying again',
      ),
  };
  const givingBack = new Set<string>();
  /** Fetches under way. */
  const preparing = new Map<string, AbortController>();

  /** An end with the place of its log, however it came about; known before the log is there. */
  const withLog = ({ ref }: Assignment, event: RunEvent): RunEvent => {
    if (!shipping || event.kind !== 'AttemptEnded' || event.log !== undefined) return event;
    logs.finish(idOf(ref), now());
    const extent = logs.extent(idOf(ref));
    if (!extent) return event;
    const { records, bytes: sizeBytes } = extent;
    const location = records > 0 ? { location: shipping.locationOf(ref) } : {};
    return { ...event, log: { ...location, records, sizeBytes } };
  };

  const write = (assignment: Assignment, told: RunEvent): Observable<Written> =>
    defer(() => {
      const event = withLog(assignment, told);
      return writeStatus(assignment, event, writer).pipe(
        tap((written) => logWritten(log, assignment, event, written)),
      );
    });

  /** The end was not ours to write: what is in the store of a Run that is gone goes, the log of another is kept. */
  const disown = async (ref: AttemptRef, stored: boolean, wrote: boolean): Promise<void> => {
    const isShipped = await shipping?.shipper.drop(idOf(ref));
    if (!stored && !isShipped && !wrote) return;
    if (await artifacts.discard(ref, stored)) shipping?.shipper.ended(idOf(ref));
  };

  /**
   * A call whose failure is only worth a log record: the news of the server say what became of it. What the server does
   * not know is ended and forgotten already.
   */
  const told = (what: string, id: string, call$: Call<unknown>): Observable<never> =>
    call$.pipe(
      tap((answer) => {
        if (E.isLeft(answer) && answer.left.kind !== 'NotFound')
          log.warn({ execution: id, err: answer.left }, what);
      }),
      ignoreElements(),
    );

  return {
    prepare: (assignment, work) =>
      defer(() => {
        log.info(logFields(assignment.ref), 'attempt admitted');
        logs.open({ ref: assignment.ref, runtime: assignment.runtime });
        const prepared = (signal: AbortSignal): Observable<AttemptInput> =>
          from(prepareWorkspace(folders, podUid, assignment, work, { git, files, signal }));
        if (work.source?.repoURL === undefined) return prepared(NEVER_ABORTED);
        const id = idOf(assignment.ref);
        const controller = new AbortController();
        preparing.set(id, controller);
        return prepared(controller.signal).pipe(
          finalize(() => {
            preparing.delete(id);
            controller.abort();
          }),
        );
      }),
    abortPrepare: (id) =>
      defer(() => {
        preparing.get(id)?.abort();
        return EMPTY;
      }),
    tryWorkspace: () =>
      defer(() => {
        const why = files.tryOut();
        if (why !== '') log.warn({ reason: why }, 'no workspace can be made');
        return of(why === '' ? '' : `the pod can make no workspace: ${why}`);
      }),
    execute: (ref, execution) =>
      server.execute(idOf(ref), execution).pipe(
        map((answer): AttemptInput => {
          if (E.isRight(answer)) {
            executedSubject.next(idOf(ref));
            return { kind: 'Executed' };
          }
          const { kind, message } = answer.left;
          log.warn({ ...logFields(ref), err: answer.left }, 'execute failed');
          return { kind: kind === 'Unanswered' ? 'ExecuteUnanswered' : 'ExecuteRefused', message };
        }),
      ),
    cancelExecution: (id) => told('cancel failed', id, server.cancel(id)),
    collect: (ref, what) => from(artifacts.collect(ref, what)),
    writeStatus: write,
    giveBack: (assignment, { reason, message }) =>
      defer(() => {
        const id = idOf(assignment.ref);
        // The watch may show it again while it is being given back.
        if (givingBack.has(id)) return EMPTY;
        givingBack.add(id);
        return write(assignment, { kind: 'Returned', reason, message, at: now() }).pipe(
          tap({ finalize: () => givingBack.delete(id) }),
          ignoreElements(),
        );
      }),
    clean: ({ ref, prepared, executed, written, stored }) =>
      defer(() => {
        const id = idOf(ref);
        logs.finish(id, now());
        const wrote = (logs.extent(id)?.records ?? 0) > 0;
        logs.close(id);
        if (written) shipping?.shipper.ended(id);
        return merge(
          executed ? told('forget failed', id, server.forget(id)) : EMPTY,
          written ? EMPTY : from(disown(ref, stored, wrote)).pipe(ignoreElements()),
          prepared
            ? cleanPatiently(ref, files).pipe(
                catchError((err: unknown) => {
                  log.warn({ ...logFields(ref), err }, 'workspace cannot be removed');
                  return EMPTY;
                }),
              )
            : EMPTY,
        );
      }),
    endUnknown: (id, running) =>
      concat(
        defer(() => {
          log.info({ execution: id, running }, 'execution of nobody, ending it');
          return running ? told('cancel failed', id, server.cancel(id)) : EMPTY;
        }),
        running ? EMPTY : told('forget failed', id, server.forget(id)),
      ),
    removeArtifacts: (removal) =>
      defer(async () => {
        // What is still to be shipped of it would come after, or be shipped by a runtimed after this one.
        await shipping?.shipper.dropRun(removal.runUid);
        logs.forget(removal.runUid);
        return artifacts.remove(removal);
      }),
    sweepLogs: artifacts.sweepLogs,
    keptLogs: (settledMs) => logs.endedRuns(settledMs),
    forgetLogs: (runUids) =>
      defer(async () => {
        for (const uid of runUids) {
          for (const id of logs.idsOf(uid)) await shipping?.shipper.drop(id);
          logs.forget(uid);
        }
        log.info({ runs: runUids.length }, 'logs of runs that are gone are kept no longer');
      }).pipe(ignoreElements()),
    note: ({ level, message, ref, fields }) =>
      log[level]({ ...(ref ? logFields(ref) : {}), ...fields }, message),
  };
};
