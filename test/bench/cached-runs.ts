/**
 * A program of its own (`node --expose-gc --import tsx cached-runs.ts KUBECONFIG NAMESPACE`): fills the operator's cache
 * from the API, by the operator's own informer, and says what one Run costs there. Alone in a process, so that the heap
 * before and after is exact.
 */
import * as E from 'fp-ts/lib/Either.js';
import { takeWhile } from 'rxjs';

import { kubeClient } from '../../src/io/kube/client.js';
import { clusterFromKubeconfig } from '../../src/io/kube/cluster.js';
import { runs } from '../../src/model/resources.js';
import { CachedRun } from '../../src/model/run-record.js';
import { feedOf } from '../../streams/cache/feed.js';
import { worldStore } from '../../streams/cache/world.js';
import { informer } from '../../streams/watch/informer.js';

/** What is said, as JSON on stdout. */
export type CachedFigures = Readonly<{
  runs: number;
  heapBytes: number;
  /** From the first request until all are in the cache. */
  listMs: number;
  /** Processor time of it. */
  cpuMs: number;
  /** Most that the process held resident until then. */
  peakMiB: number;
}>;

const [kubeconfig = '', namespace = 'default'] = process.argv.slice(2);
const collect = (): void => {
  for (let times = 0; times < 3; times += 1) globalThis.gc?.();
};

const cluster = await clusterFromKubeconfig({ paths: [kubeconfig] });
if (E.isLeft(cluster)) throw new Error(cluster.left.message);
const kube = kubeClient(cluster.right, { userAgent: 'bench' });
const { world, put } = worldStore();
collect();
const before = process.memoryUsage().heapUsed;
const [began, cpu] = [performance.now(), process.cpuUsage()];
const fed$ = feedOf(informer(kube, runs, { namespace }, CachedRun, { random: Math.random }));
// Kept alive while the heap is measured: the cache of the feed is a part of the cost.
const kept = fed$
  .pipe(
    takeWhile(({ isSynced, changes }) => {
      for (const { key, after } of changes) put({ kind: 'Run', key, object: after });
      if (!isSynced) return true;
      const used = process.cpuUsage(cpu);
      const peakMiB = process.resourceUsage().maxRSS / 1024;
      const listMs = performance.now() - began;
      setImmediate(() => {
        collect();
        const figures: CachedFigures = {
          runs: world.runs.size,
          heapBytes: process.memoryUsage().heapUsed - before,
          listMs,
          cpuMs: (used.user + used.system) / 1_000,
          peakMiB,
        };
        process.stdout.write(`${JSON.stringify(figures)}\n`, () => {
          kept.unsubscribe();
          process.exit(0);
        });
      });
      return true;
    }),
  )
  .subscribe();
