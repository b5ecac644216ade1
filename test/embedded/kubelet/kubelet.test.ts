import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import bunyan from 'bunyan';
import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom } from 'rxjs';

import { controlPlaneId, type Kubelet, startKubelet } from '../../../src/embedded/kubelet/kubelet.js';
import { Pod } from '../../../src/embedded/kubelet/pod.js';
import { markedProcesses } from '../../../src/embedded/kubelet/sweep.js';
import { configMaps, persistentVolumeClaims, pods, secrets } from '../../../src/model/resources.js';
import { expectBelow } from '../../support/pace.js';
import { FakeKube } from './fake-kube.js';

type World = { kube: FakeKube; dataDir: string; kubelet: Kubelet };

let world: World;

const start = (kube: FakeKube, dataDir: string): Promise<Kubelet> =>
  startKubelet({
    kube,
    server: new URL('https://127.0.0.1:6443'),
    dataDir,
    nodeName: 'local',
    programs: '/nonexistent',
    version: 'test',
    log: bunyan.createLogger({ name: 'test', streams: [] }),
  });

beforeEach(async () => {
  const kube = new FakeKube();
  const dataDir = mkdtempSync(join(tmpdir(), 'krt-kubelet-'));
  writeFileSync(join(dataDir, 'images.json'), JSON.stringify({ shell: '/bin/sh' }));
  world = { kube, dataDir, kubelet: await start(kube, dataDir) };
});

afterEach(async () => {
  await world.kubelet.stop(0);
  expect(markedProcesses({ prefix: `${controlPlaneId(world.dataDir)}/` })).to.deep.equal([]);
  rmSync(world.dataDir, { recursive: true, force: true });
});

const unwrap = <A>(answer: E.Either<unknown, A>): A => {
  if (E.isLeft(answer)) throw new Error(JSON.stringify(answer.left));
  return answer.right;
};

const create = async (
  name: string,
  spec: Record<string, unknown>,
  metadata: Record<string, unknown> = {},
): Promise<void> => {
  unwrap(
    await firstValueFrom(
      world.kube.create(pods, 'default', {
        kind: 'Pod',
        metadata: { name, namespace: 'default', ...metadata },
        spec,
      }),
    ),
  );
};

const remove = async (name: string, gracePeriodSeconds: number): Promise<void> => {
  unwrap(
    await firstValueFrom(world.kube.delete(pods, { namespace: 'default', name }, { gracePeriodSeconds })),
  );
};

const find = (name: string): Pod | undefined => {
  const object = world.kube.all('pods').find(({ metadata }) => metadata.name === name);
  return object === undefined ? undefined : unwrap(Pod.decode(object));
};

const until = (name: string, holds: (pod: Pod) => boolean): Promise<Pod> =>
  world.kube.until(() => {
    const pod = find(name);
    return pod !== undefined && holds(pod) ? pod : undefined;
  });

const untilGone = (name: string): Promise<true> =>
  world.kube.until(() => (find(name) === undefined ? true : undefined));

const condition = (pod: Pod, type: string) => pod.status?.conditions?.find((one) => one.type === type);
const isReady = (pod: Pod): boolean => condition(pod, 'Ready')?.status === 'True';
const shell = (script: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  name: 'main',
  image: 'shell',
  args: ['-c', script],
  ...more,
});

const logOf = (path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    request({ socketPath: world.kubelet.socket, path }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });

describe('startKubelet', () => {
  it('binds a pod without a node and makes it Ready without waiting for any period', async () => {
    await expectBelow(1000, async (round) => {
      const beganMs = performance.now();
      await create(`a${round}`, { containers: [shell('exec sleep 1000')] });
      const pod = await until(`a${round}`, isReady);
      const tookMs = performance.now() - beganMs;
      expect(pod.spec.nodeName).to.equal('local');
      expect(pod.status?.phase).to.equal('Running');
      expect(pod.status?.containerStatuses?.[0]?.restartCount).to.equal(0);
      return tookMs;
    });
  });

  it('writes the status again when the API server has gone back to before it', async () => {
    await create('a', { containers: [shell('exec sleep 1000')] });
    await until('a', ({ spec }) => spec.nodeName !== undefined);
    const restore = world.kube.copy();
    await until('a', isReady);
    restore();
    expect(find('a')?.status?.phase).to.not.equal('Running');
    const pod = await until('a', isReady);
    expect(pod.status?.containerStatuses?.[0]?.restartCount).to.equal(0);
  });

  it('says of a pod that asks for another node why it waits, and leaves it Pending', async () => {
    await create('a', { containers: [shell('exit 0')], nodeSelector: { disk: 'fast' } });
    const pod = await until('a', (one) => condition(one, 'PodScheduled') !== undefined);
    expect(condition(pod, 'PodScheduled')).to.include({ status: 'False', reason: 'Unschedulable' });
    expect(condition(pod, 'PodScheduled')?.message).to.contain('disk=fast');
    expect(pod.spec.nodeName).to.equal(undefined);
  });

  it('gives a pod of an unknown image a waiting reason that says how to map it, and an event', async () => {
    await create('a', { containers: [{ name: 'main', image: 'nginx:1' }] });
    const pod = await until(
      'a',
      (one) => one.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'ErrImagePull',
    );
    expect(pod.status?.containerStatuses?.[0]?.state?.waiting?.message).to.contain(
      'krt up --image nginx:1=COMMAND',
    );
    expect(pod.status?.phase).to.equal('Pending');
    await world.kube.until(() => world.kube.all('events').find(({ reason }) => reason === 'Failed'));
  });

  it('runs init containers in order, then the containers, and ends as Succeeded with the log kept', async () => {
    await create('a', {
      restartPolicy: 'Never',
      volumes: [{ name: 'work', emptyDir: {} }],
      initContainers: [
        {
          name: 'one',
          image: 'shell',
          args: ['-c', 'echo 1 >> "$DIR/order"'],
          env: [{ name: 'DIR', value: '/w' }],
          volumeMounts: [{ name: 'work', mountPath: '/w' }],
        },
        {
          name: 'two',
          image: 'shell',
          args: ['-c', 'echo 2 >> "$DIR/order"'],
          env: [{ name: 'DIR', value: '/w' }],
          volumeMounts: [{ name: 'work', mountPath: '/w' }],
        },
      ],
      containers: [
        shell('cat "$1"; echo oops >&2; echo fd > /dev/stderr', {
          args: ['-c', 'cat "$1"; echo oops > /dev/stderr', 'x', '/w/order'],
          volumeMounts: [{ name: 'work', mountPath: '/w' }],
        }),
      ],
    });
    const pod = await until('a', (one) => one.status?.phase === 'Succeeded');
    expect(pod.status?.containerStatuses?.[0]?.state?.terminated).to.include({
      exitCode: 0,
      reason: 'Completed',
    });
    expect((await logOf('/containerLogs/default/a/main')).split('\n').sort()).to.deep.equal([
      '',
      '1',
      '2',
      'oops',
    ]);
    expect(await logOf('/containerLogs/default/a/main?tailLines=1&timestamps=true')).to.match(
      /^\d{4}-.*Z \S+\n$/,
    );
  });

  it('restarts a crashed container at once, then backs off', async () => {
    await create('a', { containers: [shell('exit 3')] });
    const pod = await until(
      'a',
      (one) => one.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CrashLoopBackOff',
    );
    expect(pod.status?.containerStatuses?.[0]?.restartCount).to.equal(2);
    expect(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).to.equal(3);
    expect(pod.status?.phase).to.equal('Running');
  });

  it('sweeps what a killed container left before it starts it again', async () => {
    await create('a', { containers: [shell('setsid sleep 1000 & echo $$$$; exec sleep 1001')] });
    await until('a', isReady);
    const marked = () => markedProcesses({ prefix: `${controlPlaneId(world.dataDir)}/` });
    const main = Number(await firstLine('a'));
    const before = marked();
    process.kill(main, 'SIGKILL');
    const pod = await until(
      'a',
      (one) => one.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(one),
    );
    expect(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).to.equal(137);
    expect(marked().filter((pid) => before.includes(pid))).to.deep.equal([]);
  });

  it('ends a tree that ignores SIGTERM when the grace is over, and removes all of the pod', async () => {
    await create('a', {
      containers: [
        shell("trap '' TERM; (trap '' TERM; setsid sleep 1000) & echo up; while :; do sleep 1000; done"),
      ],
    });
    const { metadata } = await until('a', isReady);
    await firstLine('a');
    const before = Date.now();
    await remove('a', 1);
    await untilGone('a');
    // The grace that was given, and not that of the pod, 30 s.
    expect(Date.now() - before).to.be.within(900, 30_000);
    expect(() => statSync(join(world.dataDir, 'pods', metadata.uid))).to.throw(/ENOENT/);
  });

  it("takes readiness from a probe of the pod's socket and from readiness gates", async () => {
    const server = `require('http').createServer((q,s)=>{s.statusCode=q.url==='/ready'?200:500;s.end()}).listen(process.env.KRUNTIME_PROBES_ADDRESS.slice(5))`;
    await create('a', {
      readinessGates: [{ conditionType: 'kruntimes.io/RuntimedReady' }],
      containers: [
        {
          name: 'main',
          image: 'shell',
          command: [process.execPath, '-e', server],
          env: [{ name: 'KRUNTIME_PROBES_ADDRESS', value: '0.0.0.0:9094' }],
          readinessProbe: { httpGet: { path: '/ready', port: 9094 } },
        },
      ],
    });
    const before = await until('a', (one) => condition(one, 'ContainersReady')?.status === 'True');
    expect(condition(before, 'Ready')).to.include({ status: 'False', reason: 'ReadinessGatesNotReady' });
    const conditions = [
      ...(before.status?.conditions ?? []),
      { type: 'kruntimes.io/RuntimedReady', status: 'True' },
    ];
    const patched = world.kube.patch(
      pods,
      { namespace: 'default', name: 'a' },
      { type: 'merge', body: { status: { conditions } } },
      { subresource: 'status' },
    );
    unwrap(await firstValueFrom(patched));
    const after = await until('a', isReady);
    expect(condition(after, 'kruntimes.io/RuntimedReady')?.status).to.equal('True');
  });

  it('restarts a container whose liveness probe fails', async () => {
    await create('a', {
      terminationGracePeriodSeconds: 1,
      containers: [
        shell('exec sleep 1000', {
          livenessProbe: { exec: { command: ['/bin/false'] }, periodSeconds: 1, failureThreshold: 1 },
        }),
      ],
    });
    const pod = await until('a', (one) => one.status?.containerStatuses?.[0]?.restartCount === 1);
    expect(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).to.equal(143);
  });

  it('provides projected tokens bound to the pod, configMaps and secrets, in closed files, and renews tokens', async () => {
    world.kube.tokenLifeMs = 1500;
    unwrap(
      await firstValueFrom(
        world.kube.create(configMaps, 'default', { metadata: { name: 'cm' }, data: { greeting: 'hello' } }),
      ),
    );
    unwrap(
      await firstValueFrom(
        world.kube.create(secrets, 'default', {
          metadata: { name: 's' },
          data: { key: Buffer.from('hush').toString('base64') },
        }),
      ),
    );
    await create('a', {
      serviceAccountName: 'robot',
      volumes: [
        {
          name: 'all',
          projected: {
            sources: [
              { serviceAccountToken: { path: 'token', audience: 'someone', expirationSeconds: 600 } },
              { configMap: { name: 'cm', items: [{ key: 'greeting', path: 'sub/greeting' }] } },
              { secret: { name: 's' } },
              { downwardAPI: { items: [{ path: 'name', fieldRef: { fieldPath: 'metadata.name' } }] } },
            ],
          },
        },
      ],
      containers: [shell('exec sleep 1000', { volumeMounts: [{ name: 'all', mountPath: '/v' }] })],
    });
    const { metadata } = await until('a', isReady);
    const file = (name: string): string => join(world.dataDir, 'pods', metadata.uid, 'volumes', 'all', name);
    expect(readFileSync(file('token'), 'utf8')).to.equal('token-1');
    expect(readFileSync(file('sub/greeting'), 'utf8')).to.equal('hello');
    expect(readFileSync(file('key'), 'utf8')).to.equal('hush');
    expect(readFileSync(file('name'), 'utf8')).to.equal('a');
    expect(statSync(file('token')).mode & 0o777).to.equal(0o600);
    expect(world.kube.tokenRequests[0]).to.deep.include({
      spec: {
        audiences: ['someone'],
        expirationSeconds: 600,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: 'a', uid: metadata.uid },
      },
    });
    await world.kube.until(() => world.kube.tokenRequests[1]);
  });

  it('binds a claim to a folder that outlives the pod', async () => {
    unwrap(
      await firstValueFrom(
        world.kube.create(persistentVolumeClaims, 'default', { metadata: { name: 'data' }, spec: {} }),
      ),
    );
    const spec = {
      restartPolicy: 'Never',
      volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'data' } }],
      containers: [
        shell('echo kept >> "$D/f"', {
          env: [{ name: 'D', value: '/d' }],
          volumeMounts: [{ name: 'd', mountPath: '/d' }],
        }),
      ],
    };
    await create('a', spec);
    await until('a', (one) => one.status?.phase === 'Succeeded');
    await remove('a', 0);
    await untilGone('a');
    expect(readFileSync(join(world.dataDir, 'volumes/default/data/f'), 'utf8')).to.equal('kept\n');
    expect(world.kube.all('persistentvolumeclaims')[0]?.status).to.include({ phase: 'Bound' });
  });

  it('says which configuration is missing and starts the container once it is there', async () => {
    await create('a', {
      containers: [
        shell('exec sleep 1000', {
          env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'cm', key: 'x' } } }],
        }),
      ],
    });
    const pod = await until(
      'a',
      (one) => one.status?.containerStatuses?.[0]?.state?.waiting?.reason === 'CreateContainerConfigError',
    );
    expect(pod.status?.containerStatuses?.[0]?.state?.waiting?.message).to.contain(
      'ConfigMap default/cm not found',
    );
    unwrap(
      await firstValueFrom(
        world.kube.create(configMaps, 'default', { metadata: { name: 'cm' }, data: { x: '1' } }),
      ),
    );
    await until('a', isReady);
  });

  it('after a stop keeps the pods and starts their containers again, counting a restart', async () => {
    await create('a', { containers: [shell('exec sleep 1000')] });
    await until('a', isReady);
    await world.kubelet.stop(1000);
    expect(find('a')?.metadata.deletionTimestamp).to.equal(undefined);
    world.kubelet = await start(world.kube, world.dataDir);
    const pod = await until(
      'a',
      (one) => one.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(one),
    );
    expect(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).to.equal(137);
  });

  it('follows a log without polling until the container ends, and serves the previous life', async () => {
    await create('a', {
      restartPolicy: 'OnFailure',
      containers: [
        shell(
          'echo $KRUNTIME_CONTAINER; if [ -e "$HOME/again" ]; then sleep 0.3; echo second; exit 0; fi; touch "$HOME/again"; echo first; exit 1',
        ),
      ],
    });
    await until('a', (one) => one.status?.containerStatuses?.[0]?.restartCount === 1);
    const followed = await logOf('/containerLogs/default/a/main?follow=true');
    expect(followed).to.match(/\/main\nsecond\n$/);
    expect(await logOf('/containerLogs/default/a/main?previous=true')).to.match(/\/main\nfirst\n$/);
  });
});

const firstLine = (name: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const call = request(
      { socketPath: world.kubelet.socket, path: `/containerLogs/default/${name}/main?follow=true` },
      (response) => {
        response.setEncoding('utf8').once('data', (chunk: string) => {
          resolve(chunk.trim());
          call.destroy();
        });
      },
    );
    call.on('error', reject).end();
  });
