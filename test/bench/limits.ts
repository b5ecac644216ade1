/** The machine's own limits, measured in the same run: what nothing built on it can go below. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fdatasyncSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { ChannelCredentials, Client } from '@grpc/grpc-js';
import * as E from 'fp-ts/lib/Either.js';
import * as t from 'io-ts';

import { runs } from '../../src/model/resources.js';
import { answer } from '../e2e/attach.js';
import { closedLoop } from './load.js';
import type { Plane } from './plane.js';

const peer = fileURLToPath(new URL('peer.js', import.meta.url));

const SpawnFigures = t.type({ took: t.array(t.number), wallMs: t.number });

/** Of one bare spawn of bash on a file with this script, by a small node process: each one's milliseconds. */
export const spawnLimit = async (
  folder: string,
  script: string,
  count: number,
  width: number,
): Promise<t.TypeOf<typeof SpawnFigures>> => {
  const file = join(folder, 'script');
  writeFileSync(file, script);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [peer, 'spawn', 'bash', file, String(count), String(width)],
    { maxBuffer: 2 ** 26 },
  );
  const figures = SpawnFigures.decode(JSON.parse(stdout));
  if (E.isLeft(figures)) throw new Error('the spawner said something else');
  return figures.right;
};

/** Append of about one Run's bytes and fdatasync, one after the other: milliseconds. */
export const syncLimit = (folder: string, count = 300): ReadonlyArray<number> => {
  const path = join(folder, 'bench-sync');
  const fd = openSync(path, 'a');
  try {
    const bytes = Buffer.alloc(1_500, 'x');
    return Array.from({ length: count }, () => {
      const began = performance.now();
      writeSync(fd, bytes);
      fdatasyncSync(fd);
      return performance.now() - began;
    });
  } finally {
    closeSync(fd);
    rmSync(path);
  }
};

const startPeer = async (mode: string): Promise<Readonly<{ port: number; stop: () => void }>> => {
  const child: ChildProcess = spawn(process.execPath, [peer, mode], { stdio: ['pipe', 'pipe', 'inherit'] });
  if (child.stdout === null || child.stdin === null) throw new Error('no pipes');
  const [said] = await once(child.stdout, 'data');
  const { stdin } = child;
  return { port: Number(String(said)), stop: () => stdin.end() };
};

/** Round trips of 600 bytes over one kept loopback connection: milliseconds. */
export const httpLimit = async (count = 500): Promise<ReadonlyArray<number>> => {
  const { port, stop } = await startPeer('http');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const body = Buffer.alloc(600, 'x');
  const took: number[] = [];
  try {
    for (let i = 0; i < count; i += 1) {
      const began = performance.now();
      await new Promise<void>((resolve, reject) => {
        request({
          port,
          host: '127.0.0.1',
          method: 'PATCH',
          agent,
          headers: { 'content-length': body.length },
        })
          .once('response', (response) => response.resume().once('end', resolve))
          .once('error', reject)
          .end(body);
      });
      took.push(performance.now() - began);
    }
  } finally {
    agent.destroy();
    stop();
  }
  return took.slice(count / 10);
};

/** Round trips of 600 bytes on one gRPC stream: milliseconds. */
export const grpcLimit = async (count = 500): Promise<ReadonlyArray<number>> => {
  const { port, stop } = await startPeer('grpc');
  const asIs = (bytes: Buffer): Buffer => bytes;
  const client = new Client(`127.0.0.1:${port}`, ChannelCredentials.createInsecure());
  const stream = client.makeBidiStreamRequest('/bench.Echo/Echo', asIs, asIs);
  stream.on('error', () => undefined);
  const took: number[] = [];
  try {
    for (let i = 0; i < count; i += 1) {
      const began = performance.now();
      const back = once(stream, 'data');
      stream.write(Buffer.alloc(600, 'x'));
      await back;
      took.push(performance.now() - began);
    }
  } finally {
    stream.cancel();
    client.close();
    stop();
  }
  return took.slice(count / 10);
};

/**
 * Create, patch, patch of a Run's status, as its life would, with nobody acting on it: milliseconds of each triple,
 * and triples a second with `width` at a time. The Runs name a Runtime that is not there.
 */
export const apiLimit = async (
  plane: Plane,
  count: number,
  width: number,
): Promise<Readonly<{ took: ReadonlyArray<number>; wallMs: number }>> => {
  const { kube, namespace } = plane;
  const tag = Date.now().toString(36);
  const took: number[] = [];
  const patch = (name: string, status: unknown): Promise<unknown> =>
    answer(
      kube.patch(runs, { namespace, name }, { type: 'merge', body: { status } }, { subresource: 'status' }),
    );
  const began = performance.now();
  await closedLoop(count, width, async (index) => {
    const name = `bench-bare-${tag}-${index}`;
    const from = performance.now();
    await answer(
      kube.create(runs, namespace, {
        apiVersion: 'kruntimes.io/v1alpha1',
        kind: 'Run',
        metadata: { name },
        spec: { runtime: 'bench-nobody', source: { inline: ':' }, entrypoint: 'script' },
      }),
    );
    await patch(name, { phase: 'Scheduled', assignedPod: 'p', assignedPodUID: 'u', attempt: 1 });
    await patch(name, { phase: 'Succeeded', exitCode: 0, message: '' });
    took.push(performance.now() - from);
  });
  return { took, wallMs: performance.now() - began };
};
