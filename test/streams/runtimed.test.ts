/** The sidecar in virtual time: when is what written, and who is told to stop when? */
import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import {
  EMPTY,
  ignoreElements,
  map,
  merge,
  NEVER,
  type Observable,
  of,
  Subject,
  tap,
  throwError,
  timer,
} from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';

import { step } from '../../src/decide/lifecycle.js';
import { type Collected, type Exit, idOf } from '../../src/decide/sidecar/attempt.js';
import { Holdings } from '../../src/decide/sidecar/holdings.js';
import type { ServerNews } from '../../src/decide/sidecar/server-event.js';
import type { Run } from '../../src/model/run.js';
import { micros } from '../../src/model/time.js';
import type { FromOperator } from '../../src/proto/gen/session.js';
import { runtimed, type SidecarEffects, type SidecarSources } from '../../streams/runtimed.js';
import { marbles } from '../support/marbles.js';

const POD = 'pod-1';
const outputs: Collected = { kind: 'Outputs', outputs: {} };
const execution = { workingDir: '', entrypoint: 'script', args: [], env: {}, timeoutSeconds: 0 };

const aRun = (spec: Partial<Run['spec']> = {}): Run => ({
  metadata: { name: 'r', namespace: 'default', uid: 'r', resourceVersion: '1', creationTimestamp: '' },
  spec: { runtime: 'bash', source: { inline: ':' }, ...spec },
  status: { phase: 'Scheduled', assignedPod: 'p', assignedPodUID: POD, attempt: 1 },
});

const anExit = (atMs: number, cause: Exit['cause'], code: number): Exit => ({
  code,
  signal: 0,
  cause,
  errorMessage: '',
  lastStderr: '',
  at: micros(atMs * 1000),
});

const ref = { runName: 'r', runUid: 'r', attempt: 1 };
const welcome: FromOperator = { message: { $case: 'welcome', value: { beatIntervalMillis: 1_000_000 } } };
const assigning = (attempt: typeof ref): FromOperator => ({
  message: { $case: 'assign', value: { attempt, run: Buffer.alloc(0) } },
});
const cancelling = (attempt: typeof ref): FromOperator => ({
  message: { $case: 'cancel', value: { attempt, reason: 'Cancelled' } },
});
const assign = assigning(ref);
const cancel = cancelling(ref);
const forget: FromOperator = { message: { $case: 'forgetLogs', value: { runUids: ['x'] } } };

type Story = Readonly<{
  run?: Run;
  /** How long the process runs, ms; without it, until it is stopped. */
  runsMs?: number;
  /** How long it lives on after it was told to stop, ms. */
  graceMs?: number;
  /** What the operator says, and when (ms). */
  says?: ReadonlyArray<readonly [number, FromOperator]>;
  /** How long each status write takes, ms. */
  writeMs?: number;
  /** Runs whose logs are kept. */
  kept?: ReadonlyArray<string>;
  /** The Run of an assignment can be read the first time only. */
  isReadOnce?: true;
  /** Runs at once. */
  slots?: number;
  /** Why the first dials fail; with it, what is said of sessions is told, too. */
  failures?: ReadonlyArray<string>;
}>;

