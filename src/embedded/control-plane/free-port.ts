/** Ports on the loopback interface that a program will bind later, and again after every restart. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * The ports that are chosen, first and last. They lie below those that systems give to outgoing connections (from 32768
 * on Linux, ip_local_port_range; from 49152 elsewhere, RFC 6335) and below the NodePorts of a cluster (from 30000). A
 * port of those ranges is lost to any outgoing connection while nothing listens on it, even to one that asks for it
 * and is so connected to itself.
 */
const FIRST = 20_000;
const LAST = 29_999;
/** Ports that are tried before the system is asked for one. */
const MOST_TRIED = 100;

/** The port if it can be bound on the loopback interface; 0 asks the system for one. Undefined when it is taken. */
const bindable = (port: number): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? address?.port : undefined));
    });
  });

/** Each process begins somewhere else, and goes on from there: no process is given a port twice in a row. */
let next = randomInt(FIRST, LAST + 1);

/**
 * The port if it can be bound on the loopback interface; 0 asks for any that stays free for who will bind it, above
 * 20000 and below 30000 while one of them is free. Undefined when it is taken.
 */
export const freePort = async (port: number): Promise<number | undefined> => {
  if (port !== 0) return bindable(port);
  for (let tried = 0; tried < MOST_TRIED; tried += 1) {
    const candidate = next;
    next = next === LAST ? FIRST : next + 1;
    if ((await bindable(candidate)) !== undefined) return candidate;
  }
  return bindable(0);
};

/** Any free port, for who cannot go on without one. */
export const anyFreePort = async (): Promise<number> => {
  const port = await freePort(0);
  if (port === undefined) throw new Error('no port is free on the loopback interface');
  return port;
};

/** Pauses in which a port of an earlier start is waited for, milliseconds: a killed process's sockets close late. */
const PATIENCE_MS = [20, 50, 100, 200];

/** The port of an earlier start, if there was one and it becomes free within moments; else any free one. */
export const keptOrFreePort = async (kept: number | undefined): Promise<number | undefined> => {
  if (kept === undefined) return freePort(0);
  for (const pauseMs of [0, ...PATIENCE_MS]) {
    if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    const port = await freePort(kept);
    if (port !== undefined) return port;
  }
  return freePort(0);
};
