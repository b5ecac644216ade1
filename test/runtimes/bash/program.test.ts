/** The server as a program: what it tells, how it ends, and what is left when it is killed. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';
import { expect } from 'chai';

import { processFact } from '../../../src/io/processes/proc.js';
import { findMarked, killMarked } from '../../../src/io/processes/sweep.js';
import { EndCause } from '../../../src/proto/gen/executor.js';
import { Client, codeOf, newFolder } from './harness.js';

const main = ['--import', 'tsx', 'src/runtimes/bash/main.ts'];

type Program = Readonly<{ child: ChildProcess; client: Client; records: () => readonly string[] }>;

let folder = '';
let started: ChildProcess[] = [];
beforeEach(() => {
  folder = newFolder();
  mkdirSync(join(folder, 'ws'));
});
afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  started = [];
  rmSync(folder, { recursive: true, force: true });
});

/** Starts it and waits until it says that it listens. */
const start = async (env: NodeJS.ProcessEnv = {}): Promise<Program> => {
  const address = `unix:${join(folder, 'b.sock')}`;
  const child = spawn(process.execPath, [...main, '--grace-millis', '200'], {
    env: {
      ...process.env,
      KRUNTIME_LISTEN_ADDRESS: address,
      KRUNTIME_WORK_DIR: join(folder, 'ws'),
      KRUNTIME_PARENT_FD: '3',
      ...env,
    },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  started.push(child);
  const records: string[] = [];
  const { stderr } = child;
  if (stderr === null) throw new Error('no stderr');
  await new Promise<void>((resolve) => {
    createInterface({ input: stderr }).on('line', (line) => {
      records.push(line);
      if (line.includes('"listening"')) resolve();
    });
  });
  return { child, client: new Client(address, join(folder, 'ws')), records: () => records };
};

/** A tree of every awkward kind; resolves to the ids of its processes. */
const startTree = async ({ client }: Program): Promise<readonly number[]> => {
  const watching = client.watch();
  const id = await client.script(
    [
      'trap "" TERM',
      "setsid sh -c 'echo pid $$; exec sleep 60' &",
      "( env -i setsid sh -c 'echo pid $$; exec sleep 60' & )",
      'sleep 60 & echo pid $!',
      'echo pid $$; wait',
    ].join('\n'),
  );
  const pids = await watching.until(() => {
    const found = [...watching.text(id).matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
    return found.length === 4 ? found : undefined;
  });
  watching.cancel();
  return pids;
};

/** Nobody tells a stranger that a process is gone; a look every few milliseconds does. */
const allGone = async (pids: readonly number[]): Promise<void> => {
  while (pids.some((pid) => processFact(pid) !== undefined)) await delay(5);
};

const gone = async (child: ChildProcess): Promise<number | null> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
};

describe('bash-runtime', () => {
  it('leaves no process of any execution, and no file, when it is killed', async () => {
    const uid = `uid-${process.pid}`;
    const program = await start({ KRUNTIME_POD_UID: uid });
    const pids = await startTree(program);
    const idle = spawnSync('pgrep', ['-P', String(program.child.pid)], { encoding: 'utf8' });
    const waiting = idle.stdout.split('\n').filter(Boolean).map(Number);
    const places = waiting
      .map((pid) => readlinkSync(`/proc/${pid}/cwd`))
      .filter((place) => place.endsWith('/guard'));
    expect(places).to.not.deep.equal([]);
    program.child.kill('SIGKILL');
    // As the process kubelet does, at the same time.
    await killMarked('KRUNTIME_POD_UID', uid);
    await allGone([...pids, ...waiting]);
    while (places.some((place) => existsSync(place))) await delay(5);
  });

  it('leaves no process when nobody sweeps after it', async () => {
    const program = await start();
    const pids = await startTree(program);
    program.child.kill('SIGKILL');
    await allGone(pids);
  });

  it('kills everything and ends when its parent is gone', async () => {
    const program = await start();
    const pids = await startTree(program);
    program.child.stdio[3]?.destroy();
    await gone(program.child);
    expect(pids.filter((pid) => processFact(pid) !== undefined)).to.deep.equal([]);
  });

  it('on SIGTERM starts nothing new, lets what runs end, and goes when that has been read', async () => {
    const program = await start();
    const { client, child } = program;
    const watching = client.watch();
    const id = await client.script('mkfifo gate; echo ready; read -r _ < gate; echo last');
    await watching.output(id, 'ready');
    child.kill('SIGTERM');
    while (!program.records().some((record) => record.includes('draining'))) await delay(5);
    expect(await codeOf(client.script('echo no'))).to.equal(status.UNAVAILABLE);
    expect(await client.execute({ id, workingDir: id, entrypoint: 'script' })).to.deep.equal({ id });
    writeFileSync(join(client.workDir, id, 'gate'), '\n');
    expect(await watching.exited(id)).to.include({ code: 0, cause: EndCause.END_CAUSE_EXITED });
    expect(watching.text(id)).to.equal('ready\nlast\n');
    await client.forget(id);
    expect(await gone(child)).to.equal(0);
    expect(existsSync(join(folder, 'b.sock'))).to.equal(false);
  });

  it('kills what runs when it is told twice', async () => {
    const program = await start();
    const pids = await startTree(program);
    program.child.kill('SIGINT');
    while (!program.records().some((record) => record.includes('draining'))) await delay(5);
    program.child.kill('SIGINT');
    expect(await gone(program.child)).to.equal(0);
    expect(pids.filter((pid) => processFact(pid) !== undefined)).to.deep.equal([]);
  });

  it('logs the end of an execution with neither text, arguments nor environment', async () => {
    const program = await start();
    await program.client.run('echo text-of-it', { args: ['argument-of-it'], env: { V: 'value-of-it' } });
    await program.client.run('exit 3');
    while (!program.records().some((record) => record.includes('"code":3'))) await delay(5);
    const log = program.records().join('\n');
    expect(log)
      .to.contain('"execution ended"')
      .and.not.match(/text-of-it|argument-of-it|value-of-it/);
  });

  it('says what is wrong with its flags, and goes with 2', () => {
    const { status: code, stderr } = spawnSync(process.execPath, [...main, '--listen', 'nowhere'], {
      encoding: 'utf8',
    });
    expect(`${code} ${stderr}`).to.match(/^2 bash-runtime: "nowhere" is not an address.*\nusage: /);
  });
});

describe('killMarked', () => {
  it('kills all that carry the mark, wherever they have gone, and nobody else', async () => {
    const value = `test-${process.pid}`;
    const body =
      "setsid sh -c 'echo pid; exec sleep 60' & ( sh -c 'echo pid; exec sleep 60' & ); trap '' TERM; echo pid; wait";
    const spawnMarked = async (mark: string): Promise<ChildProcess> => {
      const child = spawn('bash', ['-c', body], {
        env: { ...process.env, SWEEP: mark },
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      started.push(child);
      const { stdout } = child;
      if (stdout === null) throw new Error('no stdout');
      let lines = 0;
      await new Promise<void>((resolve) => {
        createInterface({ input: stdout }).on('line', () => {
          lines += 1;
          if (lines === 3) resolve();
        });
      });
      return child;
    };
    await spawnMarked(value);
    await spawnMarked(`${value}-not`);
    expect(findMarked('SWEEP', value).length).to.be.at.least(3);
    const others = findMarked('SWEEP', `${value}-not`);
    expect(await killMarked('SWEEP', value)).to.deep.equal([]);
    expect(findMarked('SWEEP', value)).to.deep.equal([]);
    expect(findMarked('SWEEP', `${value}-not`)).to.deep.equal(others);
    await killMarked('SWEEP', `${value}-not`);
  });
});
