/** A world to decide about: puts objects and sessions into the real cache and gives the changes that come of it. */
import type { PodRecord } from '../../src/model/pod.js';
import type { RunRecord } from '../../src/model/run-record.js';
import type { RuntimeRecord } from '../../src/model/runtime-record.js';
import type { Session } from '../../src/model/session.js';
import type { World, WorldChange } from '../../src/model/world.js';
import { type WorldInput, worldStore } from '../../streams/cache/world.js';
import { aSession } from './builders.js';

type Named<A> = (object: A) => WorldChange;

/** Each call is one event; an object's version grows with each, whatever it says itself. */
export type AWorld = Readonly<{
  world: World;
  snapshot: () => ReadonlyArray<WorldChange>;
  run: Named<RunRecord>;
  runGone: Named<RunRecord>;
  runtime: Named<RuntimeRecord>;
  runtimeGone: Named<RuntimeRecord>;
  pod: Named<PodRecord>;
  podGone: Named<PodRecord>;
  opened: (pod: PodRecord, overrides?: Partial<Session>) => WorldChange;
  changed: (
    pod: PodRecord,
    state: Partial<Pick<Session, 'healthy' | 'healthMessage' | 'draining'>>,
  ) => WorldChange;
  closed: Named<PodRecord>;
  refused: (pod: PodRecord, run: RunRecord, attempt: number, reason: string) => WorldChange;
}>;

/** An empty one. */
export const aWorld = (): AWorld => {
  const { world, put, snapshot } = worldStore();
  let version = 0;
  const change = (input: WorldInput): WorldChange => {
    const made = put(input);
    if (made === undefined) throw new Error(`no news: ${JSON.stringify(input)}`);
    return made;
  };
  const newer = <A extends object>(object: A): A & Readonly<{ resourceVersion: string }> => {
    version += 1;
    return { ...object, resourceVersion: String(version) };
  };
  return {
    world,
    snapshot: () => [...snapshot()],
    run: (run) => change({ kind: 'Run', key: run.key, object: newer(run) }),
    runGone: ({ key }) => change({ kind: 'Run', key, object: undefined }),
    runtime: (runtime) => change({ kind: 'Runtime', key: runtime.key, object: newer(runtime) }),
    runtimeGone: ({ key }) => change({ kind: 'Runtime', key, object: undefined }),
    pod: (pod) => change({ kind: 'Pod', key: pod.key, object: newer(pod) }),
    podGone: ({ key }) => change({ kind: 'Pod', key, object: undefined }),
    opened: (pod, overrides = {}) =>
      change({ kind: 'Session', event: { kind: 'Opened', session: aSession(pod, overrides) } }),
    changed: ({ uid: podUid }, state) =>
      change({
        kind: 'Session',
        event: { kind: 'Changed', podUid, healthy: true, healthMessage: '', draining: false, ...state },
      }),
    closed: ({ uid: podUid }) =>
      change({ kind: 'Session', event: { kind: 'Closed', podUid, why: 'the connection failed' } }),
    refused: ({ uid: podUid }, { name: runName, uid: runUid }, attempt, reason) =>
      change({
        kind: 'Session',
        event: {
          kind: 'Refused',
          podUid,
          attempt: { runName, runUid, attempt },
          reason,
          message: `${reason} said the pod`,
        },
      }),
  };
};
