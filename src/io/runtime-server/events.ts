/**
 * What happens at the Runtime Server, for ever: one stream of events over all its restarts.
 *
 *     connect ─▶ Health ─▶ Opened ─▶ (what exists) ─▶ Synced ─▶ (what happens) ─▶ Down ─▶ (Gone) ─▶ connect …
 *
 * Guarantees: Opened, then every execution the server knows is reported, then Synced; so an execution that was there
 * before and is not named between the two is gone. Down follows every Opened, once; Gone follows, once, when no process
 * listens there any more, and not when one does and is silent. Never errors, never completes.
 *
 * A server without Watch (UNIMPLEMENTED) is asked by polling, see `poll.ts`.
 */
import * as E from 'fp-ts/lib/Either.js';
import { catchError, concat, defer, merge, mergeMap, Observable, of, repeat, switchMap, timer } from 'rxjs';
import type { Exit } from '../../decide/sidecar/attempt.js';
import type { ServerEvent } from '../../decide/sidecar/server-event.js';
import { type Micros, micros } from '../../model/time.js';
import {
  type Cursor,
  EndCause,
  type HealthResponse,
  OutputStream,
  type WatchEvent,
} from '../../proto/gen/executor.js';
import type { CallFailure, RuntimeServerClient } from './client.js';
import { pollEvents } from './poll.js';

export type EventOptions = Readonly<{
  /** Where we stand in the output of what we hold; asked at each connect. */
  cursors: () => ReadonlyArray<Cursor>;
  /** The same for one execution. */
  cursor: (id: string) => Cursor;
  /** Ids to poll for where there is no Watch: those that were executed, as they come. */
  executed$: Observable<string>;
  /** Whether a process listens where the server is to be, whatever it answers. */
  isListening: () => Promise<boolean>;
  /** While true no event is read. */
  pressure$: Observable<boolean>;
  now: () => Micros;
}>;

/** Pause between attempts to connect. Local and cheap, and a Run may be waiting for it. */
const RECONNECT_MS = 100;
/** Pause before an unhealthy server is asked again. */
const UNHEALTHY_MS = 1_000;

const CAUSES: Readonly<Record<EndCause, Exit['cause']>> = {
  [EndCause.END_CAUSE_UNSPECIFIED]: 'Unknown',
  [EndCause.END_CAUSE_EXITED]: 'Exited',
  [EndCause.END_CAUSE_CANCELLED]: 'Stopped',
  [EndCause.END_CAUSE_TIMEOUT]: 'TimedOut',
  [EndCause.END_CAUSE_NOT_STARTED]: 'NotStarted',
  [EndCause.UNRECOGNIZED]: 'Unknown',
};

/** The server's clock is the node's; one that says nothing or lies ahead is replaced by ours. */
const instant = (timeMicros: number, now: Micros): Micros =>
  timeMicros <= 0 || timeMicros > now ? now : micros(timeMicros);

const eventOf = ({ id, timeMicros, event }: WatchEvent, now: Micros): ReadonlyArray<ServerEvent> => {
  const at = instant(timeMicros, now);
  switch (event?.$case) {
    case 'started':
      return [{ kind: 'Started', id, at }];
    case 'output': {
      const { stream, offset, data } = event.value;
      if (stream !== OutputStream.OUTPUT_STREAM_STDOUT && stream !== OutputStream.OUTPUT_STREAM_STDERR)
        return [];
      const name = stream === OutputStream.OUTPUT_STREAM_STDOUT ? 'stdout' : 'stderr';
      return [{ kind: 'Output', id, stream: name, offset, data, at }];
    }
    case 'exited': {
      const { code, signal, cause, errorMessage } = event.value;
      return [{ kind: 'Exited', id, exit: { code, signal, cause: CAUSES[cause], errorMessage, at } }];
    }
    case 'synced':
      return [{ kind: 'Synced' }];
    default:
      return [];
  }
};

