/**
 * Reads a log from the pod's runtimed: its Logs service through the Kubernetes port-forward.
 *
 * gRPC by hand on node's HTTP/2, for one call with one answer stream: no local port is opened that others could use,
 * and the connection may be any stream of bytes.
 */
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import type { Duplex } from 'node:stream';

import { ReadRequest, ReadResponse } from '../../proto/gen/logs.js';
import type { Api } from '../api/api.js';
import { Failure, isRefusal } from '../failure.js';
import { LogError, type LogLine, type LogRequest, type LogTrouble, type ReadLog } from './log-read.js';

/** Where runtimed serves logs, on the pod's loopback. */
export const LOGS_PORT = 9093;
const PATH = '/kruntimes.logs.v1.Logs/Read';
const PREFIX_BYTES = 5;
const GRPC_OK = 0;
const GRPC_NOT_FOUND = 5;

/** Whole gRPC messages out of a stream of bytes. */
export const messageSplitter = (message: (bytes: Buffer) => void): ((chunk: Buffer) => void) => {
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + held.readUInt32BE(1);
      if (held.length < end) return;
      message(held.subarray(PREFIX_BYTES, end));
      held = held.subarray(end);
    }
  };
};

const framed = (message: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(PREFIX_BYTES + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
};

const linesOf = (bytes: Buffer): ReadonlyArray<LogLine> =>
  ReadResponse.decode(bytes).records.map(({ seq, timeMicros, stream, line, partial, droppedBytes }) => ({
    seq,
    timeMicros,
    stream,
    bytes: line,
    isWhole: !partial,
    droppedBytes,
  }));

/** The call, on an open connection to the service. */
export const callRead = (
  connection: Duplex,
  request: LogRequest,
  line: (line: LogLine) => void,
): Readonly<{ done: Promise<void>; stop: () => void }> => {
  let session: ClientHttp2Session | undefined;
  let settle: (error?: LogError) => void = () => undefined;
  const done = new Promise<void>((resolve, reject) => {
    settle = (error) => {
      session?.destroy();
      connection.destroy();
      if (error) reject(error);
      else resolve();
    };
    const lost = (error: Error): void => settle(new LogError('Lost', error.message, error));
    connection.once('error', lost);
    connection.once('close', () => lost(new Error('the connection to the pod was closed')));
    session = connect('http://runtimed', { createConnection: () => connection });
    session.once('error', lost);
    const call = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    let status: number | undefined;
    let said = '';
    const note = (headers: Readonly<Record<string, unknown>>): void => {
      if (headers['grpc-status'] === undefined) return;
      status = Number(headers['grpc-status']);
      said = decodeURIComponent(String(headers['grpc-message'] ?? ''));
    };
    const split = messageSplitter((bytes) => {
      for (const each of linesOf(bytes)) line(each);
    });
    call
      .on('response', note)
      .on('trailers', note)
      .on('data', split)
      .once('error', lost)
      .once('end', () => {
        if (status === GRPC_OK) settle();
        else if (status === undefined) lost(new Error('the answer was cut short'));
        else
          settle(new LogError(status === GRPC_NOT_FOUND ? 'NoLog' : 'Lost', said || `gRPC status ${status}`));
      });
    const { runUid, attempt, podUid, follow, afterSeq, tail, stream } = request;
    call.end(
      framed(ReadRequest.encode({ runUid, attempt, podUid, follow, afterSeq, tail, stream }).finish()),
    );
  });
  return { done, stop: () => settle() };
};

const TROUBLES: Readonly<Record<string, LogTrouble>> = { NotFound: 'NoPod', NoAccess: 'Forbidden' };

const openError = (error: unknown): LogError => {
  if (!(error instanceof Failure)) return new LogError('Lost', String(error), error);
  return new LogError((isRefusal(error) ? TROUBLES[error.kind] : undefined) ?? 'Lost', error.message, error);
};

/** Reads through the cluster. */
export const daemonLog =
  (api: Pick<Api, 'openPort'>): ReadLog =>
  (request, line) => {
    let stopped = false;
    let stop: () => void = () => undefined;
    const read = async (): Promise<void> => {
      const connection = await api
        .openPort({ namespace: request.namespace, name: request.pod }, LOGS_PORT)
        .catch((error: unknown) => {
          throw openError(error);
        });
      if (stopped) {
        connection.destroy();
        return;
      }
      const call = callRead(connection, request, line);
      stop = call.stop;
      return call.done;
    };
    return {
      done: read(),
      stop: () => {
        stopped = true;
        stop();
      },
    };
  };
