/**
 * The operator on one screen: watch → cache → decide → enact.
 *
 * Three kinds of informers and the sessions feed one cache. While this process leads and the cache is full, every
 * pipeline gets the cache's content as changes, then each change as it comes, and answers with commands; `runCommands`
 * enacts them; what a write was answered goes back into the cache, what became of a command back to the pipelines that ask.
 *
 * Guarantees: nothing is decided before all caches are full or while another leads; nothing here subscribes, the
 * entry does; completion of `stop$` ends new decisions and lets effects in flight finish.
 */
import * as E from 'fp-ts/lib/Either.js';
import type * as t from 'io-ts';
import {
  asyncScheduler,
  combineLatest,
  defer,
  distinctUntilChanged,
  EMPTY,
  endWith,
  ignoreElements,
  map,
  merge,
  mergeMap,
  NEVER,
  type Observable,
  of,
  type SchedulerLike,
  Subject,
  share,
  startWith,
  switchMap,
  takeUntil,
  tap,
} from 'rxjs';

import { type PodSettings, recordedStore, revisionOf } from '../src/decide/pod-template.js';
import type { Command } from '../src/model/command.js';
import { namespaceOfKey, type ObjectKey, type RunUid } from '../src/model/ids.js';
import { RUNTIME_KEY } from '../src/model/names.js';
import type { News } from '../src/model/news.js';
import type { Outcome } from '../src/model/outcome.js';
import { Pod } from '../src/model/pod.js';
import type { Resource } from '../src/model/resource.js';
import { pods, runs, runtimes } from '../src/model/resources.js';
import { CachedRun, type RunRecord } from '../src/model/run-record.js';
import type { RuntimeRecord } from '../src/model/runtime-record.js';
import { CachedRuntime } from '../src/model/runtime-record.js';
import type { World, WorldChange } from '../src/model/world.js';
import type { Selection } from '../src/ports.js';
import { type Fed, feedsOf } from './cache/feed.js';
import { type WorldInput, worldStore } from './cache/world.js';
import { type EnactOptions, enacting } from './effects/enact.js';
import { runCommands } from './effects/run-commands.js';
import { anewWhenSetBack } from './operators/set-back.js';
import { planCancellations } from './pipelines/cancellation.js';
import { planCleanup } from './pipelines/cleanup.js';
import { planDeliveries } from './pipelines/deliveries.js';
import { planExpiry } from './pipelines/expiry.js';
import { planGrants } from './pipelines/grants.js';
import { planHistory } from './pipelines/history.js';
import { planKeptLogs } from './pipelines/kept-logs.js';
import { planLogSweeps } from './pipelines/log-sweeps.js';
import { planLostPods } from './pipelines/lost-pods.js';
import { planMarks } from './pipelines/marks.js';
import { planNotes } from './pipelines/notes.js';
import { planPodReadiness } from './pipelines/pod-readiness.js';
import { planPods } from './pipelines/pods.js';
import { planRuntimeStatus } from './pipelines/runtime-status.js';
import { planSchedule } from './pipelines/schedule.js';
import { planTimeouts } from './pipelines/timeouts.js';
import { informer } from './watch/informer.js';

/** What the operator is made of. */
export type OperatorOptions = Omit<EnactOptions, 'latest' | 'runsOf' | 'settings'> &
  Readonly<{
    /** What pods are told; asked anew whenever this process begins to decide. */
    settings: () => PodSettings;
    /** How long finished Runs stay, and how many of each Runtime, where they do not say it themselves. Default: for ever. */
    retention?: Readonly<{ defaultTtlMs?: number; historyLimit?: number }>;
    /** Which namespaces to serve; none means all. */
    namespaces: ReadonlyArray<string>;
    /** Set while this process leads; `isStillLeading` is asked before each act. */
    leads$: Observable<Readonly<{ isStillLeading: () => boolean }> | undefined>;
    /** Emits when no new decision is to be taken, and to late subscribers that it has. */
    stop$?: Observable<unknown>;
    clock?: SchedulerLike;
  }>;

