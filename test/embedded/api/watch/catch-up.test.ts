/** A watch that begins with much: it costs the server what it has read, and it misses nothing. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { expect } from 'chai';

import { builtinResourceTypes } from '../../../../src/embedded/api/resources/builtins.js';
import { Registry } from '../../../../src/embedded/api/resources/registry.js';
import type { ResourceType } from '../../../../src/embedded/api/resources/resource-type.js';
import { Store } from '../../../../src/embedded/api/store/store.js';
import { serveWatch } from '../../../../src/embedded/api/watch/watch-stream.js';

/** Objects, and bytes in each: together twice what a watch may have waiting. */
const COUNT = 640;
const BYTES = 100_000;

type Seen = Readonly<{ type: string; object: { metadata: { name: string; resourceVersion: string } } }>;

describe('a watch that begins with much', () => {
  const registry = new Registry(builtinResourceTypes);
  const type = registry.ofStorage('/configmaps') as ResourceType;
  let folder: string;
  let store: Store;
  let port: number;
  let server: ReturnType<typeof createServer>;
  const responses: ServerResponse[] = [];
  /** Told of each new answer. */
  let onResponse: (response: ServerResponse) => void = () => undefined;

  const put = (name: string, text: string): void => {
    store.put('/configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: 'default', uid: name },
      data: { text },
    });
  };
  const watchOf = (url: string, response: ServerResponse): void => {
    const call = {
      backend: { store, registry, nowMs: Date.now },
      type,
      info: {
        verb: 'watch',
        path: '',
        group: '',
        version: 'v1',
        resource: 'configmaps',
        subresource: '',
        namespace: 'default',
        name: '',
        rest: '',
      },
      query: new URL(url, 'http://localhost').searchParams,
      user: { name: 'test', uid: '', groups: [], extra: {} },
      contentType: '',
      dryRun: false,
      fieldManager: '',
      fieldValidation: 'Warn' as const,
      warnings: [],
    };
    serveWatch(call, response, { kind: 'object' });
  };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'krt-catch-up-'));
    store = await Store.open({ folder: join(folder, 'store') });
    for (let i = 0; i < COUNT; i += 1) put(`c-${i}`, 'x'.repeat(BYTES));
    await store.durable();
    server = createServer((request, response) => {
      responses.push(response);
      watchOf(request.url ?? '/', response);
      onResponse(response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const deaf = async (query: string): Promise<Readonly<{ socket: Socket; response: ServerResponse }>> => {
    const served = new Promise<ServerResponse>((resolve) => {
      onResponse = resolve;
    });
    const socket = connect(port, '127.0.0.1');
    socket.pause();
    socket.on('error', () => undefined);
    socket.write(`GET /?${query} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return { socket, response: await served };
  };
  const reading = async (query: string): Promise<IncomingMessage> => {
    const asked = get({ host: '127.0.0.1', port, path: `/?${query}`, agent: false });
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    return answer;
  };
  /** Names and types, until the last one is `name`. */
  const until = async (answer: IncomingMessage, name: string): Promise<ReadonlyArray<string>> => {
    const seen: string[] = [];
    for await (const text of createInterface({ input: answer })) {
      const event = JSON.parse(text) as Seen;
      seen.push(`${event.type} ${event.object.metadata.name}`);
      if (event.object.metadata.name === name) break;
    }
    answer.destroy();
    return seen;
  };

  it('has a few texts waiting for a client that never reads, and not all that there is', async () => {
    const { socket, response } = await deaf('watch=true');
    expect(response.writableLength).to.be.within(1, 2 ** 20);
    put('more', 'y'.repeat(BYTES));
    await store.durable();
    expect(response.writableLength, 'what happens meanwhile waits in the history').to.be.lessThan(2 ** 20);
    socket.destroy();
    await once(response, 'close');
  });

  it('brings all of it, and what happens meanwhile, in order and once', async () => {
    const answer = await reading('watch=true');
    // It has had a part, and reads no further: what follows happens while the rest is due.
    put('c-0', 'changed');
    await store.durable();
    put('last', '');
    await store.durable();
    const seen = await until(answer, 'last');
    expect(seen.slice(-2)).to.deep.equal(['MODIFIED c-0', 'ADDED last']);
    const first = seen.slice(0, -2);
    expect(first.every((text) => text.startsWith('ADDED'))).to.equal(true);
    expect(new Set(first).size).to.equal(first.length);
    expect(first.length).to.be.within(COUNT, COUNT + 1);
  });

  it('resumes over more than a watch may have waiting, when it is read', async () => {
    const from = store.floor('/configmaps');
    const before = store.since('/configmaps', from)?.length ?? 0;
    const answer = await reading(`watch=true&resourceVersion=${from}`);
    put('end', '');
    await store.durable();
    expect((await until(answer, 'end')).length).to.equal(before + 1);
  });

  it('is told that its version is too old, when the history has moved on before it had read', async () => {
    const from = store.revision;
    // More than the kernel takes on loopback, less than the history keeps.
    for (let i = 0; i < 300; i += 1) put(`d-${i}`, 'z'.repeat(BYTES));
    await store.durable();
    const { socket, response } = await deaf(`watch=true&resourceVersion=${from}`);
    for (let i = 0; i < COUNT; i += 1) put(`c-${i}`, 'x'.repeat(BYTES));
    await store.durable();
    const lines: string[] = [];
    let held = '';
    socket.on('data', (chunk: Buffer) => {
      held += chunk.toString('latin1');
      const whole = held.split('\n');
      held = whole.pop() ?? '';
      lines.push(...whole);
    });
    socket.resume();
    await once(response, 'finish');
    await new Promise<void>((resolve) => {
      const look = (): void => (lines.some((text) => text.includes('"ERROR"')) ? resolve() : undefined);
      socket.on('data', look);
      look();
    });
    expect(lines.find((text) => text.includes('"ERROR"'))).to.contain('"code":410');
    socket.destroy();
  });
});
