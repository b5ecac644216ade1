/**
 * runtimed on one screen: the session, the API and the Runtime Server tell what happens; `Holdings` decides what that
 * means for the attempts held here; effects enact it, and their answers come back as things that happened.
 *
 *     session ──┐                                    ┌─▶ workspace (prepare, collect, clean)
 *     own Runs ─┼─▶ inputs ─▶ Holdings ─▶ commands ──┼─▶ Runtime Server (execute, cancel, forget)
 *     server ───┤      ▲                             ├─▶ status writes, refusals
 *     alarms ───┘      └──────────── answers ────────┴─▶ alarms, notes
 *
 * Guarantees: no step waits for a tick; an input costs the same however many attempts are held. Completes when it was
 * told to terminate and nothing is held any more. Errors only on a defect.
 */

import * as E from 'fp-ts/lib/Either.js';
import {
  BehaviorSubject,
  combineLatest,
  concat,
  concatMap,
  distinctUntilChanged,
  EMPTY,
  filter,
  ignoreElements,
  map,
  merge,
  mergeMap,
  type Observable,
  of,
  type SchedulerLike,
  Subject,
  startWith,
  take,
  tap,
} from 'rxjs';

import type { RunEvent } from '../src/decide/lifecycle.js';
import type { Refusal } from '../src/decide/sidecar/admission.js';
import {
  type Assignment,
  type AttemptCommand,
  type AttemptInput,
  type AttemptRef,
  type Collected,
  type Execution,
  idOf,
  type Note,
  type Work,
} from '../src/decide/sidecar/attempt.js';
import type { Command, Holdings, Input } from '../src/decide/sidecar/holdings.js';
import type { ServerNews } from '../src/decide/sidecar/server-event.js';
import type { Run } from '../src/model/run.js';
import type { Micros } from '../src/model/time.js';
import type {
  ArtifactsRemoved,
  Beat,
  Hello,
  KeptLogs,
  Refused,
  SweepLogs,
  AttemptRef as WireRef,
} from '../src/proto/gen/session.js';
import { type AlarmSetting, ringAlarms } from './sidecar/alarms.js';
import { assignedRuns } from './sidecar/assigned.js';
import { feedback } from './sidecar/feedback.js';
import { fitness } from './sidecar/fitness.js';
import { askForLogs } from './sidecar/kept-logs.js';
import { answerRemovals, type Removal } from './sidecar/removals.js';
import { type Dial, keepSession, type SessionEvent } from './sidecar/session.js';
import { doSweeps, type Sweep } from './sidecar/sweeps.js';
import { turns } from './sidecar/turns.js';
import type { InformerEvent } from './watch/informer-events.js';

/** Where things come from. */
export type SidecarSources = Readonly<{
  /** What an earlier runtimed of this pod left; before all else. */
  recovered: ReadonlyArray<Input>;
  dial: Dial;
  /** The Run of an assignment: decoded, or read from the API where the message has none. */
  readRun: (ref: WireRef, json: Buffer) => Observable<E.Either<string, Run>>;
  /** One list of the Runs assigned to this pod that have not ended; tries until it has one. */
  list$: Observable<ReadonlyArray<Run>>;
  watch$: Observable<InformerEvent<Run>>;
  server$: Observable<ServerNews>;
  /** Emits once on SIGTERM. */
  terminate$: Observable<unknown>;
}>;

/** What can be done. Each answers once and never errors; the others just complete. */
export type SidecarEffects = Readonly<{
  prepare: (assignment: Assignment, work: Work) => Observable<AttemptInput>;
  /** Breaks off what `prepare` waits for; it answers all the same. */
  abortPrepare: (id: string) => Observable<never>;
  /** Why the pod can make no workspace now; '' when it can. Errors when only a new beginning helps. */
  tryWorkspace: () => Observable<string>;
  execute: (ref: AttemptRef, execution: Execution) => Observable<AttemptInput>;
  cancelExecution: (id: string) => Observable<never>;
  collect: (ref: AttemptRef, artifacts: 'Store' | 'Leave') => Observable<Collected>;
  writeStatus: (assignment: Assignment, event: RunEvent) => Observable<AttemptInput>;
  /** Gives an assignment back in the API, where no operator is there to be told. */
  giveBack: (assignment: Assignment, refusal: Refusal) => Observable<never>;
  clean: (command: Extract<AttemptCommand, { kind: 'Clean' }>) => Observable<never>;
  /** Ends and forgets an execution that nobody here knows. */
  endUnknown: (id: string, running: boolean) => Observable<never>;
  /** Removes what a Run has in the pod's store. Answers once, never errors. */
  removeArtifacts: (removal: Removal) => Observable<ArtifactsRemoved>;
  /** Removes logs in the pod's store that Runs which are gone have left. Never errors. */
  sweepLogs: (sweep: Sweep) => Observable<never>;
  /** UIDs of Runs whose attempts have all ended here so long ago, and whose logs are kept in the pod. */
  keptLogs: (settledMs: number) => ReadonlyArray<string>;
  /** Keeps the logs of these Runs no longer: they are gone. Never errors. */
  forgetLogs: (runUids: ReadonlyArray<string>) => Observable<never>;
  note: (note: Note) => void;
}>;

