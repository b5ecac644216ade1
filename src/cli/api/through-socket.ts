/**
 * A byte stream as a real socket. node's HTTP/2 takes any stream, but when one made in JavaScript breaks in the middle
 * of a write, it ends the process with an assertion; a socket may break at any time.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, pipeline } from 'node:stream';

import { maxSocketPathBytes } from '../../io/address.js';

/** Both ends of a connection that nobody else can make: the folder is ours alone, and gone before it returns. */
const socketPair = async (): Promise<readonly [Socket, Socket]> => {
  const folder = await mkdtemp(join(tmpdir(), 'krt-'));
  const server = createServer({ allowHalfOpen: false });
  try {
    const path = join(folder, 's');
    if (process.platform === 'win32' || Buffer.byteLength(path) > maxSocketPathBytes)
      server.listen(0, '127.0.0.1');
    else server.listen(path);
    await once(server, 'listening');
    const address = server.address();
    const accepted = once(server, 'connection');
    const near =
      typeof address === 'object' && address !== null ? connect(address.port, '127.0.0.1') : connect(path);
    await once(near, 'connect');
    const [far] = await accepted;
    return [near, far];
  } finally {
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
};

/** The same stream, from a socket. What breaks it destroys the socket with the same error. */
export const throughSocket = async (stream: Duplex): Promise<Duplex> => {
  let broken: Error | undefined;
  const note = (error: Error): void => {
    broken ??= error;
  };
  // From now on, so that what breaks before there is a socket meets a listener.
  stream.once('error', note);
  try {
    const [near, far] = await socketPair();
    near.setNoDelay?.(true);
    pipeline(far, stream, far, () => {
      far.destroy();
      stream.destroy();
      if (broken) near.destroy(broken);
    });
    return near;
  } catch (error) {
    stream.destroy();
    throw error;
  }
};