/** The Watch stream as events: Opened with the first of them, so that UNIMPLEMENTED is seen before. */
const watchEvents = (
  client: RuntimeServerClient,
  { cursors, pressure$, now }: EventOptions,
): Observable<ServerEvent> =>
  new Observable((events) => {
    let isOpen = false;
    return client.watch(cursors(), pressure$).subscribe({
      next: (item) => {
        if (!isOpen) {
          isOpen = true;
          events.next({ kind: 'Opened' });
        }
        for (const event of eventOf(item, now())) events.next(event);
      },
      error: (cause: unknown) => events.error(cause),
      complete: () => events.error({ kind: 'Unanswered', message: 'the Runtime Server ended its stream' }),
    });
  });

/** What an answer to Health says; while it is no, it is asked again. Ends once it is yes. */
const healthEvents = (
  client: RuntimeServerClient,
  answer: E.Either<CallFailure, HealthResponse>,
): Observable<ServerEvent> => {
  if (E.isLeft(answer))
    // A server that has no Health is as healthy as its connection.
    return answer.left.kind === 'Unimplemented'
      ? of<ServerEvent>({ kind: 'Health', healthy: true, message: '' })
      : of<ServerEvent>({ kind: 'Health', healthy: false, message: answer.left.message });
  const { healthy, message } = answer.right;
  const event$ = of<ServerEvent>({ kind: 'Health', healthy, message });
  return healthy
    ? event$
    : concat(
        event$,
        timer(UNHEALTHY_MS).pipe(
          switchMap(() => client.health()),
          switchMap((next) => healthEvents(client, next)),
        ),
      );
};

const isFailure = (cause: unknown): cause is CallFailure =>
  typeof cause === 'object' && cause !== null && 'kind' in cause && 'message' in cause;

/** Until the connection is lost: errors with the reason. */
const connection = (client: RuntimeServerClient, options: EventOptions): Observable<ServerEvent> =>
  watchEvents(client, options).pipe(
    catchError((cause: unknown) => {
      if (isFailure(cause) && cause.kind === 'Unimplemented') return pollEvents(client, options);
      throw cause;
    }),
  );

/** One connection, from the first question to its loss: errors with the reason. */
const dialled = (client: RuntimeServerClient, options: EventOptions): Observable<ServerEvent> =>
  client
    .health()
    .pipe(
      switchMap((answer) =>
        E.isLeft(answer) && answer.left.kind === 'Unanswered'
          ? of<ServerEvent>({ kind: 'Down', message: answer.left.message })
          : merge(healthEvents(client, answer), connection(client, options)),
      ),
    );

const NOBODY_LISTENS = 'no process listens at the address of the Runtime Server';

/** The events, for ever. */
export const serverEvents = (client: RuntimeServerClient, options: EventOptions): Observable<ServerEvent> =>
  defer(() => {
    let told: 'Opened' | 'Down' | 'Gone' = 'Down';
    return defer(options.isListening).pipe(
      switchMap((isListening) =>
        isListening ? dialled(client, options) : of<ServerEvent>({ kind: 'Gone' }),
      ),
      catchError((cause: unknown) =>
        of<ServerEvent>({ kind: 'Down', message: isFailure(cause) ? cause.message : String(cause) }),
      ),
      // Down and Gone are told once, and an unhealthy server first of all.
      mergeMap((event): Observable<ServerEvent> => {
        if (event.kind === 'Opened') told = event.kind;
        if (event.kind !== 'Down' && event.kind !== 'Gone') return of(event);
        const isNews = event.kind === 'Down' ? told === 'Opened' : told !== 'Gone';
        if (isNews) told = event.kind;
        const message = event.kind === 'Down' ? event.message : NOBODY_LISTENS;
        const unhealthy: ServerEvent = { kind: 'Health', healthy: false, message };
        return isNews ? of(unhealthy, event) : of(unhealthy);
      }),
      repeat({
        delay: () => {
          client.renew();
          return timer(RECONNECT_MS);
        },
      }),
    );
  });
