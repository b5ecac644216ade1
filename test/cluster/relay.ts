/** What a Service is to its pods: one address, whose connections go to one after the other of several ports. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Relays to these ports of loopback. */
export const startRelay = async (
  ports: ReadonlyArray<number>,
): Promise<Readonly<{ port: number; close: () => void }>> => {
  const open = new Set<Socket>();
  let next = 0;
  const server = createServer((from) => {
    const to = connect(ports[next % ports.length] ?? 0, '127.0.0.1');
    next += 1;
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      open.add(socket);
      socket.on('close', () => {
        open.delete(socket);
        other.destroy();
      });
      socket.on('error', () => other.destroy());
      socket.pipe(other);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
};
