/** A proxy of bytes before the operator's session server: it can be cut, frozen (half-open) or slowed. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export type SessionProxy = Readonly<{
  port: number;
  /** Breaks off every session. */
  cut: () => void;
  /** While true nothing passes and nobody is told. */
  freeze: (isFrozen: boolean) => void;
  /** While true new calls are refused. */
  refuse: (isRefused: boolean) => void;
  close: () => void;
}>;

/** Starts it before a port of this machine. */
export const startSessionProxy = async (target: number): Promise<SessionProxy> => {
  const sockets = new Set<Socket>();
  let [isFrozen, isRefused] = [false, false];
  const server = createServer((near) => {
    if (isRefused) {
      near.destroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
      if (isFrozen) socket.pause();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    freeze: (next) => {
      isFrozen = next;
      for (const socket of sockets)
        if (next) socket.pause();
        else socket.resume();
    },
    refuse: (next) => {
      isRefused = next;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
};
