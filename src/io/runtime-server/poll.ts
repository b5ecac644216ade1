/**
 * Events of a Runtime Server that has no Watch, by asking Status.
 *
 * This is the only polling in the system, and only for servers written by others to the unary contract: each
 * execution is asked for after 50 ms, then in growing steps of at most 500 ms; nothing is asked while none runs.
 * Output is what the answers have more than the ones before; a server that keeps only the end of it loses the rest.
 */
import * as E from 'fp-ts/lib/Either.js';
import {
  concat,
  defer,
  expand,
  ignoreElements,
  merge,
  mergeMap,
  type Observable,
  of,
  switchMap,
  takeWhile,
  throwError,
  timer,
} from 'rxjs';
import type { ServerEvent, StreamName } from '../../decide/sidecar/server-event.js';
import { State, type StatusResponse } from '../../proto/gen/executor.js';
import type { CallFailure, RuntimeServerClient } from './client.js';
import type { EventOptions } from './events.js';

/** First and longest pause between two Status calls of one execution, milliseconds, and its growth. */
export const FIRST_POLL_MS = 50;
export const LAST_POLL_MS = 500;
const GROWTH = 1.5;

/** What was told of one execution already. */
type Told = Readonly<{ isStarted: boolean; isEnded: boolean; stdout: number; stderr: number }>;

type Polled = Readonly<{ events: ReadonlyArray<ServerEvent>; told: Told; pauseMs: number }>;

const isEnd = (state: State): boolean => state === State.STATE_SUCCEEDED || state === State.STATE_FAILED;

const newOutput = (
  id: string,
  stream: StreamName,
  text: string,
  from: number,
  at: ReturnType<EventOptions['now']>,
): ReadonlyArray<ServerEvent> => {
  const bytes = Buffer.from(text);
  return bytes.length > from
    ? [{ kind: 'Output', id, stream, offset: from, data: bytes.subarray(from), at }]
    : [];
};

/** The signal that a code of 128+N stands for; unary servers say no more. */
const signalOf = (code: number): number => (code > 128 && code <= 128 + 64 ? code - 128 : 0);

/** What an answer says beyond what was told. A failure without an exit code counts as 1. */
export const eventsOf = (
  response: StatusResponse,
  told: Told,
  at: ReturnType<EventOptions['now']>,
): Readonly<{ events: ReadonlyArray<ServerEvent>; told: Told }> => {
  const { id, state, exitCode, stdout, stderr, errorMessage } = response;
  const isStarted = state === State.STATE_RUNNING || isEnd(state);
  const code = state === State.STATE_FAILED && exitCode === 0 ? 1 : exitCode;
  const events: ServerEvent[] = [];
  if (isStarted && !told.isStarted) events.push({ kind: 'Started', id, at });
  events.push(...newOutput(id, 'stdout', stdout, told.stdout, at));
  events.push(...newOutput(id, 'stderr', stderr, told.stderr, at));
  if (isEnd(state) && !told.isEnded)
    events.push({
      kind: 'Exited',
      id,
      exit: { code, signal: signalOf(code), cause: 'Unknown', errorMessage, at },
    });
  return {
    events,
    told: {
      isStarted: told.isStarted || isStarted,
      isEnded: told.isEnded || isEnd(state),
      stdout: Math.max(told.stdout, Buffer.byteLength(stdout)),
      stderr: Math.max(told.stderr, Buffer.byteLength(stderr)),
    },
  };
};

const lostConnection = (failure: CallFailure): Observable<never> => throwError(() => failure);

/** One execution to its end. An id the server does not know any more is a lost connection: it was restarted. */
const pollOne = (
  client: RuntimeServerClient,
  { cursor, now }: EventOptions,
  id: string,
): Observable<ServerEvent> => {
  const ask = (told: Told, pauseMs: number): Observable<Polled> =>
    client
      .status(id)
      .pipe(
        switchMap((answer) =>
          E.isLeft(answer)
            ? lostConnection(answer.left)
            : of({ ...eventsOf(answer.right, told, now()), pauseMs }),
        ),
      );
  return defer(() => {
    const { stdoutOffset, stderrOffset } = cursor(id);
    return ask(
      {
        isStarted: false,
        isEnded: false,
        stdout: stdoutOffset,
        stderr: stderrOffset,
      },
      FIRST_POLL_MS,
    );
  }).pipe(
    expand(({ told, pauseMs }) =>
      timer(pauseMs).pipe(switchMap(() => ask(told, Math.min(LAST_POLL_MS, pauseMs * GROWTH)))),
    ),
    takeWhile(({ told }) => !told.isEnded, true),
    mergeMap(({ events }) => events),
  );
};

/** Errors with a CallFailure when the connection is lost. */
export const pollEvents = (client: RuntimeServerClient, options: EventOptions): Observable<ServerEvent> =>
  defer(() =>
    client.list().pipe(
      switchMap((answer) => {
        if (E.isLeft(answer)) return lostConnection(answer.left);
        const known = answer.right.entries.map(({ id }) => id);
        const lost$ = client
          .disconnected()
          .pipe(switchMap(() => lostConnection({ kind: 'Unanswered', message: 'the connection was lost' })));
        // The first answer of each known execution is what tells of it; Synced follows the list, as in Watch.
        const replay$ = merge(
          ...answer.right.entries.map((entry) =>
            of(...eventsOf(entry, NOTHING, options.now()).events.slice(0, 1)),
          ),
        );
        return merge(
          concat(of<ServerEvent>({ kind: 'Opened' }), replay$, of<ServerEvent>({ kind: 'Synced' })),
          // No bound: one per execution held, and the pod's capacity bounds those.
          merge(of(...known), options.executed$).pipe(mergeMap((id) => pollOne(client, options, id))),
          lost$.pipe(ignoreElements()),
        );
      }),
    ),
  );

const NOTHING: Told = { isStarted: false, isEnded: false, stdout: 0, stderr: 0 };
