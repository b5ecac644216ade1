/**
 * What tests do with a control plane, whoever runs it: a client, and a watch that keeps every version of every Run it
 * saw.
 */
import * as E from 'fp-ts/lib/Either.js';
import {
  filter,
  firstValueFrom,
  map,
  merge,
  type Observable,
  of,
  Subject,
  skipWhile,
  takeUntil,
  tap,
  throwIfEmpty,
  timeout,
} from 'rxjs';
import { kubeClient } from '../../src/io/kube/client.js';
import { clusterFromKubeconfig } from '../../src/io/kube/cluster.js';
import type { EffectError } from '../../src/model/effect-error.js';
import { Pod } from '../../src/model/pod.js';
import { pods, runs, runtimes } from '../../src/model/resources.js';
import { isTerminal, Run } from '../../src/model/run.js';
import { CachedRuntime } from '../../src/model/runtime-record.js';
import type { Effect, KubePort, Patch } from '../../src/ports.js';
import { informer } from '../../streams/watch/informer.js';

/** Only against waiting for ever, milliseconds: a test that claims a time measures it. */
const LIMIT_MS = 120_000;

/** A running control plane. */
export type ControlPlane = Readonly<{
  dataDir: string;
  kubeconfig: string;
  kube: KubePort;
  /** Creates a Run of Runtime bash; `spec` on top of the defaults. Rejects with the API's words. */
  create: (name: string, spec?: Readonly<Record<string, unknown>>) => Promise<Run>;
  /** The error that the API answers to this Run. */
  refusal: (name: string, spec: Readonly<Record<string, unknown>>) => Promise<EffectError>;
  /** The first version, seen already or to come, that satisfies. */
  whenRun: (name: string, satisfies: (run: Run) => boolean, withinMs?: number) => Promise<Run>;
  /** Its end. */
  end: (name: string, withinMs?: number) => Promise<Run>;
  /** It is there no longer. */
  whenGone: (name: string, withinMs?: number) => Promise<void>;
  patchRun: (name: string, body: unknown) => Promise<unknown>;
  patchRuntime: (name: string, body: unknown) => Promise<unknown>;
  /** Every version of the Run that the watch brought, in order. */
  history: (name: string) => ReadonlyArray<Run>;
  /** How often it had to list anew, and may so have missed versions. */
  lists: () => number;
  /** The Runtime has this many ready pods and its status says so. */
  whenReady: (name: string, pods: number, withinMs?: number) => Promise<void>;
  /** Names of Runtime Pods that exist. */
  podNames: () => Promise<ReadonlyArray<string>>;
  /** The API server answers; one that was killed is started again. */
  whenServed: (withinMs?: number) => Promise<void>;
  /** No Runtime Pod exists any more. */
  whenNoPods: (withinMs?: number) => Promise<void>;
  /** Pids of this control plane's processes that run the program, oldest first. */
  pidsOf: (program: string) => ReadonlyArray<number>;
  stop: () => Promise<void>;
}>;

/** What whoever runs it knows. */
export type Plane = Pick<ControlPlane, 'dataDir' | 'kubeconfig' | 'pidsOf' | 'stop'>;

/** What an Effect answers, or a rejection. */
export const answer = async <A>(effect: Effect<A>): Promise<A> => {
  const result = await firstValueFrom(effect);
  if (E.isLeft(result)) throw new Error(`${result.left.kind}: ${result.left.message}`);
  return result.right;
};

