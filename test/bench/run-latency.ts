/**
 * Latency of one Run at a time, from the create request to its end as a watching client sees it:
 * `npx tsx test/bench/run-latency.ts KUBECONFIG [N]`. Client-side monotonic clock; stages from the microsecond
 * timestamps of the status.
 */
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, map, Subject } from 'rxjs';

import { kubeClient } from '../../src/io/kube/client.js';
import { clusterFromKubeconfig } from '../../src/io/kube/cluster.js';
import { runs } from '../../src/model/resources.js';
import { isTerminal, Run } from '../../src/model/run.js';

const [kubeconfig = '', count = '200'] = process.argv.slice(2);
const cluster = await clusterFromKubeconfig({ paths: [kubeconfig] });
if (E.isLeft(cluster)) throw new Error(cluster.left.message);
const kube = kubeClient(cluster.right, { userAgent: 'bench' });

const ended = new Subject<Run>();
const list = await firstValueFrom(kube.list(runs, { namespace: 'default' }, { limit: 1 }));
if (E.isLeft(list)) throw new Error(list.left.message);
const watching = kube
  .watch(
    runs,
    { namespace: 'default' },
    { resourceVersion: list.right.resourceVersion, timeoutSeconds: 600, idleMs: 600_000 },
  )
  .subscribe((frame) => {
    if (E.isLeft(frame) || frame.right.type === 'BOOKMARK') return;
    const run = Run.decode(frame.right.object);
    if (E.isRight(run) && isTerminal(run.right.status?.phase)) ended.next(run.right);
  });

const total: number[] = [];
const stages: Record<'scheduled' | 'started' | 'ran' | 'seen', number[]> = {
  scheduled: [],
  started: [],
  ran: [],
  seen: [],
};
const tag = Date.now().toString(36);
for (let i = 0; i < Number(count); i += 1) {
  const name = `lat-${tag}-${i}`;
  const done = firstValueFrom(
    ended.pipe(
      filter((run) => run.metadata.name === name),
      map((run) => ({ run, at: performance.now() })),
    ),
  );
  const began = performance.now();
  const created = await firstValueFrom(
    kube.create(runs, 'default', {
      apiVersion: 'kruntimes.io/v1alpha1',
      kind: 'Run',
      metadata: { name },
      spec: { runtime: 'bash', source: { inline: ':' }, entrypoint: 'script' },
    }),
  );
  if (E.isLeft(created)) throw new Error(created.left.message);
  const { run, at } = await done;
  total.push(at - began);
  const micros = (performance.timeOrigin + began) * 1000;
  const { scheduledTime = 0, startTime = 0, completionTime = 0 } = run.status ?? {};
  stages.scheduled.push((scheduledTime - micros) / 1000);
  stages.started.push((startTime - scheduledTime) / 1000);
  stages.ran.push((completionTime - startTime) / 1000);
  stages.seen.push(((performance.timeOrigin + at) * 1000 - completionTime) / 1000);
}
watching.unsubscribe();
kube.close();
const quantile = (values: ReadonlyArray<number>, q: number): string =>
  (
    [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ?? 0
  ).toFixed(2);
const row = (label: string, values: ReadonlyArray<number>): void =>
  console.log(
    label.padEnd(28),
    'p50',
    quantile(values, 0.5),
    'p95',
    quantile(values, 0.95),
    'p99',
    quantile(values, 0.99),
    'max',
    quantile(values, 1),
  );
row('create → end seen (ms)', total);
row('  create → assigned', stages.scheduled);
row('  assigned → started', stages.started);
row('  started → ended', stages.ran);
row('  ended → seen', stages.seen);
