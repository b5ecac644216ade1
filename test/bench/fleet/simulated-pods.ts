/**
 * Runtime Pods without processes: this process says of each what its kubelet and its runtimed would. Sessions are real
 * (the sidecar's own client, TLS, a token bound to the pod), status writes are fenced as runtimed fences them; only what
 * would be executed is not.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { defer, firstValueFrom, NEVER, of, type Subscription } from 'rxjs';

import { afterInput } from '../../../src/io/clock.js';
import { dialOperator } from '../../../src/io/session/client.js';
import { SESSION_AUDIENCE } from '../../../src/model/names.js';
import { pods, runs, serviceAccounts } from '../../../src/model/resources.js';
import type { KubePort } from '../../../src/ports.js';
import type { AttemptRef } from '../../../src/proto/gen/session.js';
import { keepSession, type SessionEvent } from '../../../streams/sidecar/session.js';
import { informer } from '../../../streams/watch/informer.js';
import { answer } from '../../e2e/attach.js';

const SimulatedPod = t.type({
  metadata: t.type({ uid: t.string, name: t.string, namespace: t.string }),
  spec: t.type({
    serviceAccountName: t.string,
    containers: t.array(
      t.type({
        name: t.string,
        env: t.union([
          t.undefined,
          t.array(
            t.intersection([
              t.type({ name: t.string }),
              t.partial({ value: t.string, valueFrom: t.unknown }),
            ]),
          ),
        ]),
      }),
    ),
  }),
});
type SimulatedPod = t.TypeOf<typeof SimulatedPod>;

const Token = t.type({ status: t.type({ token: t.string }) });

/** What becomes of a Run that is assigned: it runs on, or has ended when it is looked at. */
export type Fate = 'runs' | 'ends';

/** What the fleet is to do. */
export type FleetOptions = Readonly<{
  kube: KubePort;
  namespace: string;
  runtime: string;
  /** For the token files. */
  folder: string;
  fateOf: (runName: string) => Fate;
  /** Operators to dial in turn, as a Service would lead there; default: the one in the pod's environment. */
  operatorUrls?: ReadonlyArray<string>;
}>;

/** So many pods, simulated. */
export type Fleet = Readonly<{
  /** Open sessions now. */
  sessions: () => number;
  /** Resolves when so many sessions are open. */
  whenOpen: (count: number) => Promise<void>;
  /** Runs that are on a pod and go on. */
  running: () => number;
  /** Resolves when so many are. */
  whenRunning: (count: number) => Promise<void>;
  /** What did not go as it should. */
  errors: () => ReadonlyArray<string>;
  stop: () => void;
}>;

const environmentOf = (pod: SimulatedPod, name: string): string =>
  pod.spec.containers
    .find((container) => container.name === 'runtimed')
    ?.env?.find((variable) => variable.name === name)?.value ?? '';

const now = (): string => new Date().toISOString();

