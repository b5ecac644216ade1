/**
 * Execute, Cancel and Forget as messages of one stream: as messages of an open stream they cost a third of what they
 * do as calls (docs/performance.md).
 *
 * Guarantees: each request is answered once. When the stream is not there, or breaks, those without an answer are
 * Broken: whether they were acted upon is not known.
 */
import { type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';

import type { CallAnswer, CallRequest } from '../../proto/gen/executor.js';

/** What is asked. */
export type Request = NonNullable<CallRequest['call']>;

/** How a request ended: `code` is a gRPC status, OK when it was done. Broken: the stream ended before the answer. */
export type Answer =
  | Readonly<{ kind: 'Answered'; code: number; message: string }>
  | Readonly<{ kind: 'Broken'; isUnimplemented: boolean }>
  | Readonly<{ kind: 'Late' }>;

type Waiting = Readonly<{ answer: (answer: Answer) => void; timer: NodeJS.Timeout }>;

export class CallStream {
  readonly #open: () => ClientDuplexStream<CallRequest, CallAnswer>;
  readonly #waitMs: number;
  readonly #waiting = new Map<number, Waiting>();
  #stream: ClientDuplexStream<CallRequest, CallAnswer> | undefined;
  #serial = 0;

  /**
   * @param open makes the call; called for the first request, and for the next one after the stream broke
   * @param waitMs longest wait for an answer, milliseconds
   */
  constructor(open: () => ClientDuplexStream<CallRequest, CallAnswer>, waitMs: number) {
    this.#open = open;
    this.#waitMs = waitMs;
  }

  /** Sends a request; `answer` is called once, later. */
  ask(call: Request, answer: (answer: Answer) => void): void {
    const stream = this.#stream ?? this.#connect();
    this.#serial = (this.#serial + 1) % 2 ** 32;
    const serial = this.#serial;
    const timer = setTimeout(() => this.#settle(serial, { kind: 'Late' }), this.#waitMs);
    this.#waiting.set(serial, { answer, timer });
    stream.write({ serial, call });
  }

  /** Ends the stream; what waits is Broken. */
  close(): void {
    this.#stream?.cancel();
    this.#broke(this.#stream, false);
  }

  #connect(): ClientDuplexStream<CallRequest, CallAnswer> {
    const stream = this.#open();
    this.#stream = stream;
    stream.on('data', ({ serial, code, message }: CallAnswer) =>
      this.#settle(serial, { kind: 'Answered', code, message }),
    );
    stream.on('end', () => this.#broke(stream, false));
    stream.on('error', (error: ServiceError) => this.#broke(stream, error.code === status.UNIMPLEMENTED));
    return stream;
  }

  #settle(serial: number, answer: Answer): void {
    const waiting = this.#waiting.get(serial);
    if (waiting === undefined) return;
    this.#waiting.delete(serial);
    clearTimeout(waiting.timer);
    waiting.answer(answer);
  }

  /** All requests that wait were sent on this stream: a new one is opened only when it is gone. */
  #broke(stream: ClientDuplexStream<CallRequest, CallAnswer> | undefined, isUnimplemented: boolean): void {
    if (stream === undefined || stream !== this.#stream) return;
    this.#stream = undefined;
    for (const serial of [...this.#waiting.keys()]) this.#settle(serial, { kind: 'Broken', isUnimplemented });
  }
}
