/** The Logs service of this pod: each read is pulled from disk as fast as its reader takes it, and no faster. */
import { once } from 'node:events';
import { Server, type ServerWritableStream, status } from '@grpc/grpc-js';
import { filter, firstValueFrom, fromEvent, map, merge, take } from 'rxjs';

import { LogsService, type ReadRequest, type ReadResponse } from '../../proto/gen/logs.js';
import { readLog } from './read.js';
import type { RunLogs } from './run-logs.js';

type ReadCall = ServerWritableStream<ReadRequest, ReadResponse>;

const idOf = (uid: string, attempt: number): string => (attempt <= 1 ? uid : `${uid}.${attempt}`);

const read = async (logs: RunLogs, call: ReadCall): Promise<void> => {
  const { runUid, attempt, follow, afterSeq, tail, stream } = call.request;
  const log = logs.find(runUid, attempt);
  if (!log) {
    call.emit('error', {
      code: status.NOT_FOUND,
      details: `this pod holds no log of Run ${runUid}${attempt > 0 ? `, attempt ${attempt}` : ''}`,
    });
    return;
  }
  const id = idOf(runUid, log.attempt);
  const cancelled$ = fromEvent(call, 'cancelled').pipe(take(1));
  const changed = (): Promise<void> =>
    firstValueFrom(
      merge(logs.changes$.pipe(filter((changedId) => changedId === id)), cancelled$).pipe(
        map(() => undefined),
      ),
      { defaultValue: undefined },
    );
  for await (const records of readLog(log, { follow, afterSeq, tail, stream }, changed)) {
    if (call.cancelled) return;
    if (!call.write({ records: [...records] }))
      await Promise.race([once(call, 'drain'), once(call, 'cancelled')]);
    if (call.cancelled) return;
  }
  call.end();
};

/** A server to be bound by the caller. */
export const logsServer = (logs: RunLogs): Server => {
  const server = new Server({ 'grpc.keepalive_time_ms': 10_000, 'grpc.keepalive_timeout_ms': 5_000 });
  server.addService(LogsService, {
    read: (call: ReadCall) => {
      read(logs, call).catch((cause: unknown) => {
        call.emit('error', {
          code: status.INTERNAL,
          details: cause instanceof Error ? cause.message : String(cause),
        });
      });
    },
  });
  return server;
};