/** Plays a story and gives back what was done when: `12 Write AttemptEnded Succeeded`. */
const play = (
  {
    run = aRun(),
    runsMs,
    graceMs = 0,
    says = [[0, assign]],
    writeMs = 1,
    kept = [],
    isReadOnce,
    slots = 1,
    failures,
  }: Story,
  clock: TestScheduler,
): ReadonlyArray<string> => {
  const log: string[] = [];
  const say = (what: string): void => {
    log.push(`${clock.now()} ${what}`);
  };
  let reads = 0;
  let dials = 0;
  const news = new Subject<ServerNews>();
  const later = (ms: number, item: () => ServerNews): void => {
    timer(ms).subscribe(() => news.next(item()));
  };
  const effects: SidecarEffects = {
    prepare: () => of({ kind: 'Prepared', execution }),
    abortPrepare: () => EMPTY,
    tryWorkspace: () => of(''),
    execute: (attempt) => {
      const id = idOf(attempt);
      say('Execute');
      later(0, () => ({ kind: 'Started', id, at: micros(clock.now() * 1000) }));
      if (runsMs !== undefined)
        later(runsMs, () => ({ kind: 'Exited', id, exit: anExit(clock.now(), 'Exited', 0) }));
      return of({ kind: 'Executed' });
    },
    cancelExecution: (id) => {
      say('Cancel');
      later(graceMs, () => ({ kind: 'Exited', id, exit: anExit(clock.now(), 'Stopped', 143) }));
      return EMPTY;
    },
    collect: () => of(outputs),
    writeStatus: (assignment, event) => {
      const next = step(assignment.policy, assignment.status, event);
      if (E.isLeft(next)) throw new Error('the lifecycle refused a step');
      say(`Write ${event.kind} ${next.right.phase}`);
      return timer(writeMs).pipe(map(() => ({ kind: 'StatusWritten', status: next.right })));
    },
    giveBack: () => EMPTY,
    clean: () => {
      say('Clean');
      return EMPTY;
    },
    endUnknown: () => EMPTY,
    removeArtifacts: ({ runUid, store }) => of({ runUid, store, error: '' }),
    sweepLogs: () => EMPTY,
    keptLogs: () => kept,
    forgetLogs: (uids) => {
      say(`Forget ${uids.join(' ')}`);
      return EMPTY;
    },
    note: () => undefined,
  };
  const sources: SidecarSources = {
    recovered: [],
    dial: (outgoing$) => {
      const failure = failures?.[dials];
      dials += 1;
      if (failure !== undefined) return throwError(() => new Error(failure));
      return merge(
        of(welcome),
        ...says.map(([ms, message]) => timer(ms).pipe(map(() => message))),
        outgoing$.pipe(
          tap(({ message }) => message?.$case === 'refused' && say('Refused')),
          tap(
            ({ message }) => message?.$case === 'keptLogs' && say(`Kept ${message.value.runUids.join(' ')}`),
          ),
          ignoreElements(),
        ),
        NEVER,
      );
    },
    readRun: ({ runName: name, runUid: uid }) => {
      reads += 1;
      const read = { ...run, metadata: { ...run.metadata, name, uid } };
      return of(isReadOnce && reads > 1 ? E.left('the API is away') : E.right(read));
    },
    list$: of([]),
    watch$: NEVER,
    server$: merge(of<ServerNews[]>({ kind: 'Opened' }, { kind: 'Synced' }), news),
    terminate$: NEVER,
  };
  const steps$: Observable<unknown> = runtimed(sources, effects, {
    identity: { podName: 'p', podUid: POD, runtime: 'bash', version: '1', artifactStore: '' },
    holdings: new Holdings({ uid: POD, capacity: { runs: slots } }),
    now: () => micros(clock.now() * 1000),
    clock,
    chance: () => 0,
    onState: ({ isOpen, why }) => {
      if (failures) say(isOpen ? 'Open' : `Not open: ${why}`);
    },
  });
  const subscription = steps$.subscribe();
  clock.schedule(() => subscription.unsubscribe(), 70_000);
  clock.flush();
  return log;
};

const told = (story: Story): ReadonlyArray<string> => {
  let log: ReadonlyArray<string> = [];
  marbles((_helpers, clock) => {
    log = play(story, clock);
  });
  return log;
};