/** Who we are, for hello. */
export type Identity = Pick<Hello, 'podName' | 'podUid' | 'runtime' | 'version' | 'artifactStore'>;

type SessionState = Readonly<{ isOpen: boolean; why: string }>;

export type SidecarOptions = Readonly<{
  identity: Identity;
  holdings: Holdings;
  now: () => Micros;
  /** As that of a session. */
  clock: SchedulerLike;
  /** Uniform in [0, 1). */
  chance?: () => number;
  /**
   * Told of each change: whether a session is open, why there is none ('' when it is open, or was not tried yet), and the
   * pod's own state. For probes, metrics and the log.
   */
  onState?: (state: SessionState & Readonly<{ beat: Beat }>) => void;
}>;

/**
 * When many Runs are cancelled at once, their ends are reported one after the other: what that takes of runtimed and of
 * the API would come before cancellations that are still on their way. Nobody waits longer than the bound, so a report
 * that the API does not take holds up none for ever.
 */
const CANCELLED_REPORTS = { most: 1, longestMs: 3_000 };

const ofAttempt =
  (id: string) =>
  (input: AttemptInput): Input => ({ kind: 'Attempt', id, input });

const wireRef = ({ name, uid, attempt }: AttemptRef): WireRef => ({ runName: name, runUid: uid, attempt });

const idOfWire = ({ runUid, attempt }: WireRef): string => (attempt <= 1 ? runUid : `${runUid}.${attempt}`);

/** The Runtime Server's news as inputs. */
const newsInputs = (news: ServerNews): ReadonlyArray<Input> => {
  switch (news.kind) {
    case 'Health':
      return [];
    case 'Opened':
      return [{ kind: 'ServerOpened' }];
    case 'Synced':
      return [{ kind: 'ServerSynced' }];
    case 'Down':
      return [{ kind: 'ServerDown' }];
    case 'Gone':
      return [{ kind: 'ServerGone' }];
    case 'Started':
      return [ofAttempt(news.id)({ kind: 'Started', at: news.at })];
    case 'Exited':
      return [ofAttempt(news.id)({ kind: 'Exited', exit: news.exit })];
    default:
      return news satisfies never;
  }
};

type Health = Readonly<{ isUp: boolean; healthy: boolean; message: string }>;

const UNKNOWN_HEALTH: Health = {
  isUp: false,
  healthy: false,
  message: 'the Runtime Server was not reached yet',
};

const healthAfter = (health: Health, news: ServerNews): Health => {
  if (news.kind === 'Health') return { ...health, healthy: news.healthy, message: news.message };
  // Not before it has said what it runs: what was given up may be among that.
  if (news.kind === 'Synced') return { ...health, isUp: true };
  return news.kind === 'Down' ? { isUp: false, healthy: false, message: news.message } : health;
};

/** Until they have ended, their room is not free. */
const STRAYS = 'executions that were given up are being ended';

