/**
 * The session with the operator: what does it ask of this pod, and is it there?
 *
 * Dials, says hello, beats, and dials again for ever. A session begins with the operator's Welcome and is lost when
 * its stream ends or three beats stay out. After a session that was open it redials at once, else with a backoff that
 * doubles from 100 ms to 3 s, less up to half of it by chance, so that pods do not return in step.
 */
import {
  catchError,
  concat,
  defer,
  interval,
  map,
  merge,
  Observable,
  of,
  repeat,
  type SchedulerLike,
  Subject,
  switchMap,
  TimeoutError,
  take,
  takeUntil,
  tap,
  timeout,
  timer,
} from 'rxjs';

import type {
  ArtifactsRemoved,
  Beat,
  FromOperator,
  FromRuntimed,
  Hello,
  KeptLogs,
  Refused,
  SweepLogs,
  AttemptRef as WireRef,
} from '../../src/proto/gen/session.js';

/** One call: messages out, messages in. Errors or completes when the call is over. */
export type Dial = (outgoing$: Observable<FromRuntimed>) => Observable<FromOperator>;

/** What the session tells the rest. */
export type SessionEvent =
  | Readonly<{ kind: 'Opened' }>
  /** `message` says why; '' for a call that was ended in good order. */
  | Readonly<{ kind: 'Closed'; message: string }>
  | Readonly<{ kind: 'Assign'; ref: WireRef; run: Buffer }>
  | Readonly<{ kind: 'Cancel'; ref: WireRef; reason: string }>
  | Readonly<{ kind: 'Drain' }>
  | Readonly<{ kind: 'RemoveArtifacts'; runUid: string; store: string }>
  | (Readonly<{ kind: 'SweepLogs' }> & SweepLogs)
  | Readonly<{ kind: 'ForgetLogs'; runUids: ReadonlyArray<string> }>;

export const FIRST_BACKOFF_MS = 100;
export const LAST_BACKOFF_MS = 3_000;
/** Longest wait for the operator's Welcome. */
export const WELCOME_MS = 5_000;
/** It doubles with each that stayed out in a row, up to this: an operator that all pods dial at once is slow, not gone. */
const LONGEST_WELCOME_MS = 20_000;
/** A session counts as open for the backoff when it lasted this long; one that is ended at once is a refusal. */
export const LASTING_MS = 1_000;
/** So many beats may stay out. */
export const MISSED_BEATS = 3;

export type SessionOptions = Readonly<{
  /** Asked at each dial. */
  hello: () => Hello;
  /** The pod's state; each change is sent at once. Emits the current one on subscription. */
  beats$: Observable<Beat>;
  refusals$: Observable<Refused>;
  removed$: Observable<ArtifactsRemoved>;
  keptLogs$: Observable<KeptLogs>;
  /**
   * Does what is due after what has come in: what the operator sent while this process stood still (starved, or stopped) is
   * read first, and is no silence of the operator.
   */
  clock: SchedulerLike;
  /** Uniform in [0, 1). */
  chance?: () => number;
}>;

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** Milliseconds before dial number `failures` + 1 since the last open session. */
export const redialDelayMs = (failures: number, chance: number): number =>
  failures === 0
    ? 0
    : Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 10)) * (1 - chance / 2);

/** How long a dial waits for its Welcome after `missed` in a row that stayed out. */
const welcomeLimitMs = (missed: number): number =>
  Math.min(LONGEST_WELCOME_MS, WELCOME_MS * 2 ** Math.min(missed, 10));

const eventOf = ({ message }: FromOperator): ReadonlyArray<SessionEvent> => {
  switch (message?.$case) {
    case 'assign':
      return message.value.attempt
        ? [{ kind: 'Assign', ref: message.value.attempt, run: message.value.run }]
        : [];
    case 'cancel':
      return message.value.attempt
        ? [{ kind: 'Cancel', ref: message.value.attempt, reason: message.value.reason }]
        : [];
    case 'drain':
      return [{ kind: 'Drain' }];
    case 'removeArtifacts':
      return [{ kind: 'RemoveArtifacts', ...message.value }];
    case 'sweepLogs':
      return [{ kind: 'SweepLogs', ...message.value }];
    case 'forgetLogs':
      return [{ kind: 'ForgetLogs', runUids: message.value.runUids }];
    default:
      return [];
  }
};