/** Takes over every pod of the Runtime, those to come included. */
export const simulate = ({ kube, namespace, runtime, folder, fateOf, operatorUrls }: FleetOptions): Fleet => {
  const tokens = join(folder, 'tokens');
  mkdirSync(tokens, { recursive: true, mode: 0o700 });
  const sessions = new Map<string, Subscription>();
  const open = new Set<string>();
  const errors: string[] = [];
  let running = 0;
  let waits: ReadonlyArray<Readonly<{ is: () => boolean; resolve: () => void }>> = [];
  const look = (): void => {
    const due = waits.filter(({ is }) => is());
    if (due.length === 0) return;
    waits = waits.filter((wait) => !due.includes(wait));
    for (const { resolve } of due) resolve();
  };
  const when = (is: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      waits = [...waits, { is, resolve }];
      look();
    });

  const take = async (pod: SimulatedPod, { runName, runUid, attempt }: AttemptRef): Promise<void> => {
    const fence = [
      { op: 'test' as const, path: '/metadata/uid', value: runUid },
      { op: 'test' as const, path: '/status/assignedPodUID', value: pod.metadata.uid },
      { op: 'test' as const, path: '/status/attempt', value: attempt },
      { op: 'test' as const, path: '/status/phase', value: 'Scheduled' },
    ];
    const startTime = { op: 'add' as const, path: '/status/startTime', value: now() };
    const isOver = fateOf(runName) === 'ends';
    const end = [
      { op: 'replace' as const, path: '/status/phase', value: isOver ? 'Succeeded' : 'Running' },
      ...(isOver
        ? [
            { op: 'add' as const, path: '/status/completionTime', value: now() },
            { op: 'add' as const, path: '/status/exitCode', value: 0 },
          ]
        : []),
    ];
    const written = await firstValueFrom(
      kube.patch(
        runs,
        { namespace, name: runName },
        { type: 'json', body: [...fence, startTime, ...end] },
        { subresource: 'status' },
      ),
    );
    if (E.isLeft(written)) errors.push(`${runName}: ${written.left.message}`);
    else if (!isOver) running += 1;
    look();
  };

  const onEvent = (pod: SimulatedPod, event: SessionEvent): void => {
    switch (event.kind) {
      case 'Opened':
        open.add(pod.metadata.uid);
        return look();
      case 'Closed':
        open.delete(pod.metadata.uid);
        return;
      case 'Assign':
        void take(pod, event.ref);
        return;
      default:
        return;
    }
  };

  const bringUp = async (pod: SimulatedPod): Promise<void> => {
    const { name, uid } = pod.metadata;
    const conditions = ['PodScheduled', 'Initialized', 'ContainersReady'].map((type) => ({
      type,
      status: 'True',
      lastTransitionTime: `${now().slice(0, 19)}Z`,
    }));
    await answer(
      kube.patch(
        pods,
        { namespace, name },
        { type: 'strategic', body: { status: { phase: 'Running', conditions } } },
        { subresource: 'status' },
      ),
    );
    const token = await answer(
      kube.create(
        serviceAccounts,
        namespace,
        {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          metadata: { name: pod.spec.serviceAccountName },
          spec: {
            audiences: [SESSION_AUDIENCE],
            expirationSeconds: 7_200,
            boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid },
          },
        },
        { subresource: 'token' },
      ),
    );
    if (!Token.is(token)) throw new Error('the API answered a TokenRequest with something else');
    const tokenFile = join(tokens, uid);
    writeFileSync(tokenFile, token.status.token, { mode: 0o600 });
    const urls = operatorUrls ?? [environmentOf(pod, 'KRUNTIME_OPERATOR_URL')];
    const ca = environmentOf(pod, 'KRUNTIME_OPERATOR_CA');
    let dials = 0;
    const session = keepSession(
      (outgoing$) =>
        defer(() => {
          const url = urls[dials % urls.length] ?? '';
          dials += 1;
          return dialOperator({ url, ca, tokenFile })(outgoing$);
        }),
      {
        hello: () => ({
          podName: name,
          podUid: uid,
          runtime,
          version: 'bench',
          artifactStore: '',
          healthy: true,
          healthMessage: '',
          draining: false,
          held: [],
        }),
        beats$: of({ healthy: true, healthMessage: '', draining: false }),
        refusals$: NEVER,
        removed$: NEVER,
        keptLogs$: NEVER,
        clock: afterInput,
      },
    );
    sessions.set(
      uid,
      session.subscribe((event) => onEvent(pod, event)),
    );
  };

  const seen = new Map<string, string>();
  const watching = informer(kube, pods, { namespace, labelSelector: `runtime=${runtime}` }, SimulatedPod, {
    random: Math.random,
  }).subscribe((event) => {
    if (event.kind === 'Delete') {
      const uid = seen.get(event.key);
      if (uid === undefined) return;
      sessions.get(uid)?.unsubscribe();
      sessions.delete(uid);
      open.delete(uid);
    }
    if (event.kind !== 'Apply' || seen.get(event.key) === event.object.metadata.uid) return;
    seen.set(event.key, event.object.metadata.uid);
    bringUp(event.object).catch((error: unknown) => errors.push(`${event.key}: ${String(error)}`));
  });

  return {
    sessions: () => open.size,
    whenOpen: (count) => when(() => open.size >= count),
    running: () => running,
    whenRunning: (count) => when(() => running >= count),
    errors: () => errors,
    stop: () => {
      watching.unsubscribe();
      for (const session of sessions.values()) session.unsubscribe();
      rmSync(tokens, { recursive: true, force: true });
    },
  };
};
