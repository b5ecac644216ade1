/**
 * Port-forward: bytes to a port of a pod, through the API server.
 *
 * One WebSocket per connection, subprotocol `v4.channel.k8s.io`: every message begins with the number of its channel,
 * 0 for data and 1 for errors; the first message of each is the port's number. A half-closed connection does not
 * exist: ending either side ends both.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, pipeline } from 'node:stream';

import * as E from 'fp-ts/lib/Either.js';
import { map, type Subscription } from 'rxjs';
import type { RawData, WebSocket } from 'ws';

import type { EffectError } from '../../model/effect-error.js';
import { pods } from '../../model/resources.js';
import type { Effect, ObjectRef } from '../../ports.js';
import { type Address, listen, printAddress } from '../address.js';
import type { KubeClient } from './client.js';
import { objectPath } from './paths.js';

const PROTOCOL = 'v4.channel.k8s.io';
const DATA = 0;
const ERROR = 1;
/** The port's number, two bytes, begins each channel. */
const PREFIX_BYTES = 2;
/** Closings that are no failure: normal, going away, no code given. */
const CLEAN = new Set([1000, 1001, 1005]);

const bytesOf = (data: RawData): Buffer => {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
};

/** The data channel of an open WebSocket as a byte stream; what the error channel says destroys it. */
const dataChannel = (socket: WebSocket, what: string): Duplex => {
  const skipped = new Set<number>();
  // Nothing is taken in before somebody reads, so that an early failure does not meet a stream without listeners.
  socket.pause();
  const stream = new Duplex({
    allowHalfOpen: false,
    read: () => {
      if (socket.isPaused) socket.resume();
    },
    write: (chunk: Buffer, _encoding, done) => {
      const message = Buffer.allocUnsafe(chunk.length + 1);
      message[0] = DATA;
      chunk.copy(message, 1);
      socket.send(message, { binary: true }, (error) => done(error));
    },
    final: (done) => {
      socket.close(1000);
      done();
    },
    destroy: (error, done) => {
      if (error === null) socket.close(1000);
      else socket.terminate();
      done(error);
    },
  });
  socket
    .on('message', (data) => {
      const message = bytesOf(data);
      const channel = message[0] ?? DATA;
      let payload = message.subarray(1);
      if (!skipped.has(channel)) {
        skipped.add(channel);
        payload = payload.subarray(PREFIX_BYTES);
      }
      if (payload.length === 0) return;
      if (channel === ERROR) stream.destroy(new Error(`cannot ${what}: ${payload.toString('utf8').trim()}`));
      else if (channel === DATA && !stream.push(payload)) socket.pause();
    })
    .once('close', (code) => {
      if (CLEAN.has(code)) stream.push(null);
      else stream.destroy(new Error(`cannot ${what}: the API server closed the connection (${code})`));
    })
    .on('error', (error) => stream.destroy(error));
  return stream;
};

/** A connection to `port` of a pod. It is the receiver's to destroy. */
export const forwardPort = (
  kube: Pick<KubeClient, 'upgrade'>,
  pod: ObjectRef,
  port: number,
): Effect<Duplex> =>
  kube
    .upgrade(objectPath(pods, pod, 'portforward'), [PROTOCOL], { ports: port })
    .pipe(
      map((opened) =>
        E.isLeft(opened)
          ? opened
          : E.right(dataChannel(opened.right, `forward to port ${port} of pod ${pod.namespace}/${pod.name}`)),
      ),
    );

/** A local address that leads to a pod's port. */
export type Forward = Readonly<{
  /** For grpc-js and `parseAddress`: `unix:/...` in a folder of ours alone; a loopback port on Windows. */
  target: string;
  /** Why the latest connection could not be made or broke. */
  lastError: () => EffectError | undefined;
  close: () => Promise<void>;
}>;

const unavailable = (error: Error): EffectError => ({ kind: 'Unavailable', message: error.message });

/**
 * Listens locally; each connection is forwarded to `port` of `pod`.
 *
 * @throws Error when no local address can be bound.
 */
export const listenForward = async (
  kube: Pick<KubeClient, 'upgrade'>,
  pod: ObjectRef,
  port: number,
): Promise<Forward> => {
  const folder = process.platform === 'win32' ? undefined : await mkdtemp(join(tmpdir(), 'krt-'));
  const wanted: Address =
    folder === undefined
      ? { kind: 'Tcp', host: '127.0.0.1', port: 0 }
      : { kind: 'Unix', path: join(folder, 's') };
  const open = new Set<Socket>();
  let lastError: EffectError | undefined;

  const server = createServer({ pauseOnConnect: true }, (local) => {
    open.add(local);
    let opening: Subscription | undefined;
    local
      .once('close', () => {
        open.delete(local);
        opening?.unsubscribe();
      })
      .on('error', () => local.destroy());
    opening = forwardPort(kube, pod, port).subscribe((opened) => {
      if (E.isLeft(opened)) {
        lastError = opened.left;
        local.destroy();
        return;
      }
      lastError = undefined;
      pipeline(local, opened.right, local, (error) => {
        if (error && error.code !== 'ERR_STREAM_PREMATURE_CLOSE') lastError = unavailable(error);
        opened.right.destroy();
        local.destroy();
      });
    });
  });
  try {
    const address = await listen(server, wanted);
    return {
      target: printAddress(address),
      lastError: () => lastError,
      close: async () => {
        const closed = new Promise<void>((resolve) => {
          server.close(() => resolve());
        });
        for (const local of open) local.destroy();
        await closed;
        if (folder !== undefined) await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    throw error;
  }
};