/** One session, from dial to end: Opened, then what the operator says. Errors when it is over. */
const session = (
  dial: Dial,
  options: SessionOptions,
  clock: SchedulerLike,
  welcomeMs: number,
): Observable<SessionEvent> =>
  defer(() => {
    const welcomeSubject = new Subject<number>();
    const endSubject = new Subject<void>();
    const beats$ = welcomeSubject.pipe(
      take(1),
      switchMap((ms) =>
        // Each beat restarts the pause, so a change that was just sent is not repeated at once.
        options.beats$.pipe(switchMap((beat) => concat(of(beat), interval(ms, clock).pipe(map(() => beat))))),
      ),
      map((value): FromRuntimed => ({ message: { $case: 'beat', value } })),
    );
    const refusals$ = options.refusals$.pipe(
      map((value): FromRuntimed => ({ message: { $case: 'refused', value } })),
    );
    const removed$ = options.removed$.pipe(
      map((value): FromRuntimed => ({ message: { $case: 'artifactsRemoved', value } })),
    );
    const keptLogs$ = options.keptLogs$.pipe(
      map((value): FromRuntimed => ({ message: { $case: 'keptLogs', value } })),
    );
    const outgoing$ = merge(
      defer(() => of<FromRuntimed>({ message: { $case: 'hello', value: options.hello() } })),
      refusals$,
      removed$,
      keptLogs$,
      beats$,
    ).pipe(takeUntil(endSubject));
    const incoming$ = dial(outgoing$);
    return incoming$.pipe(
      timeout({ first: welcomeMs, scheduler: clock }),
      welcomed(clock, (ms) => welcomeSubject.next(ms)),
      tap({ finalize: () => endSubject.next() }),
    );
  });

/** Reads the Welcome, then events, and errors when the operator is silent for too long. */
const welcomed =
  (clock: SchedulerLike, onWelcome: (beatMs: number) => void) =>
  (incoming$: Observable<FromOperator>): Observable<SessionEvent> =>
    new Observable((events) => {
      const silence = new Subject<number>();
      const silent = silence
        .pipe(switchMap((ms) => timer(ms * MISSED_BEATS, clock)))
        .subscribe(() => events.error(new Error(`no beat from the operator, ${MISSED_BEATS} in a row`)));
      let beatMs = 0;
      const incoming = incoming$.subscribe({
        next: (item) => {
          if (beatMs === 0) {
            if (item.message?.$case !== 'welcome') {
              events.error(new Error('the operator did not answer hello with a welcome'));
              return;
            }
            beatMs = Math.max(1, item.message.value.beatIntervalMillis);
            events.next({ kind: 'Opened' });
            onWelcome(beatMs);
          }
          silence.next(beatMs);
          for (const event of eventOf(item)) events.next(event);
        },
        error: (cause: unknown) => events.error(cause),
        complete: () => events.error(new Error('the operator ended the session')),
      });
      return () => {
        silent.unsubscribe();
        incoming.unsubscribe();
      };
    });

/** Sessions for ever: never completes, never errors. */
export const keepSession = (dial: Dial, options: SessionOptions): Observable<SessionEvent> =>
  defer(() => {
    const { clock, chance = Math.random } = options;
    let failures = 1;
    let missed = 0;
    let openedAt = Number.POSITIVE_INFINITY;
    return defer(() =>
      session(dial, options, clock, welcomeLimitMs(missed)).pipe(
        tap(({ kind }) => {
          if (kind === 'Opened') openedAt = clock.now();
        }),
        catchError((cause: unknown) => {
          missed = cause instanceof TimeoutError ? missed + 1 : 0;
          if (clock.now() - openedAt >= LASTING_MS) failures = 0;
          openedAt = Number.POSITIVE_INFINITY;
          return of<SessionEvent>({ kind: 'Closed', message: reasonOf(cause) });
        }),
      ),
    ).pipe(
      repeat({
        delay: () => {
          const ms = redialDelayMs(failures, chance());
          failures += 1;
          return timer(ms, clock);
        },
      }),
    );
  });
