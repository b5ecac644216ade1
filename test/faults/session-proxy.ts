/**
 * A proxy of bytes before the operators' session servers, as a Service is: calls go to one after the other. It can be
 * cut, frozen (half-open), refuse, or be slow.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';

/** A long and narrow way. */
export type SlowLink = Readonly<{ delayMs: number; bytesPerSecond: number }>;

export type SessionProxy = Readonly<{
  port: number;
  /** Ports that it is before. */
  targets: ReadonlyArray<number>;
  /** New calls go to this port instead; undefined: as before. */
  divert: (port: number | undefined) => void;
  /** Breaks off every session. */
  cut: () => void;
  /** While true nothing passes and nobody is told. */
  freeze: (isFrozen: boolean) => void;
  /** While true new calls are refused. */
  refuse: (isRefused: boolean) => void;
  /** Each piece comes so much later, and no more than so many bytes a second; undefined: as they come. */
  slow: (link: SlowLink | undefined) => void;
  close: () => void;
}>;

/** Passes bytes on as the link lets them, in order. */
const slowly = (link: () => SlowLink | undefined): Transform => {
  /** When the link is free again. */
  let freeMs = 0;
  return new Transform({
    transform: (chunk: Buffer, _, done) => {
      const now = link();
      if (now === undefined) {
        done(null, chunk);
        return;
      }
      const beganMs = Math.max(performance.now(), freeMs);
      freeMs = beganMs + (chunk.length / now.bytesPerSecond) * 1000;
      setTimeout(() => done(null, chunk), freeMs + now.delayMs - performance.now());
    },
  });
};

/** Starts it before ports of this machine. */
export const startSessionProxy = async (targets: ReadonlyArray<number>): Promise<SessionProxy> => {
  const sockets = new Set<Socket>();
  let [isFrozen, isRefused] = [false, false];
  let diverted: number | undefined;
  let link: SlowLink | undefined;
  let calls = 0;
  const server = createServer((near) => {
    if (isRefused) {
      near.destroy();
      return;
    }
    const far = connect(diverted ?? targets[calls % targets.length] ?? 0, '127.0.0.1');
    calls += 1;
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
      socket.pipe(slowly(() => link)).pipe(other);
      if (isFrozen) socket.pause();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    targets,
    divert: (port) => {
      diverted = port;
    },
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
    slow: (next) => {
      link = next;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
};