/** Emits each input after its step. */
export const runtimed = (
  sources: SidecarSources,
  effects: SidecarEffects,
  { identity, holdings, now, clock, chance = Math.random, onState }: SidecarOptions,
): Observable<Input> => {
  const refusalsSubject = new Subject<Refused>();
  const removalsSubject = new Subject<Removal>();
  const removedSubject = new Subject<ArtifactsRemoved>();
  const sweepsSubject = new Subject<SweepLogs>();
  const keptLogsSubject = new Subject<KeptLogs>();
  const goneSubject = new Subject<ReadonlyArray<string>>();
  /** An attempt is no longer held. */
  const releasedSubject = new Subject<void>();
  const settingsSubject = new Subject<AlarmSetting>();
  /** A workspace could not be made, and why. */
  const troubleSubject = new Subject<string>();
  const beatSubject = new BehaviorSubject<Beat>({
    healthy: false,
    healthMessage: UNKNOWN_HEALTH.message,
    draining: false,
  });
  const sessionSubject = new BehaviorSubject<SessionState>({ isOpen: false, why: '' });
  let isTerminating = false;
  const reports = turns(CANCELLED_REPORTS, clock);
  const reportTurn = (id: string): Observable<undefined> =>
    holdings.get(id)?.stop === 'Cancelled' ? reports.take(id) : of(undefined);

  const session$ = keepSession(sources.dial, {
    hello: () => ({ ...identity, ...beatSubject.value, held: holdings.held().map(wireRef) }),
    beats$: beatSubject,
    refusals$: refusalsSubject,
    removed$: removedSubject,
    keptLogs$: keptLogsSubject,
    clock,
    chance,
  });

  /** Keeps the pod's state as the operator is to see it. */
  let health = UNKNOWN_HEALTH;
  /** Why no workspaces can be made; '' when they can. */
  let unfit = '';
  const tellHealth = (): void => {
    const isServed = health.isUp && health.healthy;
    const hindrance = holdings.hasStrays ? STRAYS : unfit;
    const healthy = isServed && hindrance === '';
    const healthMessage = isServed ? hindrance : health.message;
    const before = beatSubject.value;
    if (healthy !== before.healthy || healthMessage !== before.healthMessage)
      beatSubject.next({ ...before, healthy, healthMessage });
  };
  const noteHealth = (news: ServerNews): void => {
    health = healthAfter(health, news);
    tellHealth();
  };
  const fitness$ = fitness(troubleSubject, effects.tryWorkspace, clock).pipe(
    tap((why) => {
      unfit = why;
      tellHealth();
    }),
    ignoreElements(),
  );
  const noteSession = (event: SessionEvent): void => {
    if (event.kind === 'Opened') sessionSubject.next({ isOpen: true, why: '' });
    if (event.kind === 'Closed') sessionSubject.next({ isOpen: false, why: event.message });
  };
  const isOpen$ = sessionSubject.pipe(
    map(({ isOpen }) => isOpen),
    distinctUntilChanged(),
  );
  const isSame = (a: SessionState, b: SessionState): boolean => a.isOpen === b.isOpen && a.why === b.why;
  const state$ = combineLatest([sessionSubject.pipe(distinctUntilChanged(isSame)), beatSubject]).pipe(
    tap(([session, beat]) => onState?.({ ...session, beat })),
    ignoreElements(),
  );

  /** What the operator asks for. */
  const asked = (event: SessionEvent): Observable<Input> => {
    switch (event.kind) {
      case 'Assign':
        return sources.readRun(event.ref, event.run).pipe(
          mergeMap((run): Observable<Input> => {
            if (E.isRight(run)) return of({ kind: 'Assigned', run: run.right, via: 'session' });
            // What is held is not given back because a repeated message could not be read.
            if (holdings.get(idOfWire(event.ref)) === undefined)
              refusalsSubject.next({ attempt: event.ref, reason: 'Stale', message: run.left });
            return EMPTY;
          }),
        );
      case 'Cancel':
        return of(
          ofAttempt(idOfWire(event.ref))({
            kind: 'StopAsked',
            cause: event.reason === 'Timeout' ? 'Timeout' : 'Cancelled',
          }),
        );
      case 'Drain':
        return of({ kind: 'DrainAsked' });
      case 'RemoveArtifacts':
        // On a way of its own: it may take long, and the session's other messages must not wait.
        removalsSubject.next(event);
        return EMPTY;
      case 'SweepLogs':
        sweepsSubject.next(event);
        return EMPTY;
      case 'ForgetLogs':
        goneSubject.next(event.runUids);
        return EMPTY;
      case 'Opened':
      case 'Closed':
        return EMPTY;
      default:
        return event satisfies never;
    }
  };

  const enact = (command: Command): Observable<Input> => {
    switch (command.kind) {
      case 'Prepare':
        return effects
          .prepare(command.assignment, command.work)
          .pipe(map(ofAttempt(idOf(command.assignment.ref))));
      case 'GiveBack': {
        const { reason, message } = command;
        // First, so that the operator does not send the next one.
        if (reason === 'Unfit') troubleSubject.next(message);
        const refusal: Refusal = { reason, message };
        if (!sessionSubject.value.isOpen) return effects.giveBack(command.assignment, refusal);
        refusalsSubject.next({ attempt: wireRef(command.assignment.ref), ...refusal });
        return EMPTY;
      }
      case 'AbortPrepare':
        return effects.abortPrepare(idOf(command.ref));
      case 'Execute':
        return effects.execute(command.ref, command.execution).pipe(map(ofAttempt(idOf(command.ref))));
      case 'CancelExecution':
        return effects.cancelExecution(idOf(command.ref));
      case 'Collect': {
        const id = idOf(command.ref);
        return reportTurn(id).pipe(
          mergeMap(() => effects.collect(command.ref, command.artifacts)),
          map((collected) => ofAttempt(id)({ kind: 'Collected', collected })),
        );
      }
      case 'WriteStatus':
        return effects
          .writeStatus(command.assignment, command.event)
          .pipe(map(ofAttempt(idOf(command.assignment.ref))));
      case 'Clean':
        reports.end(idOf(command.ref));
        return concat(effects.clean(command), of<Input>({ kind: 'Cleaned', id: idOf(command.ref) }));
      case 'Refuse':
        if (command.via === 'watch') return effects.giveBack(command.assignment, command.refusal);
        refusalsSubject.next({ attempt: wireRef(command.assignment.ref), ...command.refusal });
        return EMPTY;
      case 'EndUnknown':
        return effects.endUnknown(command.id, command.running);
      case 'SetAlarm':
      case 'ClearAlarms':
        settingsSubject.next(command);
        return EMPTY;
      case 'Note':
        effects.note(command);
        return EMPTY;
      default:
        return command satisfies never;
    }
  };

  const isHeld = ({ runUid }: Removal): boolean => holdings.held().some(({ uid }) => uid === runUid);
  const removals$ = removalsSubject.pipe(
    // Of an attempt that is still here more may be stored: not before it is gone.
    mergeMap((removal) =>
      releasedSubject.pipe(
        startWith(undefined),
        filter(() => !isHeld(removal)),
        take(1),
        map(() => removal),
      ),
    ),
    answerRemovals(effects.removeArtifacts),
    tap((answer) => removedSubject.next(answer)),
    ignoreElements(),
  );

  const sweeps$ = sweepsSubject.pipe(doSweeps(effects.sweepLogs));

  const keptLogs$ = merge(
    askForLogs({ isOpen$, ended$: releasedSubject, kept: effects.keptLogs, chance }, clock).pipe(
      tap((question) => keptLogsSubject.next(question)),
      ignoreElements(),
    ),
    goneSubject.pipe(concatMap(effects.forgetLogs)),
  );

  const drain$ = sources.terminate$.pipe(
    map((): Input => {
      isTerminating = true;
      return { kind: 'DrainAsked', isEnding: true };
    }),
  );

  const inputs$ = merge(
    // First, so that an alarm set by what was recovered has its queue.
    ringAlarms(settingsSubject, now, clock).pipe(
      map(({ id, alarm }): Input => ({ kind: 'Rang', id, alarm })),
    ),
    removals$,
    sweeps$,
    keptLogs$,
    fitness$,
    of(...sources.recovered),
    state$,
    drain$,
    assignedRuns(isOpen$, { ...sources, heldIds: () => holdings.ids() }, clock),
    sources.server$.pipe(tap(noteHealth), mergeMap(newsInputs)),
    session$.pipe(tap(noteSession), concatMap(asked)),
  );

  return feedback<Input, Command>(inputs$, {
    reduce: (input) => {
      const hadStrays = holdings.hasStrays;
      const commands = holdings.reduce(input, { at: now(), chance: chance() });
      if (input.kind === 'Cleaned') releasedSubject.next();
      if (holdings.hasStrays !== hadStrays) tellHealth();
      if (holdings.isDraining && !beatSubject.value.draining)
        beatSubject.next({ ...beatSubject.value, draining: true });
      return commands;
    },
    enact,
    isDone: () => isTerminating && holdings.size === 0,
  });
};