/** What the operator tells its entry. */
export type OperatorReport =
  | Readonly<{ kind: 'Outcome'; outcome: Outcome }>
  | Readonly<{
      kind: 'Watch';
      resource: 'runs' | 'runtimes' | 'pods';
      news: NonNullable<Fed<unknown>['news']>;
    }>
  /** It takes decisions now, or no longer. */
  | Readonly<{ kind: 'Deciding'; isDeciding: boolean; world: World }>
  /** By so much; everything is decided anew, from what is known. */
  | Readonly<{ kind: 'ClockSetBack'; byMs: number }>
  /** After `stop$`, whether leading or not: no effect is in flight any more. */
  | Readonly<{ kind: 'Stopped' }>;

/** All of it. Subscribe once. */
export const operator = (options: OperatorOptions): Observable<OperatorReport> =>
  defer(() => {
    const {
      kube,
      sessions,
      settings,
      retention = {},
      random,
      namespaces,
      leads$,
      stop$ = NEVER,
      clock = asyncScheduler,
    } = options;
    const { world, put, snapshot } = worldStore();
    const changesSubject = new Subject<WorldChange>();
    const outcomesSubject = new Subject<Outcome>();
    const setBackSubject = new Subject<OperatorReport>();
    const take = (input: WorldInput): void => {
      const change = put(input);
      if (change) changesSubject.next(change);
    };

    /** Namespaces with Runs that did not decode, so that not all are known. */
    const unread = new Set<string>();
    const runsOf = (namespace: string): ReadonlyArray<RunUid> | undefined =>
      unread.has(namespace)
        ? undefined
        : [...world.runs.values()].flatMap((run) => (run.namespace === namespace ? run.uid : []));

    const watchOptions = { random, clock };
    /** One informer per namespace served, for an operator that may list no others. */
    const fedOf = <A extends Readonly<{ key: ObjectKey }>>(
      resource: Resource,
      codec: t.Decoder<unknown, A>,
      selection: Selection = {},
    ): Observable<Fed<A>> =>
      feedsOf(
        (namespaces.length === 0
          ? [selection]
          : namespaces.map((namespace) => ({ ...selection, namespace }))
        ).map((each) => informer(kube, resource, each, codec, watchOptions)),
      );
    const runs$ = fedOf(runs, CachedRun).pipe(
      tap(({ changes, news }) => {
        if (news?.kind === 'Rejected') unread.add(namespaceOfKey(news.key));
        for (const { key, after } of oldestFirst(changes)) take({ kind: 'Run', key, object: after });
      }),
      share(),
    );
    const runtimes$ = fedOf(runtimes, CachedRuntime).pipe(
      tap(({ changes }) => {
        for (const { key, after } of changes) take({ kind: 'Runtime', key, object: after });
      }),
      share(),
    );
    const pods$ = fedOf(pods, Pod, { labelSelector: RUNTIME_KEY }).pipe(
      tap(({ changes }) => {
        for (const { key, after } of changes) take({ kind: 'Pod', key, object: after });
      }),
      share(),
    );
    const sessions$ = sessions.events$.pipe(tap((event) => take({ kind: 'Session', event })));

    const isSynced$ = combineLatest([runs$, runtimes$, pods$]).pipe(
      map((fed) => fed.every(({ isSynced }) => isSynced)),
      startWith(false),
    );
    const mandate$ = combineLatest([leads$.pipe(startWith(undefined)), isSynced$]).pipe(
      map(([leads, isSynced]) => (isSynced ? leads : undefined)),
      distinctUntilChanged(),
      share(),
    );

    let told = settings();
    let revisions = new WeakMap<RuntimeRecord, string>();
    const runtimeRevision = (runtime: RuntimeRecord): string => {
      const revision = revisions.get(runtime) ?? revisionOf(runtime.spec, told);
      revisions.set(runtime, revision);
      return revision;
    };
    const commands$ = defer((): Observable<Command> => {
      // What is known is told to all in one go, when all listen and before anything can change; it is not kept.
      const knownSubject = new Subject<WorldChange>();
      const changes$ = merge(knownSubject, changesSubject);
      const tellKnown$ = defer(() => {
        for (const change of snapshot()) knownSubject.next(change);
        return EMPTY;
      });
      const news$ = merge(
        outcomesSubject.pipe(map((outcome): News => ({ kind: 'Outcome', outcome }))),
        changes$.pipe(map((change): News => ({ kind: 'Change', change }))),
      );
      return merge(
        planSchedule(news$, world, clock),
        planCancellations(changes$, world),
        planDeliveries(news$, world, clock),
        planLostPods(changes$, world, clock),
        planTimeouts(changes$, world, clock),
        planExpiry(news$, world, retention.defaultTtlMs, clock),
        planHistory(news$, world, retention.historyLimit, clock),
        planMarks(changes$),
        planCleanup(news$, world, { random, storeOf: (runtime) => recordedStore(runtime, told) }, clock),
        planLogSweeps(changes$, world, clock),
        planKeptLogs(sessions.events$, world, (namespace) => !unread.has(namespace), clock),
        planGrants(news$, world, clock),
        planPods(news$, world, { revisionOf: runtimeRevision, random }, clock),
        planPodReadiness(news$, world, clock),
        planRuntimeStatus(news$, world, runtimeRevision, clock),
        planNotes(changes$, clock),
        tellKnown$,
      );
    }).pipe(anewWhenSetBack((byMs) => setBackSubject.next({ kind: 'ClockSetBack', byMs })));
    const latest = (run: RunRecord): RunRecord => {
      const known = world.runs.get(run.key);
      return known?.uid === run.uid ? known : run;
    };
    const outcomes$ = mandate$.pipe(
      switchMap((mandate) => {
        told = settings();
        revisions = new WeakMap();
        const enact = enacting({ ...options, settings: told, latest, runsOf });
        return runCommands((mandate === undefined ? NEVER : commands$).pipe(takeUntil(stop$)), {
          // A process that was paused may have been deposed before it is told.
          enact: (command) => (mandate?.isStillLeading() ? enact(command) : of(deposed(command))),
          random,
          clock,
        }).pipe(
          map((outcome): OperatorReport => ({ kind: 'Outcome', outcome })),
          endWith<OperatorReport>({ kind: 'Stopped' }),
        );
      }),
      tap((report) => {
        if (report.kind !== 'Outcome') return;
        observe(report.outcome, take);
        outcomesSubject.next(report.outcome);
      }),
    );

    return merge(
      // The sources first: what follows subscribes to what they share.
      mandate$.pipe(
        map((mandate): OperatorReport => ({ kind: 'Deciding', isDeciding: mandate !== undefined, world })),
      ),
      outcomes$,
      newsOf('runs', runs$),
      newsOf('runtimes', runtimes$),
      newsOf('pods', pods$),
      sessions$.pipe(ignoreElements()),
      setBackSubject,
    );
  });

const deposed = (command: Command): Outcome => ({
  kind: 'Dropped',
  command,
  why: 'this process no longer leads',
});

/** What a write of ours was answered is newer than what the watch has brought. */
const observe = (outcome: Outcome, take: (input: WorldInput) => void): void => {
  if (outcome.kind !== 'Done' || outcome.command.kind !== 'AdvanceRun') return;
  const run = CachedRun.decode(outcome.object);
  if (E.isRight(run)) take({ kind: 'Observed', object: run.right });
};

/** A list comes by name; the queue wants it by age. */
const oldestFirst = (changes: Fed<RunRecord>['changes']) =>
  changes.length < 2
    ? changes
    : [...changes].sort(
        (a, b) =>
          (a.after?.createdAt ?? 0) - (b.after?.createdAt ?? 0) ||
          Number(a.after?.resourceVersion ?? 0) - Number(b.after?.resourceVersion ?? 0),
      );

const newsOf = (
  resource: 'runs' | 'runtimes' | 'pods',
  fed$: Observable<Fed<unknown>>,
): Observable<OperatorReport> =>
  fed$.pipe(mergeMap(({ news }) => (news ? of<OperatorReport>({ kind: 'Watch', resource, news }) : EMPTY)));
