/**
 * The supervisor, the embedded API server and the process kubelet as real processes, with shells for containers and
 * every one of them killed in turn.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { filter, firstValueFrom, map, merge, Subject, takeUntil, timer } from 'rxjs';

import {
  controlPlaneStatus,
  detachControlPlane,
  stopControlPlane,
} from '../../../src/embedded/control-plane/index.js';
import { controlPlaneId } from '../../../src/embedded/kubelet/kubelet.js';
import type { Pod } from '../../../src/embedded/kubelet/pod.js';
import { markedProcesses } from '../../../src/embedded/kubelet/sweep.js';
import { watchPods } from '../../../src/embedded/kubelet/watch-pods.js';
import { type KubeClient, kubeClient } from '../../../src/io/kube/client.js';
import { clusterFromKubeconfig } from '../../../src/io/kube/cluster.js';
import { configMaps, pods, runtimes } from '../../../src/model/resources.js';
import type { Effect } from '../../../src/ports.js';
import { expectBelow } from '../../support/pace.js';
import { bundlePrograms, type Programs } from './real-programs.js';

let programs: Programs;
let folder: string;
let dataDir: string;
let supervisor: ChildProcess | undefined;
let client: KubeClient;

const answer = async <A>(effect: Effect<A>): Promise<A> => {
  const got = await firstValueFrom(effect);
  if (E.isLeft(got)) throw new Error(got.left.message);
  return got.right;
};

/** Starts the supervisor's program, without the operator, and waits until it is ready. */
const up = async (): Promise<void> => {
  const args = [
    '--data-dir',
    dataDir,
    '--no-runtimes',
    '--without',
    'controller',
    '--image',
    'shell=/bin/sh',
  ];
  const child = spawn(process.execPath, [join(programs.folder, 'control-plane.js'), ...args], {
    env: { ...process.env, KRUNTIME_PARENT_FD: '4' },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  supervisor = child;
  const said = await new Promise<string>((resolve) =>
    child.stdio[3]?.once('data', (chunk: Buffer) => resolve(String(chunk))),
  );
  expect(said).to.equal('ready\n');
  const cluster = await clusterFromKubeconfig({ paths: [join(dataDir, 'kubeconfig')] });
  if (E.isLeft(cluster)) throw new Error(cluster.left.message);
  client = kubeClient(cluster.right, { userAgent: 'test' });
};

const exitOf = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });

/** Processes, zombies apart, that name the data folder in their arguments or environment. */
const processesOf = (dir: string): ReadonlyArray<string> =>
  readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      const environ = readFileSync(`/proc/${pid}/environ`, 'latin1');
      const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      return environ.includes(dir) || command.includes(dir) || environ.includes(controlPlaneId(dir))
        ? [`${pid} ${command.replaceAll('\0', ' ')}`]
        : [];
    } catch {
      return [];
    }
  });

/** Only against waiting for ever, milliseconds: what was killed may need a while to go, on a busy machine. */
const LEFT_MS = 60_000;

/** Resolves when `list` is empty; the ends of processes that are not our children come without an event. */
const untilEmpty = (list: () => ReadonlyArray<unknown>): Promise<void> =>
  firstValueFrom(
    merge(timer(0, 20).pipe(filter(() => list().length === 0)), timer(LEFT_MS)).pipe(
      map(() => expect(list()).to.deep.equal([])),
    ),
  ).then(() => undefined);

const create = (name: string, spec: Record<string, unknown>): Promise<unknown> =>
  answer(client.create(pods, 'default', { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec }));

/** When a test is over, however. */
const testOverSubject = new Subject<void>();

/** Changes of pods; one that never comes is waited for no longer than its test goes on. */
const changesOfPods = (of: KubeClient): ReturnType<typeof watchPods> =>
  watchPods(of).pipe(takeUntil(testOverSubject));

const until = (name: string, holds: (pod: Pod) => boolean): Promise<Pod> =>
  firstValueFrom(
    changesOfPods(client).pipe(
      filter((event) => event.kind === 'Apply'),
      map(({ pod }) => pod),
      filter((pod) => pod.metadata.name === name && holds(pod)),
    ),
  );

const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;

const restarts = (pod: Pod): number => pod.status?.containerStatuses?.[0]?.restartCount ?? 0;

const shell = (script: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: 'main',
  image: 'shell',
  args: ['-c', script],
  ...more,
});

const pidOf = async (component: string): Promise<number> =>
  (await controlPlaneStatus(dataDir)).components.find(({ name }) => name === component)?.pid ?? 0;

