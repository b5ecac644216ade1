/** The operator's end of sessions, by hand: a real gRPC server that does what a test tells it. */
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, map, type Observable, ReplaySubject, Subject, take } from 'rxjs';
import { listenGrpc, parseAddress, printAddress } from '../../src/io/address.js';
import { Run } from '../../src/model/run.js';
import {
  type AttemptRef,
  type FromOperator,
  type FromRuntimed,
  type Hello,
  type Refused,
  SessionsService,
} from '../../src/proto/gen/session.js';

type Stream = ServerDuplexStream<FromRuntimed, FromOperator>;

/** One session as the operator sees it. */
export type ScriptedSession = Readonly<{ hello: Hello; token: string; stream: Stream }>;

export const refOf = (run: Run): AttemptRef => ({
  runName: run.metadata.name,
  runUid: run.metadata.uid,
  attempt: run.status?.attempt ?? 1,
});

export class ScriptedOperator {
  readonly #server = new Server();
  readonly #messages = new Subject<FromRuntimed>();
  readonly #sessions = new ReplaySubject<ScriptedSession>();
  readonly #open = new Set<Stream>();
  beatMs = 1_000;
  /** Whether it beats. */
  beats = true;
  /** Whether hello is answered. */
  welcomes = true;
  url = '';

  async listen(path: string): Promise<this> {
    const answer = (stream: Stream): void => {
      this.#open.add(stream);
      const token = String(stream.metadata.get('authorization')[0] ?? '');
      stream.on('data', (message: FromRuntimed) => {
        if (message.message?.$case === 'hello') {
          if (this.welcomes)
            stream.write({ message: { $case: 'welcome', value: { beatIntervalMillis: this.beatMs } } });
          this.#sessions.next({ hello: message.message.value, token, stream });
        } else this.#messages.next(message);
      });
      const beat = setInterval(() => {
        if (this.beats)
          stream.write({
            message: { $case: 'beat', value: { healthy: true, healthMessage: '', draining: false } },
          });
      }, this.beatMs);
      const over = (): void => {
        clearInterval(beat);
        this.#open.delete(stream);
        stream.end();
      };
      stream.on('end', over).on('cancelled', over).on('error', over);
    };
    this.#server.addService(SessionsService, { connect: answer });
    const address = parseAddress(`unix:${path}`);
    if (E.isLeft(address)) throw new Error(address.left);
    this.url = printAddress(
      await listenGrpc(this.#server, address.right, ServerCredentials.createInsecure()),
    );
    return this;
  }

  get messages$(): Observable<FromRuntimed> {
    return this.#messages;
  }

  get refusals$(): Observable<Refused> {
    return this.#messages.pipe(
      map(({ message }) => (message?.$case === 'refused' ? message.value : undefined)),
      filter((refused): refused is Refused => refused !== undefined),
    );
  }

  /** Session number `index` (from 0), as soon as it was there. */
  session(index = 0): Promise<ScriptedSession> {
    return firstValueFrom(
      this.#sessions.pipe(
        filter((_session, i) => i === index),
        take(1),
      ),
    );
  }

  send(message: NonNullable<FromOperator['message']>): void {
    for (const stream of this.#open) stream.write({ message });
  }

  assign(run: Run): void {
    this.send({
      $case: 'assign',
      value: { attempt: refOf(run), run: Buffer.from(JSON.stringify(Run.encode(run))) },
    });
  }

  cancel(run: Run, reason = 'Cancelled'): void {
    this.send({ $case: 'cancel', value: { attempt: refOf(run), reason } });
  }

  /** Ends all sessions; runtimed may dial again. */
  hangUp(): void {
    for (const stream of this.#open) stream.end();
    this.#open.clear();
  }

  close(): void {
    this.#server.forceShutdown();
  }
}
