/**
 * One call to a pod's runtimed, with an answer of any length: gRPC by hand over the Kubernetes port-forward, as for
 * logs. What is not taken in is not sent: a slow disk holds the pod back, not this process's memory.
 */
import { connect, constants } from 'node:http2';
import type { Duplex } from 'node:stream';

/** runtimed's port, on the pod's loopback. */
export const RUNTIMED_PORT = 9093;
const PREFIX_BYTES = 5;
/** Bytes that may be on their way: with HTTP/2's 64 KiB a distant cluster would give a MiB per second. */
const WINDOW_BYTES = 2 * 1024 * 1024;

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

/** Whole messages out of a stream of bytes: each byte of a message is copied once, however small its pieces are. */
const messagesOf = async function* (chunks: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let length = 0;
  let wanted = PREFIX_BYTES;
  for await (const chunk of chunks) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as Uint8Array);
    pieces.push(bytes);
    length += bytes.length;
    if (length < wanted) continue;
    let held = pieces.length === 1 ? bytes : Buffer.concat(pieces);
    wanted = PREFIX_BYTES;
    while (held.length >= PREFIX_BYTES) {
      wanted = PREFIX_BYTES + held.readUInt32BE(1);
      if (held.length < wanted) break;
      yield held.subarray(PREFIX_BYTES, wanted);
      held = held.subarray(wanted);
      wanted = PREFIX_BYTES;
    }
    pieces = held.length === 0 ? [] : [held];
    length = held.length;
  }
};

/** The messages of the answer. Throws CallError; the connection is ended in any case. */
export const callPod = async function* (
  connection: Duplex,
  path: string,
  request: Uint8Array,
): AsyncGenerator<Buffer> {
  const session = connect('http://runtimed', {
    createConnection: () => connection,
    settings: { initialWindowSize: WINDOW_BYTES },
  });
  // Of the whole connection, too, which has but this one call.
  session.once('connect', () => session.setLocalWindowSize(WINDOW_BYTES));
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