const containerProcesses = (): ReadonlyArray<number> =>
  markedProcesses({ prefix: `${controlPlaneId(dataDir)}/` });

/** A tree of three, one in a session of its own, that ignore SIGTERM. */
const STUBBORN =
  "trap '' TERM; (trap '' TERM; exec setsid sleep 1000) & echo up; while :; do sleep 1001; done";

describe('the control plane as processes', () => {
  before(async () => {
    programs = await bundlePrograms();
    folder = mkdtempSync(join(tmpdir(), 'krt-whole-'));
    dataDir = join(folder, 'd');
    await up();
  });

  afterEach(() => testOverSubject.next());

  after(async () => {
    client.close();
    await stopControlPlane(dataDir);
    await untilEmpty(() => processesOf(dataDir));
    programs.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is well, and ready for pods at once', async () => {
    await create('first', { containers: [shell('exec sleep 1000')] });
    await until('first', isReady);
    const status = await controlPlaneStatus(dataDir);
    expect(status.state).to.equal('running');
    expect(status.components.map(({ name, healthy }) => [name, healthy])).to.deep.equal([
      ['apiserver', true],
      ['kubelet', true],
    ]);
    await answer(client.delete(pods, { namespace: 'default', name: 'first' }, { gracePeriodSeconds: 0 }));
  });

  it('makes a pod Ready without waiting for any period', async () => {
    // 0.1 s on an idle machine.
    await expectBelow(1000, async (round) => {
      const beganMs = performance.now();
      await create(`quick${round}`, { containers: [shell('exec sleep 1000')] });
      await until(`quick${round}`, isReady);
      return performance.now() - beganMs;
    });
  });

  it('gives a pod a token that the API accepts as its service account, bound to the pod', async () => {
    const call = `require('https').get({host:process.env.KUBERNETES_SERVICE_HOST,port:process.env.KUBERNETES_SERVICE_PORT,path:'/api/v1/namespaces/default/pods',ca:require('fs').readFileSync(process.argv[1]+'/ca.crt'),headers:{authorization:'Bearer '+require('fs').readFileSync(process.argv[1]+'/token')}},(r)=>{r.setEncoding('utf8').on('data',(d)=>process.stdout.write(d)).on('end',()=>process.exit(r.statusCode===403?0:1))})`;
    await create('token', {
      restartPolicy: 'Never',
      containers: [
        {
          name: 'main',
          image: 'shell',
          command: [process.execPath, '-e', call, '--', '/var/run/secrets/kubernetes.io/serviceaccount'],
        },
      ],
    });
    const pod = await until(
      'token',
      ({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed',
    );
    const log = await logOf('token');
    expect(log).to.contain('system:serviceaccount:default:default');
    expect(pod.status?.phase).to.equal('Succeeded');
  });

  it('serves logs through the API server and follows them to the end', async () => {
    await create('talker', { restartPolicy: 'Never', containers: [shell('echo one; sleep 0.3; echo two')] });
    await until('talker', ({ status }) => status?.phase === 'Running');
    expect(await logOf('talker', { follow: true })).to.equal('one\ntwo\n');
  });

  it('forwards a port of a pod to its socket', async () => {
    const serve = `require('net').createServer((c)=>c.on('error',()=>0).end('pong')).listen(process.env.KRUNTIME_X_ADDRESS.slice(5))`;
    await create('listener', {
      containers: [
        {
          name: 'main',
          image: 'shell',
          command: [process.execPath, '-e', serve],
          env: [{ name: 'KRUNTIME_X_ADDRESS', value: '127.0.0.1:9093' }],
          readinessProbe: { tcpSocket: { port: 9093 } },
        },
      ],
    });
    await until('listener', isReady);
    const socket = connect(join(dataDir, 'run', 'kubelet.sock'));
    socket.write(
      'GET /portForward/default/listener/9093 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
    );
    const text = await new Promise<string>((resolve) => {
      let all = '';
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        all += chunk;
      });
      socket.on('close', () => resolve(all));
    });
    expect(text).to.match(/^HTTP\/1\.1 101 [\s\S]*\r\n\r\npong$/);
  });

  it('loses nothing acknowledged when the API server is killed, which is back on the same port', async () => {
    await answer(
      client.create(configMaps, 'default', {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'kept' },
        data: { a: '1' },
      }),
    );
    const api = await pidOf('apiserver');
    process.kill(api, 'SIGKILL');
    // The watch of `until` outlives the server, on the same address.
    const pod = await until('quick0', isReady);
    expect(restarts(pod)).to.equal(0);
    expect(
      await answer(client.get(configMaps, { namespace: 'default', name: 'kept' })),
    ).to.have.nested.property('data.a', '1');
    expect(await pidOf('apiserver')).not.to.equal(api);
  });

  it('leaves no container of a killed kubelet, and starts the pods again with a restart counted', async () => {
    await create('tree', { terminationGracePeriodSeconds: 1, containers: [shell(STUBBORN)] });
    await until('tree', isReady);
    const before = containerProcesses();
    expect(before.length).to.be.greaterThan(3);
    process.kill(await pidOf('kubelet'), 'SIGKILL');
    const pod = await until('tree', (one) => restarts(one) === 1 && isReady(one));
    expect(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).to.equal(137);
    expect(containerProcesses().filter((pid) => before.includes(pid))).to.deep.equal([]);
  });

  it('deletes a tree that ignores SIGTERM when its grace is over', async () => {
    const uid = (await until('tree', isReady)).metadata.uid;
    const gone = firstValueFrom(
      changesOfPods(client).pipe(filter((event) => event.kind === 'Delete' && event.uid === uid)),
    );
    await answer(client.delete(pods, { namespace: 'default', name: 'tree' }));
    await gone;
    expect(markedProcesses({ prefix: 'none/', folder: join(dataDir, 'pods', uid) })).to.deep.equal([]);
    expect(existsSync(join(dataDir, 'pods', uid))).to.equal(false);
  });

  it('leaves no process behind when the supervisor is killed, and goes on where it was', async () => {
    await create('tree', { containers: [shell(STUBBORN)] });
    await until('tree', isReady);
    const killed = supervisor;
    if (killed === undefined) throw new Error('no supervisor');
    killed.kill('SIGKILL');
    await exitOf(killed);
    await untilEmpty(() => processesOf(dataDir));
    client.close();
    await up();
    const pod = await until('tree', (one) => restarts(one) === 1 && isReady(one));
    expect(pod.status?.phase).to.equal('Running');
  });

  it('ends everything on SIGTERM without waiting for the grace of a pod, and keeps the pods', async () => {
    const ending = supervisor;
    if (ending === undefined) throw new Error('no supervisor');
    const beforeMs = Date.now();
    ending.kill('SIGTERM');
    await exitOf(ending);
    // The pod that ignores SIGTERM has the grace that is given where none is set, 30 s.
    expect(Date.now() - beforeMs).to.be.lessThan(30_000);
    expect(ending.exitCode).to.equal(0);
    // All are killed by now; on a busy machine one that is has yet to go.
    await untilEmpty(() => processesOf(dataDir));
    expect(existsSync(join(dataDir, 'run'))).to.equal(false);
    client.close();
    await up();
    await until('tree', (one) => restarts(one) === 2 && isReady(one));
  });

  it('starts detached beside another, with operator and Runtime, and is gone after a stop', async () => {
    const other = join(folder, 'other');
    const { kubeconfig } = await detachControlPlane({
      dataDir: other,
      withRuntimes: true,
      programs: programs.folder,
    });
    try {
      const cluster = await clusterFromKubeconfig({ paths: [kubeconfig] });
      if (E.isLeft(cluster)) throw new Error(cluster.left.message);
      const theirs = kubeClient(cluster.right, { userAgent: 'test' });
      expect(
        await answer(theirs.get(runtimes, { namespace: 'default', name: 'bash' })),
      ).to.have.nested.property('spec.replicas', 2);
      // The operator's pods; here without bundles of their images.
      await firstValueFrom(
        changesOfPods(theirs).pipe(
          filter((event) => event.kind === 'Apply' && event.pod.metadata.labels?.runtime === 'bash'),
        ),
      );
      theirs.close();
      const again = detachControlPlane({ dataDir: other, withRuntimes: true, programs: programs.folder });
      const message = await again.then(
        () => 'it started',
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      expect(message).to.match(/^a control plane already runs on /);
    } finally {
      expect(await stopControlPlane(other)).to.equal('stopped');
    }
    await untilEmpty(() => processesOf(other));
    expect((await controlPlaneStatus(dataDir)).state).to.equal('running');
  });
});

const logOf = async (name: string, query: Record<string, boolean> = {}): Promise<string> => {
  const parts: Buffer[] = [];
  return new Promise((resolve, reject) => {
    client.stream(`/api/v1/namespaces/default/pods/${name}/log`, query).subscribe({
      next: (part) => {
        if (E.isLeft(part)) reject(new Error(part.left.message));
        else parts.push(Buffer.from(part.right));
      },
      complete: () => resolve(Buffer.concat(parts).toString()),
    });
  });
};
