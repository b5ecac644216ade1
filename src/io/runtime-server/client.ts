/**
 * The calls to the Runtime Server, each as one Observable that never errors.
 *
 * What matters of a failed call is whether the server gave an answer: a refusal is final, no answer leaves open
 * whether it did what it was asked.
 */
import {
  type CallOptions,
  ChannelCredentials,
  connectivityState,
  Metadata,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import * as E from 'fp-ts/lib/Either.js';
import { Observable, type Subscription } from 'rxjs';
import type { Execution } from '../../decide/sidecar/attempt.js';
import {
  type Cursor,
  type HealthResponse,
  type ListResponse,
  RuntimeClient,
  type StatusResponse,
  type WatchEvent,
} from '../../proto/gen/executor.js';
import { type Answer, CallStream, type Request } from './call-stream.js';

/** A call that did not succeed. */
export type CallFailure = Readonly<{
  /** Unanswered: the server may or may not have acted. Unimplemented: it does not know the call. */
  kind: 'Refused' | 'NotFound' | 'Unimplemented' | 'Unanswered';
  message: string;
}>;

export type Call<A> = Observable<E.Either<CallFailure, A>>;

/** Longest wait for an answer. Execute only starts something, so none of the calls takes long. */
const CALL_MS = 15_000;

const KINDS: ReadonlyMap<number, CallFailure['kind']> = new Map([
  [status.NOT_FOUND, 'NotFound'],
  [status.UNIMPLEMENTED, 'Unimplemented'],
  [status.UNAVAILABLE, 'Unanswered'],
  [status.DEADLINE_EXCEEDED, 'Unanswered'],
  [status.CANCELLED, 'Unanswered'],
]);

const failureFrom = (code: number, message: string): CallFailure => ({
  kind: KINDS.get(code) ?? 'Refused',
  message,
});

/** The failure as ours. */
export const failureOf = ({ code, details, message }: ServiceError): CallFailure =>
  failureFrom(code, details || message);

const connectTo = (target: string): RuntimeClient =>
  new RuntimeClient(target, ChannelCredentials.createInsecure(), {
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
    'grpc.enable_retries': 0,
    'grpc.use_local_subchannel_pool': 1,
    // A unary server's Status answers may hold the whole output.
    'grpc.max_receive_message_length': 64 * 1024 * 1024,
  });

type Respond<A> = (error: ServiceError | null, response: A) => void;
type Start<A> = (options: Partial<CallOptions>, respond: Respond<A>) => Readonly<{ cancel: () => void }>;

/**
 * One Runtime Server, over one connection at a time. Whether and when it is dialled again is decided by who follows
 * its events: a channel's own reconnection does not see a unix socket that appears only later.
 */
export class RuntimeServerClient {
  readonly #target: string;
  #client: RuntimeClient;
  readonly #stream = new CallStream(() => this.#client.calls(), CALL_MS);
  /** Whether the server of this connection takes calls on a stream, as far as is known. */
  #takesStream = true;

  /** @param target `127.0.0.1:19091` or `unix:/path`, as gRPC names it */
  constructor(target: string) {
    this.#target = target;
    this.#client = connectTo(target);
  }

  /** A new connection for all calls from now on. */
  renew(): void {
    const before = this.#client;
    this.#client = connectTo(this.#target);
    this.#takesStream = true;
    this.#stream.close();
    before.close();
  }

  execute(id: string, execution: Execution): Call<unknown> {
    const { args, env, entrypoint, workingDir, timeoutSeconds } = execution;
    const value = {
      id,
      args: [...args],
      env: { ...env },
      timeoutSeconds,
      workingDir,
      entrypoint,
      handler: '',
    };
    return this.#streamed({ $case: 'execute', value }, (options, respond) =>
      this.#client.execute(value, new Metadata(), options, respond),
    );
  }

  status(id: string): Call<StatusResponse> {
    return this.#call((options, respond) => this.#client.status({ id }, new Metadata(), options, respond));
  }

  list(): Call<ListResponse> {
    return this.#call((options, respond) => this.#client.list({}, new Metadata(), options, respond));
  }

  cancel(id: string): Call<unknown> {
    return this.#streamed({ $case: 'cancel', value: { id } }, (options, respond) =>
      this.#client.cancel({ id }, new Metadata(), options, respond),
    );
  }

  forget(id: string): Call<unknown> {
    return this.#streamed({ $case: 'forget', value: { id } }, (options, respond) =>
      this.#client.forget({ id }, new Metadata(), options, respond),
    );
  }

  health(): Call<HealthResponse> {
    return this.#call((options, respond) => this.#client.health({}, new Metadata(), options, respond));
  }

  /**
   * The server's events from the cursors on. Errors with a CallFailure; completes when the server ends it. While
   * `pressure$` is true nothing is read, and the server has to hold its output back.
   */
  watch(cursors: ReadonlyArray<Cursor>, pressure$: Observable<boolean>): Observable<WatchEvent> {
    return new Observable((events) => {
      const stream = this.#client.watch({ cursors: [...cursors] });
      stream.on('data', (event: WatchEvent) => events.next(event));
      stream.on('end', () => events.complete());
      stream.on('error', (error: ServiceError) => events.error(failureOf(error)));
      const pressure = pressure$.subscribe((isHigh) => (isHigh ? stream.pause() : stream.resume()));
      return () => {
        pressure.unsubscribe();
        stream.cancel();
      };
    });
  }

  /** Emits once when the connection is no longer ready, then completes. */
  disconnected(): Observable<void> {
    return new Observable((lost) => {
      const channel = this.#client.getChannel();
      const look = (): void => {
        if (lost.closed) return;
        const state = channel.getConnectivityState(false);
        if (state !== connectivityState.READY) {
          lost.next();
          lost.complete();
          return;
        }
        // An hour, then look again: the watch needs a deadline.
        channel.watchConnectivityState(state, Date.now() + 3_600_000, look);
      };
      look();
    });
  }

  close(): void {
    this.#stream.close();
    this.#client.close();
  }

  /** By the stream where the server has it. What it does not answer is asked again as a call: all are idempotent. */
  #streamed(request: Request, start: Start<unknown>): Call<unknown> {
    return new Observable((result) => {
      let call: Subscription | undefined;
      const asCall = (): void => {
        call = this.#call(start).subscribe(result);
      };
      const settled = (answer: Answer): void => {
        if (answer.kind === 'Broken') {
          if (answer.isUnimplemented) this.#takesStream = false;
          if (!result.closed) asCall();
          return;
        }
        result.next(
          answer.kind === 'Late'
            ? E.left({ kind: 'Unanswered', message: `no answer in ${CALL_MS / 1000} s` })
            : answer.code === status.OK
              ? E.right(undefined)
              : E.left(failureFrom(answer.code, answer.message)),
        );
        result.complete();
      };
      if (this.#takesStream) this.#stream.ask(request, settled);
      else asCall();
      return () => call?.unsubscribe();
    });
  }

  #call<A>(start: Start<A>): Call<A> {
    return new Observable((result) => {
      const call = start({ deadline: Date.now() + CALL_MS }, (error, response) => {
        result.next(error ? E.left(failureOf(error)) : E.right(response));
        result.complete();
      });
      return () => call.cancel();
    });
  }
}