/** Watches it. `stop` ends the watch and every wait, which then rejects, then the control plane. */
export const attach = async (plane: Plane): Promise<ControlPlane> => {
  const cluster = await clusterFromKubeconfig({ paths: [plane.kubeconfig] });
  if (E.isLeft(cluster)) throw new Error(cluster.left.message);
  const kube = kubeClient(cluster.right, { userAgent: 'test' });

  const versions = new Map<string, Run[]>();
  const seen = new Subject<Run>();
  const gone = new Set<string>();
  const goneSubject = new Subject<string>();
  let lists = 0;
  const watching = informer(kube, runs, { namespace: 'default' }, Run, { random: Math.random }).subscribe(
    (event) => {
      if (event.kind === 'Init') lists += 1;
      if (event.kind === 'Delete') {
        const name = event.key.slice(event.key.indexOf('/') + 1);
        gone.add(name);
        goneSubject.next(name);
      }
      if (event.kind !== 'Apply') return;
      const { name, resourceVersion } = event.object.metadata;
      const known = versions.get(name) ?? [];
      versions.set(name, known);
      gone.delete(name);
      // A version may come again; and an API server that was restored from a copy may say another thing of it.
      const text = JSON.stringify(event.object);
      if (
        known.some(
          (each) => each.metadata.resourceVersion === resourceVersion && JSON.stringify(each) === text,
        )
      )
        return;
      known.push(event.object);
      seen.next(event.object);
    },
  );
  /** By Runtime, how many pods are ready: as it is now, and each change. */
  const ready = new Map<string, number>();
  const readySubject = new Subject<string>();
  const watchingRuntimes = informer(kube, runtimes, {}, CachedRuntime, { random: Math.random }).subscribe(
    (event) => {
      if (event.kind !== 'Apply' || event.object.status.observedGeneration !== event.object.generation)
        return;
      ready.set(event.object.name, event.object.status.readyReplicas ?? 0);
      readySubject.next(event.object.name);
    },
  );

  const stoppedSubject = new Subject<void>();
  /** The first that comes within the time: no wait outlives the control plane, as its timer would keep mocha from ending. */
  const first = <A>(source: Observable<A>, withinMs: number, what: () => string): Promise<A> =>
    firstValueFrom(
      source.pipe(
        timeout({
          first: withinMs,
          with: () => {
            throw new Error(`not in ${withinMs} ms: ${what()}`);
          },
        }),
        takeUntil(stoppedSubject),
        throwIfEmpty(() => new Error(`not before the control plane was stopped: ${what()}`)),
      ),
    );

  const manifest = (name: string, spec: Readonly<Record<string, unknown>>) => ({
    apiVersion: 'kruntimes.io/v1alpha1',
    kind: 'Run',
    metadata: { name, namespace: 'default' },
    spec: { runtime: 'bash', entrypoint: 'script', ...spec },
  });
  const strict = { fieldValidation: 'Strict' } as const;
  const runsNamed = (name: string): Observable<Run> =>
    merge(of(...(versions.get(name) ?? [])), seen.pipe(filter(({ metadata }) => metadata.name === name)));
  const whenRun: ControlPlane['whenRun'] = (name, satisfies, withinMs = LIMIT_MS) =>
    first(
      runsNamed(name).pipe(filter(satisfies)),
      withinMs,
      () => `Run ${name} is ${JSON.stringify(versions.get(name)?.at(-1)?.status)}`,
    );
  const merged = (body: unknown): Patch => ({ type: 'merge', body });

  return {
    ...plane,
    kube,
    create: async (name, spec = {}) => {
      const run = Run.decode(await answer(kube.create(runs, 'default', manifest(name, spec), strict)));
      if (E.isLeft(run)) throw new Error('the API answered no Run');
      return run.right;
    },
    refusal: (name, spec) =>
      firstValueFrom(
        kube.create(runs, 'default', manifest(name, spec), strict).pipe(
          map((result) => {
            if (E.isRight(result)) throw new Error(`Run ${name} was accepted`);
            return result.left;
          }),
        ),
      ),
    whenRun,
    end: (name, withinMs) => whenRun(name, ({ status }) => isTerminal(status?.phase), withinMs),
    whenGone: async (name, withinMs = LIMIT_MS) => {
      if (gone.has(name)) return;
      await first(
        goneSubject.pipe(filter((each) => each === name)),
        withinMs,
        () => `Run ${name} is still there: ${JSON.stringify(versions.get(name)?.at(-1))}`,
      );
    },
    patchRun: (name, body) => answer(kube.patch(runs, { namespace: 'default', name }, merged(body))),
    patchRuntime: (name, body) => answer(kube.patch(runtimes, { namespace: 'default', name }, merged(body))),
    history: (name) => versions.get(name) ?? [],
    lists: () => lists,
    whenReady: async (name, count, withinMs = LIMIT_MS) => {
      await first(
        merge(of(name), readySubject).pipe(
          filter((runtime) => runtime === name && ready.get(name) === count),
        ),
        withinMs,
        () => `Runtime ${name} has ${ready.get(name) ?? 'no'} ready pods, not ${count}`,
      );
    },
    podNames: async () => {
      const list = await answer(
        kube.list(pods, { namespace: 'default', labelSelector: 'kruntimes.io/runtime' }),
      );
      return list.items.map((item) => (item as { metadata: { name: string } }).metadata.name);
    },
    whenServed: async (withinMs = LIMIT_MS) => {
      await first(
        informer(kube, runs, { namespace: 'default' }, Run, { random: Math.random }).pipe(
          filter(({ kind }) => kind === 'InitDone'),
        ),
        withinMs,
        () => 'the API server does not answer',
      );
    },
    whenNoPods: async (withinMs = LIMIT_MS) => {
      const ofRuntimes = { namespace: 'default', labelSelector: 'kruntimes.io/runtime' };
      const known = new Set<string>();
      await first(
        informer(kube, pods, ofRuntimes, Pod, { random: Math.random }).pipe(
          tap((event) => {
            if (event.kind === 'Apply') known.add(event.object.key);
            if (event.kind === 'Delete') known.delete(event.key);
          }),
          skipWhile(({ kind }) => kind !== 'InitDone'),
          filter(() => known.size === 0),
        ),
        withinMs,
        () => `there are pods: ${[...known].join(', ')}`,
      );
    },
    stop: async () => {
      stoppedSubject.next();
      watching.unsubscribe();
      watchingRuntimes.unsubscribe();
      kube.close();
      await plane.stop();
    },
  };
};
