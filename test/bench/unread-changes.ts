/**
 * Changes of objects that are no Runs against a watch that is never read: what the API server then holds. On a control
 * plane of real processes: node --import tsx test/bench/unread-changes.ts [--changes 100000]
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { parseArgs } from 'node:util';
import * as yaml from 'js-yaml';
import { from, lastValueFrom, mergeMap } from 'rxjs';

import { configMaps } from '../../src/model/resources.js';
import { answer, startControlPlane } from '../e2e/control-plane.js';

const { values } = parseArgs({ options: { changes: { type: 'string', default: '100000' } } });
const CHANGES = Number(values.changes);
/** Objects that are changed in turn, and bytes in each: that of an Event or a small ConfigMap. */
const OBJECTS = 64;
const TEXT = 'x'.repeat(500);
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

type Kubeconfig = Readonly<{
  clusters: ReadonlyArray<{ cluster: { server: string; 'certificate-authority-data': string } }>;
  users: ReadonlyArray<{ user: { token: string } }>;
}>;

const plane = await startControlPlane({ replicas: 0 });
try {
  const megabytes = (): number => {
    const status = readFileSync(`/proc/${plane.pidsOf('apiserver.js')[0]}/status`, 'utf8');
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  };
  const config = yaml.load(readFileSync(plane.kubeconfig, 'utf8')) as Kubeconfig;
  const [cluster, user] = [config.clusters[0]?.cluster, config.users[0]?.user];
  const { hostname, port } = new URL(cluster?.server ?? '');
  const metadata = (i: number) => ({ namespace: 'default', name: `changed-${i % OBJECTS}` });
  for (let i = 0; i < OBJECTS; i += 1)
    await answer(
      plane.kube.create(configMaps, 'default', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: metadata(i),
      }),
    );
  const socket = connect({
    host: hostname,
    port: Number(port),
    ca: Buffer.from(cluster?.['certificate-authority-data'] ?? '', 'base64'),
    servername: 'localhost',
  });
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(
    `GET /api/v1/namespaces/default/configmaps?watch=true HTTP/1.1\r\nHost: ${hostname}\r\nAuthorization: Bearer ${user?.token}\r\n\r\n`,
  );
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
