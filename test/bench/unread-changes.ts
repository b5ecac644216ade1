/**
 * Changes of objects that are no Runs against a watch that is never read: what the API server then holds. On a control
 * plane of real processes: node --import tsx test/bench/unread-changes.ts [--changes 100000]
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { from, lastValueFrom, mergeMap } from 'rxjs';

import { configMaps } from '../../src/model/resources.js';
import { answer, startControlPlane } from '../e2e/control-plane.js';
import { residentOf } from './memory.js';
import { rawConnections } from './raw-connection.js';

const { values } = parseArgs({ options: { changes: { type: 'string', default: '100000' } } });
const CHANGES = Number(values.changes);
/** Objects that are changed in turn, and bytes in each: that of an Event or a small ConfigMap. */
const OBJECTS = 64;
const TEXT = 'x'.repeat(500);
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const plane = await startControlPlane({ replicas: 0 });
try {
  const megabytes = (): number => Math.round(residentOf(plane.pidsOf('apiserver.js')[0] ?? 0));
  const metadata = (i: number) => ({ namespace: 'default', name: `changed-${i % OBJECTS}` });
  for (let i = 0; i < OBJECTS; i += 1)
    await answer(
      plane.kube.create(configMaps, 'default', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: metadata(i),
      }),
    );
  const open = rawConnections(plane.kubeconfig);
  const socket = await open('/api/v1/namespaces/default/configmaps?watch=true');
  socket.pause();
  say(`at the beginning: API server ${megabytes()} MB`);
  let peak = 0;
  const sampling = setInterval(() => {
    peak = Math.max(peak, megabytes());
  }, 50);
  const beganMs = performance.now();
  await lastValueFrom(
    from(Array.from({ length: CHANGES }, (_, i) => i)).pipe(
      mergeMap(
        (i) =>
          answer(
            plane.kube.patch(configMaps, metadata(i), {
              type: 'merge',
              body: { data: { text: `${i} ${TEXT}` } },
            }),
          ),
        64,
      ),
    ),
  );
  clearInterval(sampling);
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  const closed = once(socket, 'close').then(() => 'cut off');
  socket.resume();
  const end = await Promise.race([
    closed,
    new Promise((resolve) => setTimeout(resolve, 10_000, 'still open')),
  ]);
  say(
    `${CHANGES} changes in ${((performance.now() - beganMs) / 1000).toFixed(0)} s: API server ${peak} MB at most, ${megabytes()} MB then; the watch was ${String(end)} after ${(bytes / 1e6).toFixed(1)} MB`,
  );
  socket.destroy();
} finally {
  await plane.stop();
}
