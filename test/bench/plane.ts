/** Whom is the bench put to? A control plane of its own, made for it in a temporary folder, or any kubeconfig's. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import bunyan from 'bunyan';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';
import { filter, firstValueFrom, Subject, timeout } from 'rxjs';

import { decodeRecords } from '../../src/embedded/api/store/record.js';
import { startControlPlane } from '../../src/embedded/control-plane/start.js';
import { type KubeClient, kubeClient } from '../../src/io/kube/client.js';
import { clusterFromKubeconfig } from '../../src/io/kube/cluster.js';
import { pods, runs, runtimes } from '../../src/model/resources.js';
import { CachedRuntime } from '../../src/model/runtime-record.js';
import { informer } from '../../streams/watch/informer.js';
import { answer } from '../e2e/attach.js';

/** Where the Runs of a scenario go: `pods` pods with `slots` each. */
export type Shape = Readonly<{ pods: number; slots: number }>;

/** A log of the store: after a snapshot a new one begins, under the next number. */
export type StoreLog = Readonly<{ number: number; bytes: number }>;

/** What scenarios have of a control plane. */
export type Plane = Readonly<{
  kind: 'embedded' | 'kubeconfig';
  kubeconfig: string;
  namespace: string;
  kube: KubeClient;
  /** Of the embedded one, for its processes' figures. */
  dataDir: string | undefined;
  /** Where the store writes, as far as known; else a temporary folder. */
  disk: string;
  /** Gives a Runtime of this shape whose pods are ready; its name. */
  runtime: (shape: Shape) => Promise<string>;
  /** The log that the embedded store writes to. */
  storeLog: () => StoreLog | undefined;
  /** The API's newest resource version: how many writes there have been, on the embedded one. */
  revision: () => Promise<number>;
  stop: () => Promise<void>;
}>;

/** How long pods may take to become ready, milliseconds. */
const READY_MS = 120_000;

const connect = async (kubeconfig: string): Promise<KubeClient> => {
  const cluster = await clusterFromKubeconfig({ paths: [kubeconfig] });
  if (E.isLeft(cluster)) throw new Error(cluster.left.message);
  return kubeClient(cluster.right, { userAgent: 'bench' });
};

/** A Runtime whose pods are Bash Runtime Servers of this image. */
export const runtimeManifest = (name: string, { pods: replicas, slots }: Shape, image: string): unknown => ({
  apiVersion: 'kruntimes.io/v1alpha1',
  kind: 'Runtime',
  metadata: { name },
  spec: {
    replicas,
    capacity: { resources: { runs: slots } },
    template: {
      spec: {
        containers: [
          { name: 'runtime', image, imagePullPolicy: 'IfNotPresent', ports: [{ containerPort: 19091 }] },
        ],
      },
    },
  },
});

const Listed = t.type({ metadata: t.type({ name: t.string }) });

const attached = (
  base: Pick<Plane, 'kind' | 'kubeconfig' | 'namespace' | 'kube' | 'dataDir' | 'disk' | 'storeLog'>,
  image: string,
  end: () => Promise<void>,
): Plane => {
  const { kube, namespace } = base;
  const readySubject = new Subject<Readonly<{ name: string; ready: number }>>();
  const watching = informer(kube, runtimes, { namespace }, CachedRuntime, {
    random: Math.random,
  }).subscribe((event) => {
    if (event.kind === 'Apply' && event.object.status.observedGeneration === event.object.generation)
      readySubject.next({ name: event.object.name, ready: event.object.status.readyReplicas ?? 0 });
  });
  const made = new Map<string, string>();
  /** Only one of ours at a time has pods: a pod's shells and its node process cost memory and a little time. */
  const removeOthers = async (): Promise<void> => {
    for (const [key, name] of made) {
      await answer(kube.delete(runtimes, { namespace, name }, { propagationPolicy: 'Foreground' }));
      made.delete(key);
    }
  };
  const settled = async (): Promise<void> => {
    const isLeft = (list: Readonly<{ items: ReadonlyArray<unknown> }>): boolean =>
      list.items.some((item) => Listed.is(item) && item.metadata.name.startsWith('bench-'));
    for (let looks = 0; looks < 300; looks += 1) {
      if (!isLeft(await answer(kube.list(pods, { namespace })))) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  return {
    ...base,
    runtime: async (shape) => {
      const key = `${shape.pods}x${shape.slots}`;
      const known = made.get(key);
      if (known !== undefined) return known;
      await removeOthers();
      await settled();
      const name = `bench-${key}-${Date.now().toString(36)}`;
      const ready = firstValueFrom(
        readySubject.pipe(
          filter((runtime) => runtime.name === name && runtime.ready === shape.pods),
          timeout({ first: READY_MS }),
        ),
      );
      await answer(kube.create(runtimes, namespace, runtimeManifest(name, shape, image)));
      made.set(key, name);
      await ready;
      return name;
    },
    revision: async () => {
      const list = await answer(kube.list(runs, { namespace }, { limit: 1 }));
      return Number(list.resourceVersion);
    },
    stop: async () => {
      if (base.kind === 'kubeconfig') await removeOthers();
      watching.unsubscribe();
      kube.close();
      await end();
    },
  };
};

/** The log that is written to now, and its bytes of records, without the room that is made for more. */
const currentLog = (folder: string): StoreLog => {
  const numbers = readdirSync(folder).flatMap((name) => /^log-(\d+)$/.exec(name)?.[1] ?? []);
  const number = Math.max(...numbers.map(Number));
  return { number, bytes: decodeRecords(readFileSync(join(folder, `log-${number}`))).validBytes };
};

/** One on a folder, new or of one that was stopped; the folder stays when it ends. */
export const planeOn = (dataDir: string): Promise<Plane> =>
  startedPlane(dataDir, undefined, async () => undefined);

/** A control plane of `programs` (default: dist/), in a folder of its own below `folder` (default: the temporary one). */
export const embeddedPlane = async ({
  folder = tmpdir(),
  programs,
  keep,
}: Readonly<{ folder?: string; programs?: string; keep: boolean }>): Promise<Plane> => {
  const dataDir = await mkdtemp(join(folder, 'krt-bench-'));
  return startedPlane(dataDir, programs, async () => {
    if (keep) process.stderr.write(`kept: ${dataDir}\n`);
    else await rm(dataDir, { recursive: true, force: true });
  });
};

const startedPlane = async (
  dataDir: string,
  programs: string | undefined,
  end: () => Promise<void>,
): Promise<Plane> => {
  const running = await startControlPlane({
    dataDir,
    ...(programs === undefined ? {} : { programs }),
    withRuntimes: false,
    log: bunyan.createLogger({ name: 'bench', level: 'error', stream: process.stderr }),
  });
  return attached(
    {
      kind: 'embedded',
      kubeconfig: running.kubeconfig,
      namespace: 'default',
      kube: await connect(running.kubeconfig),
      dataDir,
      disk: dataDir,
      storeLog: () => currentLog(join(dataDir, 'store')),
    },
    'kruntimes-bash-runtime:latest',
    async () => {
      await running.stop();
      await end();
    },
  );
};

/** Whatever a kubeconfig leads to. */
export const givenPlane = async (kubeconfig: string, namespace: string, image: string): Promise<Plane> =>
  attached(
    {
      kind: 'kubeconfig',
      kubeconfig,
      namespace,
      kube: await connect(kubeconfig),
      dataDir: undefined,
      disk: tmpdir(),
      storeLog: () => undefined,
    },
    image,
    async () => undefined,
  );
