import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import bunyan from 'bunyan';
import { expect } from 'chai';
import * as yaml from 'js-yaml';

import {
  type ControlPlaneOptions,
  controlPlaneStatus,
  type RunningControlPlane,
  runningControlPlane,
  startControlPlane,
  stopControlPlane,
} from '../../../src/embedded/control-plane/index.js';
import { controlPlaneId } from '../../../src/embedded/kubelet/kubelet.js';
import { writePrograms } from './programs.js';

let folder: string;
let dataDir: string;
let running: RunningControlPlane[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'krt-up-'));
  dataDir = join(folder, 'd');
  writePrograms(join(folder, 'dist'));
});

afterEach(async () => {
  await Promise.all(running.map((one) => one.stop()));
  running = [];
  rmSync(folder, { recursive: true, force: true });
});

const up = async (more: Partial<ControlPlaneOptions> = {}): Promise<RunningControlPlane> => {
  const one = await startControlPlane({
    dataDir,
    withRuntimes: false,
    log: bunyan.createLogger({ name: 'test', streams: [] }),
    programs: join(folder, 'dist'),
    without: ['controller'],
    ...more,
  });
  running.push(one);
  return one;
};

const mode = (path: string): number => statSync(path).mode & 0o777;

/** The message of the error that a start ends with. */
const refusal = async (start: Promise<unknown>): Promise<string> => {
  try {
    await start;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error('it started');
};

const pidOf = async (name: string): Promise<number> =>
  (await controlPlaneStatus(dataDir)).components.find((one) => one.name === name)?.pid ?? 0;

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

/** Resolves once \`file\` of the data folder satisfies \`holds\`. */
const untilFile = (file: string, holds: (text: string) => boolean): Promise<void> =>
  new Promise((resolve) => {
    const watcher = watch(dataDir, () => look());
    const look = (): void => {
      if (!existsSync(join(dataDir, file)) || !holds(readFileSync(join(dataDir, file), 'utf8'))) return;
      watcher.close();
      resolve();
    };
    look();
  });

describe('startControlPlane', () => {
  it('makes a closed folder with a kubeconfig that only its owner reads', async () => {
    const { kubeconfig, url } = await up();
    expect(mode(dataDir)).to.equal(0o700);
    for (const file of [
      'kubeconfig',
      'operator.kubeconfig',
      'kubelet.kubeconfig',
      'settings.json',
      'up.lock',
    ])
      expect(mode(join(dataDir, file)), file).to.equal(0o600);
    const content = yaml.load(readFileSync(kubeconfig, 'utf8'));
    expect(content).to.deep.include({
      'current-context': 'kruntimes',
      users: [{ name: 'kruntimes', user: { token: 'a' } }],
    });
    expect(content).to.have.nested.property('clusters[0].cluster.server', url);
    expect(content).to.have.nested.property(
      'clusters[0].cluster.certificate-authority-data',
      Buffer.from('CA').toString('base64'),
    );
  });

  it('refuses a second one on the same folder with one clear line, and leaves the first alone', async () => {
    await up();
    const message = await refusal(up());
    expect(message).to.match(
      /^a control plane already runs on .* \(process \d+\); stop it with: krt down --data-dir /,
    );
    expect((await controlPlaneStatus(dataDir)).components.every(({ pid }) => pid !== undefined)).to.equal(
      true,
    );
  });

  it('takes over the lock of a process that is gone', async () => {
    const first = await up();
    await first.stop();
    writeFileSync(join(dataDir, 'up.lock'), '4194303 1\n');
    await up();
    // This very process's id, but of another start: an id that was used again.
    await running.at(-1)?.stop();
    writeFileSync(join(dataDir, 'up.lock'), `${process.pid} 1\n`);
    await up();
  });

  it('keeps its port from start to start, and takes another when that is gone', async () => {
    const first = await up();
    await first.stop();
    const second = await up();
    expect(second.url).to.equal(first.url);
    await second.stop();
    const squatter = await new Promise<Server>((resolve) => {
      const server = createServer();
      server.listen(Number(new URL(first.url).port), '127.0.0.1', () => resolve(server));
    });
    try {
      const third = await up();
      expect(third.url).not.to.equal(first.url);
      expect(readFileSync(third.kubeconfig, 'utf8')).to.contain(third.url);
      const port = Number(new URL(first.url).port);
      await third.stop();
      expect(await refusal(up({ port }))).to.match(/^port \d+ is taken/);
    } finally {
      squatter.close();
    }
  });

  it('starts a killed component again: the API server on its port, the kubelet at once', async () => {
    const { url } = await up();
    const api = await pidOf('apiserver');
    process.kill(api, 'SIGKILL');
    await untilFile('apiserver.json', (text) => !text.includes(`"pid":${api}`));
    expect(JSON.parse(readFileSync(join(dataDir, 'apiserver.json'), 'utf8'))).to.deep.include({ url });
    await untilFile('kubelet-starts', (text) => text.endsWith('\n'));
    process.kill(await pidOf('kubelet'), 'SIGKILL');
    await untilFile('kubelet-starts', (text) => text.trim().split('\n').length === 2);
    const status = await controlPlaneStatus(dataDir);
    expect(status.components.map(({ name, restarts }) => [name, restarts])).to.deep.equal([
      ['apiserver', 1],
      ['kubelet', 1],
    ]);
  });

  it('says why the API server does not start, and leaves nothing running', async () => {
    const first = await up();
    await first.stop();
    writeFileSync(join(dataDir, 'refuse'), '');
    expect(await refusal(up())).to.match(
      /^the API server does not start \(exit code 3\); .*refused to start/,
    );
    rmSync(join(dataDir, 'refuse'));
    await up();
  });

  it('puts the bash Runtime on the first start only, as kubectl apply would', async () => {
    const first = await up({ withRuntimes: true });
    await first.stop();
    await up({ withRuntimes: true });
    const posted = readFileSync(join(dataDir, 'posted'), 'utf8').trim().split('\n');
    expect(posted).to.have.length(1);
    const runtime: unknown = JSON.parse(posted[0] ?? '');
    expect(runtime).to.have.nested.property(
      'spec.template.spec.containers[0].image',
      'kruntimes-bash-runtime:latest',
    );
    const path = ['metadata', 'annotations', 'kubectl.kubernetes.io/last-applied-configuration'] as const;
    expect(path.reduce((at: unknown, key) => (at as Record<string, unknown>)[key], runtime)).to.equal(
      '{"apiVersion":"kruntimes.io/v1alpha1","kind":"Runtime","metadata":{"annotations":{},"name":"bash","namespace":"default"},"spec":{"capacity":{"resources":{"runs":4}},"replicas":2,"template":{"metadata":{"labels":{"runtime":"bash"}},"spec":{"containers":[{"image":"kruntimes-bash-runtime:latest","imagePullPolicy":"IfNotPresent","name":"runtime","ports":[{"containerPort":19091}]}]}}}}\n',
    );
  });

  it('keeps images of earlier starts and refuses one that it cannot read', async () => {
    await (await up({ images: { a: 'run a' } })).stop();
    await (await up({ images: { b: ['run', 'b'] } })).stop();
    expect(JSON.parse(readFileSync(join(dataDir, 'images.json'), 'utf8'))).to.deep.equal({
      a: 'run a',
      b: ['run', 'b'],
    });
    expect(await refusal(up({ images: { c: `'open` } }))).to.equal(
      "image c: a quote is not closed in the command: 'open",
    );
    await up();
  });

  it('does not take over a folder of other things', async () => {
    const message = await refusal(up({ dataDir: folder }));
    expect(message).to.match(/holds other things \(dist\); name a new or empty folder with --data-dir$/);
    chmodSync(folder, 0o755);
    expect(await refusal(up({ dataDir: folder }))).to.equal(message);
    expect(mode(folder)).to.equal(0o755);
  });

  it('ends what an earlier life left behind before it starts', async () => {
    const first = await up();
    await first.stop();
    const orphan = spawn('/bin/sleep', ['1000'], {
      env: { KRUNTIME_CONTROL_PLANE: controlPlaneId(dataDir) },
      stdio: 'ignore',
    });
    const ended = new Promise<unknown>((resolve) => orphan.once('exit', (_code, signal) => resolve(signal)));
    await up();
    expect(await ended).to.equal('SIGKILL');
  });

  it('leaves two on two folders undisturbed', async () => {
    const one = await up();
    const other = await up({ dataDir: join(folder, 'e') });
    expect(other.url).not.to.equal(one.url);
    await one.stop();
    expect(
      (await controlPlaneStatus(other.dataDir)).components.every(({ pid }) => isAlive(pid ?? 0)),
    ).to.equal(true);
  });

  it('stops everything, tells done, and is then stopped for everybody who asks', async () => {
    const one = await up();
    const { pids, state } = await controlPlaneStatus(dataDir);
    expect(state).to.equal('running');
    expect(await runningControlPlane(dataDir)).to.deep.equal({ kubeconfig: one.kubeconfig, dataDir });
    expect(await stopControlPlane(dataDir)).to.equal('stopped');
    await one.done;
    expect(pids.filter((pid) => pid !== process.pid && isAlive(pid))).to.deep.equal([]);
    expect(await runningControlPlane(dataDir)).to.equal(undefined);
    expect((await controlPlaneStatus(dataDir)).state).to.equal('stopped');
    expect(await stopControlPlane(dataDir)).to.equal('absent');
  });

  it('ends, and leaves no process, when its folder is removed or moved away', async () => {
    const takeAway: ReadonlyArray<() => void> = [
      () => rmSync(dataDir, { recursive: true }),
      () => renameSync(dataDir, `${dataDir}.elsewhere`),
    ];
    for (const take of takeAway) {
      const one = await up();
      const { pids } = await controlPlaneStatus(dataDir);
      take();
      await one.done;
      expect(pids.filter((pid) => pid !== process.pid && isAlive(pid))).to.deep.equal([]);
      // Whoever starts on that path again is undisturbed.
      rmSync(dataDir, { recursive: true, force: true });
    }
    await (await up()).stop();
  });

  it('knows of nothing on a folder that is not there, and does not make it', async () => {
    const nowhere = join(folder, 'nowhere');
    expect((await controlPlaneStatus(nowhere)).state).to.equal('stopped');
    expect(await stopControlPlane(nowhere)).to.equal('absent');
    expect(existsSync(nowhere)).to.equal(false);
  });
});
