/**
 * What happened, and when? A watch on the Runs and Runtimes of one namespace that keeps every version it saw with the
 * time of the monotonic clock, so that the demo waits for events instead of asking again and again.
 */
import { filter, firstValueFrom, map, merge, type Observable, of, Subject, timeout } from 'rxjs';

import { informer } from '../../streams/watch/informer.js';
import { runs, runtimes } from '../model/resources.js';
import { isTerminal, Run } from '../model/run.js';
import { Runtime } from '../model/runtime.js';
import type { KubePort } from '../ports.js';

/** One version of an object. */
export type Seen<A> = Readonly<{ object: A; atMs: number }>;

/** A finished Run and the time from the sight of its creation to that of its end. */
export type FinishedRun = Readonly<{ run: Run; status: NonNullable<Run['status']>; tookMs: number }>;

export type Witness = Readonly<{
  /** The first version of the Run, seen already or to come, that satisfies. */
  run: (name: string, satisfies: (run: Run) => boolean) => Promise<Seen<Run>>;
  finished: (name: string) => Promise<FinishedRun>;
  /** The Run of this name is deleted and forgotten: what comes later is a new one. */
  gone: (name: string) => Promise<void>;
  runtime: (name: string, satisfies: (runtime: Runtime) => boolean) => Promise<Seen<Runtime>>;
  close: () => void;
}>;

/** Longest time that anything of the demo may take, milliseconds. */
const LIMIT_MS = 20_000;

type Named = Readonly<{ metadata: Readonly<{ name: string }> }>;

/** Every version of every object of one kind. */
const memory = <A extends Named>() => {
  const versions = new Map<string, Seen<A>[]>();
  const seen$ = new Subject<Seen<A>>();
  const gone$ = new Subject<string>();
  const all = (name: string): Observable<Seen<A>> =>
    merge(
      of(...(versions.get(name) ?? [])),
      seen$.pipe(filter(({ object }) => object.metadata.name === name)),
    );
  return {
    versions,
    saw: (object: A): void => {
      const seen = { object, atMs: performance.now() };
      const known = versions.get(object.metadata.name);
      if (known) known.push(seen);
      else versions.set(object.metadata.name, [seen]);
      seen$.next(seen);
    },
    lost: (name: string): void => {
      versions.delete(name);
      gone$.next(name);
    },
    gone$,
    first: (name: string, satisfies: (object: A) => boolean): Promise<Seen<A>> =>
      firstValueFrom(
        all(name).pipe(
          filter(({ object }) => satisfies(object)),
          timeout({
            first: LIMIT_MS,
            with: () => {
              const last = versions.get(name)?.at(-1)?.object;
              throw new Error(
                `${name} did not get there within ${LIMIT_MS} ms; it is ${last ? JSON.stringify(last) : 'not there'}`,
              );
            },
          }),
        ),
      ),
  };
};

/** Watches until `close`. */
export const witness = (kube: KubePort, namespace: string): Witness => {
  const ofRuns = memory<Run>();
  const ofRuntimes = memory<Runtime>();
  const options = { random: Math.random };
  const watching = merge(
    informer(kube, runs, { namespace }, Run, options).pipe(
      map((event) => {
        if (event.kind === 'Apply') ofRuns.saw(event.object);
        else if (event.kind === 'Delete') ofRuns.lost(event.key.slice(event.key.indexOf('/') + 1));
      }),
    ),
    informer(kube, runtimes, { namespace }, Runtime, options).pipe(
      map((event) => {
        if (event.kind === 'Apply') ofRuntimes.saw(event.object);
      }),
    ),
  ).subscribe();
  return {
    run: ofRuns.first,
    finished: async (name) => {
      const { object, atMs } = await ofRuns.first(name, ({ status }) => isTerminal(status?.phase));
      const bornMs = ofRuns.versions.get(name)?.[0]?.atMs ?? atMs;
      return { run: object, status: object.status ?? {}, tookMs: atMs - bornMs };
    },
    gone: async (name) => {
      if (ofRuns.versions.has(name))
        await firstValueFrom(
          ofRuns.gone$.pipe(
            filter((each) => each === name),
            timeout({ first: LIMIT_MS }),
          ),
        );
    },
    runtime: ofRuntimes.first,
    close: () => watching.unsubscribe(),
  };
};
