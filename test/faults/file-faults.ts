/**
 * What may befall the files of one machine: a file system that turns read-only under programs that have it open, as ext4
 * does when its disk fails; a sync that fails once; a kill in the middle of a snapshot or of a new log.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom } from 'rxjs';

import { configMaps } from '../../src/model/resources.js';
import { answers, type Fault, signal, theProcess } from './faults.js';
import type { DiskName, FaultyPlane } from './plane.js';
import { newestLog } from './store-faults.js';

const lacksTracer = ({ cluster }: FaultyPlane): string | undefined => {
  if (cluster !== undefined) return 'etcd’s files are etcd’s';
  return spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0
    ? undefined
    : 'strace is missing, or may trace nobody: apt-get install strace';
};

/** Meddles with a system call of the API server; resolves when strace has it in its hands. */
const traced = async (pid: number, call: string, how: string): Promise<ChildProcess> => {
  const injection = ['-e', `trace=${call}`, '-e', `inject=${call}:${how}`];
  const tracer = spawn('strace', ['-f', '-o', '/dev/null', ...injection, '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // It says to whom it has attached.
  await once(tracer.stderr, 'data');
  return tracer;
};

const REF = { namespace: 'default', name: 'filling' };

const isDead = (pid: number): boolean => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return 'ZX'.includes(stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3));
  } catch {
    return true;
  }
};

/**
 * Does something to the API server, and waits until it has ended of what strace makes of a call in it. Threads of one that
 * was killed stay for as long as they are traced, with all that it had open.
 */
const endedBy = async (
  plane: FaultyPlane,
  call: string,
  how: string,
  act: (isOver: () => boolean) => Promise<void>,
): Promise<void> => {
  const pid = theProcess(plane, 'apiserver.js');
  const tracer = await traced(pid, call, how);
  const acting = act(() => isDead(pid));
  for (const untilMs = Date.now() + 15_000; !isDead(pid) && Date.now() < untilMs; ) await sleep(20);
  const isOver = isDead(pid);
  tracer.kill('SIGKILL');
  await acting;
  if (!isOver) throw new Error(`the API server has not ended of its ${call}`);
  await answers(plane);
};

/** The next write cannot be synced: the API server must say so and end, for nobody knows what is on the disk. */
const syncFails: Fault = {
  name: 'a sync of the store fails',
  lacks: lacksTracer,
  // Some write comes by itself: there are Runs.
  apply: (plane) => endedBy(plane, 'fdatasync', 'error=EIO:when=1', async () => undefined),
};

/** A new log is begun, and a snapshot taken, where a log is longer than 64 MiB; up to so many bytes it is filled before. */
const FILLED_BYTES = 62 * 1024 * 1024;
const FILLING = 'x'.repeat(900_000);

/** One long write, whether it is answered or not. */
const fill = async ({ kube }: FaultyPlane, nth: number): Promise<void> => {
  const data = { text: `${nth} ${FILLING}` };
  const made = { apiVersion: 'v1', kind: 'ConfigMap', metadata: REF, data };
  const patched = await firstValueFrom(kube.patch(configMaps, REF, { type: 'merge', body: { data } }));
  if (E.isLeft(patched)) await firstValueFrom(kube.create(configMaps, REF.namespace, made));
};

/** Killed in a call that is made only there, by the thread that makes it for the nth time. */
const killedInRotation = (call: string, nth: number, what: string): Fault => ({
  name: `API server killed: ${what}`,
  lacks: lacksTracer,
  before: async (plane) => {
    const bytes = (): number => statSync(newestLog(join(plane.dataDir, 'store')).path).size;
    for (let i = 0; bytes() < FILLED_BYTES; i += 1) await fill(plane, i);
  },
  apply: (plane) =>
    endedBy(plane, call, `signal=SIGKILL:when=${nth}`, async (isOver) => {
      for (let i = 0; i < 10 && !isOver(); i += 1) await fill(plane, i);
    }),
});

/**
 * A disk is read-only for 5 s and then mended, for which all that had files open on it has to end.
 *
 * @param holders programs that end with all that they started
 */
const readOnly = (
  what: string,
  name: DiskName,
  holders: ReadonlyArray<string>,
  more: Partial<Fault> = {},
  /** Who holds it on kube-apiserver. */
  onClusters = holders,
): Fault => ({
  name: `file system turns read-only 5 s: ${what}`,
  ...more,
  lacks: ({ failing }) => (typeof failing === 'string' ? failing : undefined),
  apply: async (plane) => {
    const { failing, pidsOf, cluster } = plane;
    if (typeof failing === 'string') return;
    failing[name].fail();
    await sleep(5000);
    for (const program of cluster === undefined ? holders : onClusters)
      for (const pid of pidsOf(program)) signal(pid, 'SIGKILL');
    if (name === 'store' && cluster !== undefined) await cluster.withoutEtcd(failing[name].mend);
    else await failing[name].mend();
    await answers(plane);
  },
});

/** On disks that can fail. */
export const READ_ONLY_FAULTS: ReadonlyArray<Fault> = [
  readOnly('API server', 'store', ['apiserver.js']),
  readOnly('artifact store', 'volumes', [], { withArtifact: true }),
  // Those of programs are not there on kube-apiserver.
  readOnly('logs', 'logs', ['apiserver.js', 'controller.js', 'kubelet.js'], {}, ['kubelet.js']),
  // A script cannot leave its outputs any more.
  readOnly('workspaces and the state of runtimed', 'pods', ['kubelet.js'], {
    excuses: ['ended as Failed'],
  }),
];

export const FILE_FAULTS: ReadonlyArray<Fault> = [
  syncFails,
  killedInRotation('fsync', 1, 'a new log is made'),
  killedInRotation('fsync', 2, 'a new log has no name on disk yet'),
  killedInRotation('rename', 1, 'a snapshot has no name yet'),
  killedInRotation('unlink', 1, 'a snapshot is there, and the log before it'),
];
