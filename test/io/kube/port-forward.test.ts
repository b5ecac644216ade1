import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { dirname } from 'node:path';

import { expect } from 'chai';
import * as E from 'fp-ts/lib/Either.js';
import { firstValueFrom } from 'rxjs';
import { type WebSocket, WebSocketServer } from 'ws';

import { type KubeClient, kubeClient } from '../../../src/io/kube/client.js';
import { forwardPort, listenForward } from '../../../src/io/kube/port-forward.js';

const POD = { namespace: 'default', name: 'bash-1' };
const PORT = 9093;

/** The two first messages, which give the port's number on the data and on the error channel. */
const greet = (socket: WebSocket): void => {
  const port = [PORT & 255, PORT >> 8];
  socket.send(Buffer.from([0, ...port]));
  socket.send(Buffer.from([1, ...port]));
};

const echo = (socket: WebSocket): void => {
  greet(socket);
  socket.on('message', (data: Buffer) => {
    if (data[0] === 0) socket.send(data);
  });
};

describe('port-forward', () => {
  let server: Server;
  let sockets: WebSocketServer;
  let kube: KubeClient;
  let play: (socket: WebSocket) => void = echo;
  let asked: string[] = [];

  before(async () => {
    server = createServer();
    sockets = new WebSocketServer({
      noServer: true,
      handleProtocols: (offered) => (offered.has('v4.channel.k8s.io') ? 'v4.channel.k8s.io' : false),
    });
    server.on('upgrade', (request, socket, head) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      if (request.url?.includes('/pods/bash-1/'))
        sockets.handleUpgrade(request, socket, head, (opened) => play(opened));
      else {
        const body = JSON.stringify({
          kind: 'Status',
          code: 404,
          reason: 'NotFound',
          message: 'pods "x" not found',
        });
        socket.end(
          `HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        );
      }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    kube = kubeClient(
      {
        server: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
        namespace: 'default',
        headers: () => Promise.resolve({ authorization: 'Bearer sesame' }),
      },
      { userAgent: 'test/1', requestTimeoutMs: 60_000 },
    );
  });
  beforeEach(() => {
    play = echo;
    asked = [];
  });
  after(async () => {
    kube.close();
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });

  it('opens the pod’s port with credentials, and skips the port numbers', async () => {
    const opened = await firstValueFrom(forwardPort(kube, POD, PORT));
    if (E.isLeft(opened)) throw new Error(opened.left.message);
    opened.right.write('hello');
    expect(String(await once(opened.right, 'data'))).to.equal('hello');
    opened.right.destroy();
    expect(asked).to.deep.equal([
      '/api/v1/namespaces/default/pods/bash-1/portforward?ports=9093 Bearer sesame',
    ]);
  });

  it('says what the error channel says', async () => {
    play = (socket) => {
      greet(socket);
      socket.send(Buffer.concat([Buffer.from([1]), Buffer.from('connection refused in the pod')]));
    };
    const opened = await firstValueFrom(forwardPort(kube, POD, PORT));
    if (E.isLeft(opened)) throw new Error(opened.left.message);
    const [error] = await once(opened.right.resume(), 'error');
    expect(error.message).to.equal(
      'cannot forward to port 9093 of pod default/bash-1: connection refused in the pod',
    );
  });

  it('classifies a refused upgrade', async () => {
    const opened = await firstValueFrom(forwardPort(kube, { namespace: 'default', name: 'x' }, PORT));
    expect(opened).to.have.nested.property('left.kind', 'NotFound');
    expect(opened).to.have.nested.property('left.message').that.includes('pods "x" not found');
  });

  it('carries megabytes both ways through a local socket that is ours alone', async () => {
    const forward = await listenForward(kube, POD, PORT);
    const path = forward.target.replace('unix:', '');
    expect(statSync(dirname(path)).mode & 0o777).to.equal(0o700);
    const local = connect(path);
    const sent = randomBytes(8 << 20);
    local.write(sent);
    const hash = createHash('sha256');
    let length = 0;
    for await (const chunk of local) {
      hash.update(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length === sent.length) break;
    }
    expect(hash.digest('hex')).to.equal(createHash('sha256').update(sent).digest('hex'));
    await forward.close();
    expect(existsSync(dirname(path))).to.equal(false);
  });

  it('does not read ahead of a slow reader', async () => {
    let sentAll = false;
    play = (socket) => {
      greet(socket);
      const block = Buffer.alloc(1 << 20);
      const sendFrom = (i: number): void => {
        if (i === 64) sentAll = true;
        else socket.send(block, () => sendFrom(i + 1));
      };
      sendFrom(0);
    };
    const opened = await firstValueFrom(forwardPort(kube, POD, PORT));
    if (E.isLeft(opened)) throw new Error(opened.left.message);
    const stream = opened.right;
    await once(stream, 'readable');
    await firstIdle();
    expect(sentAll).to.equal(false);
    let length = 0;
    for await (const chunk of stream) {
      length += (chunk as Buffer).length;
      if (length === 64 * ((1 << 20) - 1)) break;
    }
    expect(sentAll).to.equal(true);
  });

  it('closes the local connection when the pod’s side ends, and remembers why one failed', async () => {
    play = (socket) => {
      greet(socket);
      socket.send(Buffer.from([0, 104, 105]));
      socket.close(1000);
    };
    const forward = await listenForward(kube, POD, PORT);
    const chunks: Buffer[] = [];
    for await (const chunk of connect(forward.target.replace('unix:', ''))) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).to.equal('hi');
    await forward.close();

    const wrong = await listenForward(kube, { namespace: 'default', name: 'x' }, PORT);
    await once(connect(wrong.target.replace('unix:', '')).resume(), 'close');
    expect(wrong.lastError()).to.have.property('kind', 'NotFound');
    await wrong.close();
  });
});

/** Resolves once the loop has turned often enough for all that is buffered on the loopback to have come in. */
const firstIdle = async (): Promise<void> => {
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
};
