/** Logs and port-forward go through the API server to the kubelet's socket. */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { WebSocket } from 'ws';

import type { Target } from '../../../conformance/target.js';
import { aPod, newNamespace, openTarget } from '../../../conformance/target.js';

describe('the way to the kubelet', () => {
  let target: Target;
  let kubelet: Server;
  let folder = '';
  let pods = '';
  let namespace = '';
  const asked: string[] = [];
  before(async () => {
    target = await openTarget();
    folder = mkdtempSync(join(tmpdir(), 'kruntimes-socket-'));
    kubelet = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (request.url?.includes('/broken?') === true)
        response.writeHead(400).end('container "broken" is waiting to start');
      else response.end('line one\nline two\n');
    });
    // Echoes what it gets, in capitals.
    kubelet.on('upgrade', (request, socket) => {
      asked.push(request.url ?? '');
      if (request.url?.endsWith('/81') === true) {
        socket.end('HTTP/1.1 500 No\r\ncontent-length: 14\r\nconnection: close\r\n\r\nnothing at 81.');
        return;
      }
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
      socket.on('data', (bytes: Buffer) => socket.write(bytes.toString().toUpperCase()));
      socket.on('end', () => socket.end());
      socket.on('error', () => socket.destroy());
    });
    kubelet.listen(join(folder, 'kubelet.sock'));
    await once(kubelet, 'listening');
    await target.call('POST', '/api/v1/nodes', {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'n1', annotations: { 'kruntimes.io/kubelet-socket': join(folder, 'kubelet.sock') } },
    });
    namespace = await newNamespace(target);
    pods = `/api/v1/namespaces/${namespace}/pods`;
    await target.call('POST', pods, aPod('one', { nodeName: 'n1' }));
    const containers = [
      { name: 'a', image: 'x' },
      { name: 'broken', image: 'x' },
    ];
    await target.call('POST', pods, aPod('two', { nodeName: 'n1', containers }));
    await target.call('POST', pods, aPod('nowhere'));
  });
  after(async () => {
    kubelet.closeAllConnections();
    kubelet.close();
    await target.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('passes a log on with its options, of the only container when none is named', async () => {
    const { code, body, headers } = await target.call(
      'GET',
      `${pods}/one/log?tailLines=5&timestamps=true&pretty=true`,
    );
    expect(code).to.equal(200);
    expect(headers['content-type']).to.contain('text/plain');
    expect(body).to.equal('line one\nline two\n');
    expect(asked.at(-1)).to.equal(`/containerLogs/${namespace}/one/main?timestamps=true&tailLines=5`);
  });

  it('asks which container when there are several, and refuses one that is not there', async () => {
    const several = await target.call('GET', `${pods}/two/log`);
    expect(several.code).to.equal(400);
    expect(several.body.message).to.equal(
      'a container name must be specified for pod two, choose one of: [a broken]',
    );
    const wrong = await target.call('GET', `${pods}/two/log?container=c`);
    expect(wrong.body.message).to.equal('container c is not valid for pod two');
  });

  it("answers the kubelet's refusal, and says so when nobody runs the pod", async () => {
    const refused = await target.call('GET', `${pods}/two/log?container=broken`);
    expect(refused.code).to.equal(400);
    expect(refused.body.message).to.equal('container "broken" is waiting to start');
    const unplaced = await target.call('GET', `${pods}/nowhere/log`);
    expect(unplaced.code).to.equal(400);
    expect(unplaced.body.message).to.equal('pod nowhere does not have a host assigned');
  });

  const forward = (port: number, token = target.token): WebSocket =>
    new WebSocket(
      `${target.url.replace('https', 'wss')}${pods}/one/portforward?ports=${port}`,
      ['v4.channel.k8s.io'],
      {
        headers: { authorization: `Bearer ${token}` },
        ...(target.caPem === undefined ? {} : { ca: target.caPem }),
      },
    );
  /** The first messages; listens from the call on, so that none that come together are missed. */
  const receive = (socket: WebSocket, count: number): Promise<Buffer[]> =>
    new Promise((resolve, reject) => {
      const messages: Buffer[] = [];
      socket.on('error', reject);
      socket.on('message', (data: Buffer) => {
        messages.push(data);
        if (messages.length === count) resolve(messages);
      });
    });

  it('carries bytes both ways over a WebSocket', async () => {
    const socket = forward(80);
    const first = receive(socket, 3);
    await once(socket, 'open');
    socket.send(Buffer.from([0, ...Buffer.from('hello')]));
    const [data, error, echo] = await first;
    expect([...(data ?? [])]).to.deep.equal([0, 80, 0]);
    expect([...(error ?? [])]).to.deep.equal([1, 80, 0]);
    expect(echo?.[0]).to.equal(0);
    expect(echo?.subarray(1).toString()).to.equal('HELLO');
    expect(asked.at(-1)).to.equal(`/portForward/${namespace}/one/80`);
    socket.close();
    await once(socket, 'close');
  });

  it('says on the error channel why a port cannot be reached', async () => {
    const socket = forward(81);
    const [, , error] = await receive(socket, 3);
    expect(error?.[0]).to.equal(1);
    expect(error?.subarray(1).toString()).to.equal('error forwarding port 81 to pod one: nothing at 81.');
    await once(socket, 'close');
  });

  it('lets nobody in without a token', async () => {
    const socket = forward(80, 'wrong');
    const [error] = (await once(socket, 'error').catch((reason: Error) => [reason])) as [Error];
    expect(error.message).to.contain('401');
  });
});
