/**
 * One call to a pod's runtimed, with an answer of any length: gRPC by hand over the Kubernetes port-forward, as for
 * logs. What is not taken in is not sent: a slow disk holds the pod back, not this process's memory.
 */
import { connect, constants } from 'node:http2';
import type { Duplex } from 'node:stream';

/** runtimed's port, on the pod's loopback. */
export const RUNTIMED_PORT = 9093;
const PREFIX_BYTES = 5;

/** The call was answered with an error, or, with no `code`, the connection broke. */
export class CallError extends Error {
  constructor(
    readonly code: number | undefined,
    message: string,
  ) {
    super(message);
  }
}

const framed = (message: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(PREFIX_BYTES + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, PREFIX_BYTES);
  return bytes;
};

/** Whole messages out of a stream of bytes. */
const messagesOf = async function* (chunks: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk as Uint8Array);
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
    while (held.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + held.readUInt32BE(1);
      if (held.length < end) break;
      yield held.subarray(PREFIX_BYTES, end);
      held = held.subarray(end);
    }
  }
};

/** The messages of the answer. Throws CallError; the connection is ended in any case. */
export const callPod = async function* (
  connection: Duplex,
  path: string,
  request: Uint8Array,
): AsyncGenerator<Buffer> {
  const session = connect('http://runtimed', { createConnection: () => connection });
  let lost: Error | undefined;
  const lose = (error: Error): void => {
    lost ??= error;
    call.destroy();
  };
  connection.once('error', lose);
  connection.once('close', () => lose(new Error('the connection to the pod was closed')));
  session.once('error', lose);
  const call = session.request({
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let code: number | undefined;
  let said = '';
  const note = (headers: Readonly<Record<string, unknown>>): void => {
    if (headers['grpc-status'] === undefined) return;
    code = Number(headers['grpc-status']);
    said = decodeURIComponent(String(headers['grpc-message'] ?? ''));
  };
  call.on('response', note).on('trailers', note).on('error', lose);
  call.end(framed(request));
  try {
    yield* messagesOf(call);
  } catch (cause) {
    lost ??= cause instanceof Error ? cause : new Error(String(cause));
  } finally {
    call.destroy();
    session.destroy();
    connection.destroy();
  }
  if (code === 0) return;
  throw new CallError(code, code === undefined ? (lost?.message ?? 'the answer was cut short') : said);
};
