/**
 * What piles up, and where: many Runs that wait, many watchers, clients that never read. On a control plane of real
 * processes: node --import tsx test/bench/backpressure.ts [--runs 100000] [--watchers 1000]
 */
import { once } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { parseArgs } from 'node:util';
import { from, lastValueFrom, mergeMap } from 'rxjs';

import { runs } from '../../src/model/resources.js';
import { answer, startControlPlane } from '../e2e/control-plane.js';
import { residentOf } from './memory.js';
import { rawConnections } from './raw-connection.js';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '100000' },
    watchers: { type: 'string', default: '1000' },
  },
});
const RUNS = Number(values.runs);
const WATCHERS = Number(values.watchers);
const EVENTS = 50;
/** Writes that a client does not read, and bytes in each: together twice what a watch may have waiting. */
const UNREAD = 320;
const TOUCH_BYTES = 200_000;
/** Clients that ask for all Runs at once and never read the answer. */
const DEAF = 20;
/** Longer than the API server waits for a client that takes nothing. */
const CUT_OFF_MS = 60_000;
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

const plane = await startControlPlane({ replicas: 2 });
try {
  const rss = (program: string): number => Math.round(residentOf(plane.pidsOf(program)[0] ?? 0));
  const memory = (): string =>
    `API server ${rss('apiserver.js')} MB, operator ${rss('controller.js')} MB resident`;
  const open = rawConnections(plane.kubeconfig);

  await plane.patchRuntime('bash', { spec: { replicas: 0 } });
  await plane.whenReady('bash', 0, 60_000);
  say(`at the beginning: ${memory()}`);

  const manifest = (i: number) => ({
    apiVersion: 'kruntimes.io/v1alpha1',
    kind: 'Run',
    metadata: { name: `wait-${String(i).padStart(6, '0')}`, namespace: 'default' },
    spec: { runtime: 'bash', source: { inline: 'true' }, entrypoint: 'script' },
  });
  const beganMs = performance.now();
  await lastValueFrom(
    from(Array.from({ length: RUNS }, (_, i) => i)).pipe(
      // So many at once that the server is never idle.
      mergeMap((i) => answer(plane.kube.create(runs, 'default', manifest(i))), 64),
    ),
  );
  const seconds = (performance.now() - beganMs) / 1000;
  say(`${RUNS} Runs created in ${seconds.toFixed(1)} s, ${Math.round(RUNS / seconds)} per s: ${memory()}`);
  /** The Runs, asked for on a connection of its own; the answer is what comes on it, as bytes. */
  const ask = (query: string, headers?: string): Promise<TLSSocket> =>
    open(`/apis/kruntimes.io/v1alpha1/namespaces/default/runs?${query}`, headers);
  const watch = (query: string): Promise<TLSSocket> => ask(`watch=true&${query}`);
  /** The most that the API server takes until `until` resolves, MB. */
  const peakUntil = async (until: Promise<unknown>): Promise<number> => {
    let peak = 0;
    const sampling = setInterval(() => {
      peak = Math.max(peak, rss('apiserver.js'));
    }, 50);
    await until;
    clearInterval(sampling);
    return peak;
  };
  /** MB of this answer that somebody who reads it now still gets. */
  const restOf = async (socket: TLSSocket): Promise<number> => {
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    socket.resume();
    await once(socket, 'close');
    return bytes / 1e6;
  };
  const GZIP = 'Accept-Encoding: gzip\r\n';
  const forms: ReadonlyArray<readonly [string, string, string]> = [
    ['watches that begin with all Runs', 'watch=true', ''],
    ['lists of all Runs', '', ''],
    ['compressed lists of all Runs', '', GZIP],
    ['lists of all Runs as tables', '', 'Accept: application/json;as=Table;g=meta.k8s.io;v=v1\r\n'],
  ];
  for (const [what, query, headers] of forms) {
    const before = rss('apiserver.js');
    const sockets = await Promise.all(
      Array.from({ length: DEAF }, async () => (await ask(query, headers)).pause()),
    );
    const peak = await peakUntil(new Promise((resolve) => setTimeout(resolve, CUT_OFF_MS)));
    const got = await Promise.all(sockets.map(restOf));
    const most = Math.max(...got).toFixed(1);
    say(
      `${DEAF} ${what}, never read: API server ${before} MB before, ${peak} MB at most; ${most} MB were sent to each at most`,
    );
  }
  for (const [what, query, headers] of forms.slice(1)) {
    const readMs = performance.now();
    let size = 0;
    const reading = ask(query, `Connection: close\r\n${headers}`).then(async (socket) => {
      size = await restOf(socket);
    });
    const peak = await peakUntil(reading);
    say(
      `one of the ${what}, read: ${size.toFixed(1)} MB in ${Math.round(performance.now() - readMs)} ms; API server ${peak} MB at most`,
    );
  }

  const last = `wait-${String(RUNS - 1).padStart(6, '0')}`;
  await plane.whenRun(last, ({ status }) => (status?.conditions?.length ?? 0) > 0, 3_600_000);
  say(
    `the last one is told why it waits ${((performance.now() - beganMs) / 1000 - seconds).toFixed(1)} s later: ${memory()}`,
  );

  const scaledMs = performance.now();
  await plane.patchRuntime('bash', { spec: { replicas: 1 } });
  const FIRST = 200;
  const all = Array.from({ length: RUNS }, (_, i) => `wait-${String(i).padStart(6, '0')}`);
  // Many are created at once: the order is the API server's.
  const createdAs = (name: string): number => Number(plane.history(name)[0]?.metadata.resourceVersion ?? 0);
  const firsts = [...all].sort((a, b) => createdAs(a) - createdAs(b)).slice(0, FIRST);
  await Promise.all(firsts.map((name) => plane.end(name, 120_000)));
  const tookS = ((performance.now() - scaledMs) / 1000).toFixed(1);
  const scheduled = all
    .flatMap((name) => {
      const at = plane.history(name).at(-1)?.status?.scheduledTime;
      return at === undefined ? [] : [{ name, at }];
    })
    .sort((a, b) => a.at - b.at)
    .slice(0, FIRST);
  const inOrder = scheduled.filter(({ name }, i) => name === firsts[i]).length;
  say(
    `with one pod the first ${FIRST} end ${tookS} s later; ${inOrder} of ${FIRST} in the order of creation`,
  );
  await plane.patchRuntime('bash', { spec: { replicas: 0 } });

  const touch = (name: string, i: number, bytes = 1): Promise<unknown> =>
    plane.patchRun(name, { metadata: { annotations: { touched: `${i}`.padEnd(bytes, 'x') } } });

  const version = (await answer(plane.kube.list(runs, { namespace: 'default' }, { limit: 1 })))
    .resourceVersion;
  const sockets: TLSSocket[] = [];
  let events = 0;
  let onEvent: () => void = () => undefined;
  for (let i = 0; i < WATCHERS; i += 1) {
    const socket = await watch(`fieldSelector=metadata.name%3D${last}&resourceVersion=${version}`);
    socket.on('data', (chunk: Buffer) => {
      events += chunk.toString('latin1').split('"touched"').length - 1;
      onEvent();
    });
    sockets.push(socket);
  }
  say(`${WATCHERS} watchers are open: ${memory()}`);
  const touchedMs = performance.now();
  for (let i = 0; i < EVENTS; i += 1) await touch(last, i);
  await new Promise<void>((resolve) => {
    // Each event names the annotation at least once, managed fields may name it again.
    onEvent = () => events >= EVENTS * WATCHERS && resolve();
    onEvent();
  });
  say(
    `${EVENTS} writes seen by all ${WATCHERS} in ${Math.round(performance.now() - touchedMs)} ms: ${memory()}`,
  );
  for (const socket of sockets) socket.destroy();

  const deaf = (await watch(`resourceVersion=${version}`)).pause();
  let written = 0;
  const writing = (async () => {
    for (let i = 0; i < UNREAD; i += 1) {
      await touch(last, i, TOUCH_BYTES);
      written += TOUCH_BYTES;
    }
  })();
  const peak = await peakUntil(writing);
  let got = 0;
  // What the server has given up is noticed here only when it is read.
  const isCutOff = await new Promise<boolean>((resolve) => {
    deaf.on('data', (chunk: Buffer) => {
      got += chunk.length;
      if (got >= written) resolve(false);
    });
    deaf.once('close', () => resolve(true));
    deaf.resume();
  });
  say(
    `a client that does not read ${Math.round(written / 1e6)} MB of events is ${isCutOff ? `cut off, and had been sent ${Math.round(got / 1e6)} MB` : 'NOT cut off'}; the API server peaks at ${peak} MB`,
  );
  deaf.destroy();
} finally {
  await plane.stop();
}
