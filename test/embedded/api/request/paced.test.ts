/** Long answers: what waits in memory for a client that does not read, and what one that does gets. */
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

import { expect } from 'chai';

import { writePaced } from '../../../../src/embedded/api/request/paced.js';
import { sendParts } from '../../../../src/embedded/api/request/respond.js';

describe('long answers', () => {
  /** Serves so, to one client that never reads unless it is resumed. */
  const serve = async (
    answer: (request: IncomingMessage, response: ServerResponse) => void,
    use: (
      port: number,
      ask: () => Promise<Readonly<{ socket: Socket; response: ServerResponse }>>,
    ) => Promise<void>,
  ): Promise<void> => {
    let onResponse: (response: ServerResponse) => void = () => undefined;
    const server = createServer((request, response) => {
      answer(request, response);
      onResponse(response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      await use(port, async () => {
        const served = new Promise<ServerResponse>((resolve) => {
          onResponse = resolve;
        });
        const socket = connect(port, '127.0.0.1');
        socket.pause();
        socket.on('error', () => undefined);
        socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
        return { socket, response: await served };
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  };

  it('writePaced cuts off a client that stops reading in the middle', async () => {
    const endless = function* (): Generator<string> {
      for (;;) yield 'x'.repeat(10_000);
    };
    await serve(
      (_, response) => response.on('close', writePaced(response, endless(), 50)),
      async (_, ask) => {
        const { response } = await ask();
        await once(response, 'close');
      },
    );
  });

  it('sendParts has a few parts waiting for a client that does not read, and gives all to one that does', async () => {
    const parts = Array.from({ length: 64 }, (_, i) => Buffer.alloc(500_000, String(i % 10)));
    await serve(
      (request, response) => sendParts(request, response, parts, []),
      async (port, ask) => {
        const { response } = await ask();
        expect(response.writableLength).to.be.within(1, 2 ** 20);
        const asked = get({ host: '127.0.0.1', port, agent: false });
        const [answer] = (await once(asked, 'response')) as [IncomingMessage];
        const chunks: Buffer[] = [];
        for await (const chunk of answer) chunks.push(chunk as Buffer);
        expect(Buffer.concat(chunks).equals(Buffer.concat(parts))).to.equal(true);
      },
    );
  });
});
