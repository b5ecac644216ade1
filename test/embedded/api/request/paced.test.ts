/** Long answers: what waits in memory for a client that does not read, and what one that does gets. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { gunzipSync } from 'node:zlib';

import { expect } from 'chai';

import { writePaced } from '../../../../src/embedded/api/request/paced.js';
import { sendParts } from '../../../../src/embedded/api/request/respond.js';

describe('long answers', () => {
  /** Serves so, to one client that never reads unless it is resumed. */
  const serve = async (
    answer: (request: IncomingMessage, response: ServerResponse) => void,
    use: (
      port: number,
      ask: (headers?: string) => Promise<Readonly<{ socket: Socket; response: ServerResponse }>>,
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
      await use(port, async (headers = '') => {
        const served = new Promise<ServerResponse>((resolve) => {
          onResponse = resolve;
        });
        const socket = connect(port, '127.0.0.1');
        socket.pause();
        socket.on('error', () => undefined);
        socket.write(`GET / HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
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

  /** Texts of half a MB that do not compress to less than half, and how many of them have been made. */
  const aList = (count = 64) => {
    const parts = Array.from({ length: count }, () => Buffer.from(randomBytes(250_000).toString('hex')));
    const made = { count: 0 };
    const texts = function* (): Generator<Buffer> {
      for (const part of parts) {
        made.count += 1;
        yield part;
      }
    };
    return { whole: Buffer.concat(parts), texts, made };
  };
  const readAll = async (
    port: number,
    headers: Record<string, string>,
  ): Promise<IncomingMessage & { body?: Buffer }> => {
    const asked = get({ host: '127.0.0.1', port, agent: false, headers });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage & { body?: Buffer }];
    const chunks: Buffer[] = [];
    for await (const chunk of answer) chunks.push(chunk as Buffer);
    answer.body = Buffer.concat(chunks);
    return answer;
  };

  for (const [how, headers] of [
    ['as it is', ''],
    ['compressed', 'Accept-Encoding: gzip\r\n'],
  ] as const) {
    it(`sendParts makes a few parts for a client that does not read, and cuts it off: ${how}`, async () => {
      const { texts, made } = aList();
      await serve(
        (request, response) => sendParts(request, response, texts(), [], 200),
        async (_, ask) => {
          const { response } = await ask(headers);
          await once(response, 'close');
          // What the kernel's buffers on both sides take was written, too.
          expect(made.count).to.be.within(1, 32);
          expect(response.writableFinished).to.equal(false);
        },
      );
    });

    it(`sendParts asks for no more parts when the client has gone: ${how}`, async () => {
      const { texts, made } = aList();
      await serve(
        (request, response) => sendParts(request, response, texts(), []),
        async (_, ask) => {
          const { socket, response } = await ask(headers);
          socket.destroy();
          await once(response, 'close');
          const { count } = made;
          await new Promise((resolve) => setImmediate(resolve));
          expect(made.count).to.equal(count);
          expect(count).to.be.within(1, 32);
        },
      );
    });
  }

  it('sendParts gives all to a client that reads, compressed where it asks for that', async () => {
    const { whole, texts } = aList(12);
    await serve(
      (request, response) => sendParts(request, response, texts(), []),
      async (port) => {
        expect((await readAll(port, {})).body?.equals(whole)).to.equal(true);
        const zipped = await readAll(port, { 'accept-encoding': 'gzip' });
        expect(zipped.headers['content-encoding']).to.equal('gzip');
        expect(gunzipSync(zipped.body ?? '').equals(whole)).to.equal(true);
      },
    );
  });

  it('sendParts sends a short list in one piece with its length', async () => {
    await serve(
      (request, response) => sendParts(request, response, ['[', '1', ']'], []),
      async (port) => {
        const { headers, body } = await readAll(port, { 'accept-encoding': 'gzip' });
        expect(headers).to.include({ 'content-length': '3' });
        expect(body?.toString()).to.equal('[1]');
      },
    );
  });
});
