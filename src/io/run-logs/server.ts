/**
 * The Logs service of this pod: each read is pulled from disk as fast as its reader takes it, and no faster. What the
 * pod does not hold itself comes from its store, of the Runs of its namespace and no others.
 */
import { once } from 'node:events';
import { Server, type ServerWritableStream, status } from '@grpc/grpc-js';
import { filter, firstValueFrom, fromEvent, map, merge, take } from 'rxjs';

import { isUid } from '../../decide/artifacts/keys.js';
import {
  type Record as LogRecord,
  LogsService,
  type ReadRequest,
  type ReadResponse,
} from '../../proto/gen/logs.js';
import { type ArtifactStore, StoreError } from '../artifacts/store.js';
import { readLog } from './read.js';
import type { RunLogs } from './run-logs.js';
import { findStored } from './stored.js';

/** Whose logs are served, and from where else than the disk. */
export type LogsPod = Readonly<{
  uid: string;
  namespace: string;
  installation: string | undefined;
  store: ArtifactStore | undefined;
}>;

type ReadCall = ServerWritableStream<ReadRequest, ReadResponse>;

const idOf = (uid: string, attempt: number): string => (attempt <= 1 ? uid : `${uid}.${attempt}`);

type Batches = AsyncIterable<ReadonlyArray<LogRecord>>;

/** From the pod's own disk; undefined where it is not there. */
const fromDisk = (logs: RunLogs, pod: LogsPod, call: ReadCall): Batches | undefined => {
  const { runUid, attempt, follow, afterSeq, tail, stream, podUid } = call.request;
  const log = podUid === '' || podUid === pod.uid ? logs.find(runUid, attempt) : undefined;
  if (!log) return undefined;
  const id = idOf(runUid, log.attempt);
  const cancelled$ = fromEvent(call, 'cancelled').pipe(take(1));
  const changed = (): Promise<void> =>
    firstValueFrom(
      merge(logs.changes$.pipe(filter((changedId) => changedId === id)), cancelled$).pipe(
        map(() => undefined),
      ),
      { defaultValue: undefined },
    );
  return readLog(log, { follow, afterSeq, tail, stream }, changed);
};

/** From the store; undefined where the request does not say what to look for, or there is no store. */
const fromStore = ({ namespace, installation, store }: LogsPod, call: ReadCall): Batches | undefined => {
  const { runUid, attempt, podUid, ...options } = call.request;
  return store && isUid(runUid) && isUid(podUid) && attempt >= 1
    ? findStored(store, { namespace, uid: runUid, attempt }, podUid, installation, options)
    : undefined;
};

const read = async (logs: RunLogs, pod: LogsPod, call: ReadCall): Promise<void> => {
  const { runUid, attempt } = call.request;
  const batches = fromDisk(logs, pod, call) ?? fromStore(pod, call);
  if (!batches) {
    call.emit('error', {
      code: status.NOT_FOUND,
      details: `this pod holds no log of Run ${runUid}${attempt > 0 ? `, attempt ${attempt}` : ''}`,
    });
    return;
  }
  for await (const records of batches) {
    if (call.cancelled) return;
    if (!call.write({ records: [...records] }))
      await Promise.race([once(call, 'drain'), once(call, 'cancelled')]);
    if (call.cancelled) return;
  }
  call.end();
};

const codeOf = (cause: unknown): status =>
  !(cause instanceof StoreError)
    ? status.INTERNAL
    : cause.kind === 'NotFound'
      ? status.NOT_FOUND
      : status.FAILED_PRECONDITION;

/** A server to be bound by the caller. */
export const logsServer = (logs: RunLogs, pod: LogsPod): Server => {
  const server = new Server({ 'grpc.keepalive_time_ms': 10_000, 'grpc.keepalive_timeout_ms': 5_000 });
  server.addService(LogsService, {
    read: (call: ReadCall) => {
      read(logs, pod, call).catch((cause: unknown) => {
        call.emit('error', {
          code: codeOf(cause),
          details: cause instanceof Error ? cause.message : String(cause),
        });
      });
    },
  });
  return server;
};