describe('runtimed', () => {
  it('writes the end alone for what ends 49 ms after its start', () => {
    expect(told({ runsMs: 49 })).to.deep.equal(['0 Execute', '49 Write AttemptEnded Succeeded', '50 Clean']);
  });

  it('writes Running, with its start, 50 ms after it', () => {
    expect(told({ runsMs: 120 })).to.deep.equal([
      '0 Execute',
      '50 Write Started Running',
      '120 Write AttemptEnded Succeeded',
      '121 Clean',
    ]);
  });

  it('never has two writes of one attempt under way: the end waits for Running', () => {
    expect(told({ runsMs: 60, writeMs: 30 })).to.deep.equal([
      '0 Execute',
      '50 Write Started Running',
      '80 Write AttemptEnded Succeeded',
      '110 Clean',
    ]);
  });

  it('stops at the timeout, to the millisecond, and ends when the process has ended', () => {
    expect(told({ run: aRun({ timeout: 200 }), graceMs: 40 })).to.deep.equal([
      '0 Execute',
      '50 Write Started Running',
      '200 Cancel',
      '240 Write AttemptEnded Timeout',
      '241 Clean',
    ]);
  });

  it('does not give back what it holds because a repeated assignment cannot be read', () => {
    const says: Story['says'] = [
      [0, assign],
      [20, assign],
    ];
    expect(told({ runsMs: 30, says, isReadOnce: true })).to.deep.equal([
      '0 Execute',
      '30 Write AttemptEnded Succeeded',
      '31 Clean',
    ]);
  });

  it('tells whose logs it keeps, and forgets those of Runs that are gone', () => {
    expect(told({ says: [[61_000, forget]], kept: ['x', 'y'] })).to.deep.equal([
      '60000 Kept x y',
      '61000 Forget x',
    ]);
  });

  it('tells why there is no session, once for each reason in a row', () => {
    const log = told({ says: [], failures: ['no such name', 'no such name', 'refused'] });
    expect(log.filter((line) => / (Open|Not open: .+)$/.test(line))).to.deep.equal([
      '0 Not open: no such name',
      '300 Not open: refused',
      '700 Open',
    ]);
  });

  it('repeats a stop that is not followed by an end', () => {
    const log = told({ run: aRun({ timeout: 200 }), graceMs: 9_000 });
    expect(log.filter((line) => line.endsWith('Cancel'))).to.deep.equal(['200 Cancel', '5200 Cancel']);
  });

  it('sets no timeout for what has ended before it', () => {
    expect(told({ run: aRun({ timeout: 100 }), runsMs: 30 })).to.deep.equal([
      '0 Execute',
      '30 Write AttemptEnded Succeeded',
      '31 Clean',
    ]);
  });

  it('reports the ends of Runs that were cancelled together one after the other, none later than 3 s', () => {
    const refs = Array.from({ length: 10 }, (_, at) => ({ runName: `r${at}`, runUid: `r${at}`, attempt: 1 }));
    const says: Story['says'] = refs.flatMap((attempt) => [
      [0, assigning(attempt)],
      [20, cancelling(attempt)],
    ]);
    const writes = (writeMs: number): ReadonlyArray<string> =>
      told({ says, slots: 10, writeMs }).filter((line) => line.includes('Write'));
    const at = (ms: number): string => `${ms} Write AttemptEnded Cancelled`;
    expect(writes(10)).to.deep.equal([20, 30, 40, 50, 60, 70, 80, 90, 100, 110].map(at));
    expect(writes(30_000)).to.deep.equal([20, ...Array(9).fill(3_020)].map(at));
  });

  it('ends as Cancelled what a cancellation stopped, and by its own result what it came too late for', () => {
    const cancelAt = (ms: number): NonNullable<Story['says']> => [
      [0, assign],
      [ms, cancel],
    ];
    expect(told({ says: cancelAt(20), graceMs: 5 })).to.deep.equal([
      '0 Execute',
      '20 Cancel',
      '25 Write AttemptEnded Cancelled',
      '26 Clean',
    ]);
    expect(told({ says: cancelAt(20), runsMs: 20, writeMs: 10 })).to.include(
      '20 Write AttemptEnded Succeeded',
    );
  });
});
