/**
 * Port-forward over a WebSocket, subprotocols `v4.channel.k8s.io` and `v5.channel.k8s.io`: per port a data channel
 * (2i) and an error channel (2i+1). A message is the channel's number and bytes; the server's first on each channel
 * are the port's number, little endian. v5 adds `255 <channel>`: that channel is closed.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';

import { badRequest } from '../errors.js';
import type { Call } from '../verbs/call.js';
import { currentOf } from '../verbs/update.js';
import { dialPod } from './kubelet-proxy.js';

const closeChannel = 255;
const subprotocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
/** Bytes that may wait for a slow client before the pod's connection is paused. */
const highWaterBytes = 1024 * 1024;

const upgrader = new WebSocketServer({
  noServer: true,
  handleProtocols: (offered) => subprotocols.find((protocol) => offered.has(protocol)) ?? false,
});

const message = (channel: number, bytes: Buffer): Buffer => Buffer.concat([Buffer.from([channel]), bytes]);

const portBytes = (port: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(port);
  return bytes;
};

/** The ports that a request asks for. Throws 400. */
const portsOf = (query: URLSearchParams): number[] => {
  const ports = query
    .getAll('ports')
    .flatMap((text) => text.split(','))
    .map(Number);
  if (ports.length === 0) throw badRequest('query parameter "ports" is required');
  for (const port of ports)
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw badRequest(`port ${port} must be > 0 and <= 65535`);
  return ports;
};

const pump = (socket: WebSocket, pod: Duplex, channel: number): void => {
  pod.on('data', (bytes: Buffer) => {
    socket.send(message(channel, bytes), () => {
      if (socket.bufferedAmount < highWaterBytes) pod.resume();
    });
    if (socket.bufferedAmount > highWaterBytes) pod.pause();
  });
};

const serve = (call: Call, socket: WebSocket, ports: readonly number[]): void => {
  const connections: (Promise<Duplex> | undefined)[] = ports.map((port, i) => {
    socket.send(message(2 * i, portBytes(port)));
    socket.send(message(2 * i + 1, portBytes(port)));
    const dialled = dialPod(call, port);
    dialled.then(
      (pod) => {
        pump(socket, pod, 2 * i);
        const end = (): void => {
          connections[i] = undefined;
          if (socket.protocol === 'v5.channel.k8s.io') socket.send(Buffer.from([closeChannel, 2 * i]));
          if (connections.every((connection) => connection === undefined)) socket.close(1000);
        };
        pod.once('end', end);
        pod.on('error', (error) => {
          socket.send(
            message(2 * i + 1, Buffer.from(`an error occurred forwarding port ${port}: ${error.message}`)),
          );
        });
        pod.once('close', () => pod.destroy());
      },
      (error: unknown) => {
        const why = error instanceof Error ? error.message : String(error);
        socket.send(
          message(2 * i + 1, Buffer.from(`error forwarding port ${port} to pod ${call.info.name}: ${why}`)),
        );
        socket.close(1000);
      },
    );
    return dialled;
  });
  const withPod = (channel: number, act: (pod: Duplex) => void): void => {
    if (channel % 2 !== 0) return;
    connections[channel / 2]?.then(act, () => undefined);
  };
  socket.on('message', (data, isBinary) => {
    if (!isBinary || !Buffer.isBuffer(data) || data.length === 0) return;
    const channel = data[0] ?? 0;
    if (channel === closeChannel) withPod(data[1] ?? 0, (pod) => pod.end());
    else if (data.length > 1) withPod(channel, (pod) => pod.write(data.subarray(1)));
  });
  const hangUp = (): void => {
    for (const connection of connections)
      connection?.then(
        (pod) => pod.destroy(),
        () => undefined,
      );
  };
  socket.on('close', hangUp);
  socket.on('error', hangUp);
};

/** Takes over an upgrade request for pods/NAME/portforward. Throws before it has answered anything. */
export const servePortForward = (
  call: Call,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void => {
  const ports = portsOf(call.query);
  currentOf(call);
  const offered = String(request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((text) => text.trim());
  if (!offered.some((protocol) => subprotocols.includes(protocol))) {
    throw badRequest(
      `none of the subprotocols ${offered.join(', ') || '(none)'} is served; use ${subprotocols.join(' or ')}`,
    );
  }
  upgrader.handleUpgrade(request, socket, head, (upgraded) => serve(call, upgraded, ports));
};
